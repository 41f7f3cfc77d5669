import CLinux
import Host

/// One question to a plugin. It runs in a process of its own.
package struct Case: Sendable {
    package let name: String
    /// What holds of a plugin that passes.
    package let claim: String
    /// Cases that must have succeeded; without them this one says nothing and is skipped.
    package let needs: [String]
    let run: @Sendable (Subject) throws -> Void

    package static let all: [Case] = loading + boundary + kinds

    package static func named(_ name: String) -> Case? { all.first { $0.name == name } }

    /// Runs the case here, and says what came of it. Only to be called in a process that may be lost.
    package func outcome(_ subject: Subject) -> Outcome {
        martlet_confine()
        do {
            try run(subject)
            return Outcome(.success, "")
        } catch let skip as Skip {
            return Outcome(.skipped, skip.reason)
        } catch {
            return Outcome(.failed, String(describing: error))
        }
    }
}

/// What came of a case.
package struct Outcome: Sendable, Equatable {
    package enum Verdict: String, Sendable { case success, failed, crashed, hung, skipped }
    package let verdict: Verdict
    package let message: String
    /// Skipped because the plugin is of another kind, or because of a failure that was told already.
    package var isBesideThePoint: Bool {
        verdict == .skipped && (message.hasPrefix(Self.lacking) || message.hasPrefix(Self.otherKind))
    }
    static let lacking = "needs "
    static let otherKind = "offers no "
    package init(_ verdict: Verdict, _ message: String) {
        self.verdict = verdict
        self.message = message
    }
}

/// A claim that does not hold.
struct Breach: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// The case does not apply to this plugin.
struct Skip: Error {
    let reason: String
}
