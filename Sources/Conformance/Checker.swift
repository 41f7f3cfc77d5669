import Files
import Glibc
import Host

/// Runs each case in a process of its own, so that no plugin can take the checker with it.
package struct Checker {
    /// The program and the words before manifest, case and result file.
    private let command: [String]
    private let timeLimit: Double

    package init(command: [String], timeLimit: Double) {
        self.command = command
        self.timeLimit = timeLimit
    }

    package struct Finding: Sendable {
        package let name: String
        package let claim: String
        package let outcome: Outcome
        package let seconds: Double
    }

    /// Asks all cases, telling of each as it ends.
    package func check(_ subject: Subject, _ tell: (Finding) -> Void) throws -> [Finding] {
        var findings: [Finding] = []
        for item in Case.all {
            let start = Self.now()
            let missing = item.needs.first { need in
                !findings.contains { $0.name == need && $0.outcome.verdict == .success }
            }
            // What is written while it is opened is the fault of one case; what is written when it is called, of that call's.
            let isSilent = findings.contains { $0.name == "silent" && $0.outcome.verdict == .success }
            let outcome =
                try missing.map { Outcome(.skipped, Outcome.lacking + $0) }
                ?? run(item, subject, mustBeSilent: item.name == "silent" || (isSilent && item.name.hasPrefix("kind-")))
            let finding = Finding(name: item.name, claim: item.claim, outcome: outcome, seconds: Self.now() - start)
            findings.append(finding)
            tell(finding)
        }
        return findings
    }

    private func run(_ item: Case, _ subject: Subject, mustBeSilent: Bool) throws -> Outcome {
        let directory = try Self.temporaryDirectory()
        let (result, output, errors) = ("\(directory)/result", "\(directory)/output", "\(directory)/errors")
        defer { try? ReplacementDirectory.remove(directory) }
        let words = command + [subject.manifestPath, item.name, result] + subject.configPaths
        let ending = try Self.spawn(words, in: directory, output: output, errors: errors, limit: timeLimit)
        if case .late = ending { return Outcome(.hung, "it did not end within \(timeLimit) s") }
        // A case that was answered and did not end well still took its process with it.
        guard case .status(0) = ending, let bytes = try? FileSystem.read(result, limit: 1 << 20),
            case let text = String(decoding: bytes, as: UTF8.self), !text.isEmpty
        else {
            return Outcome(.crashed, "\(ending)" + Self.firstLine(errors))
        }
        let parts = text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
        let verdict = Outcome.Verdict(rawValue: String(parts[0])) ?? .failed
        if verdict == .success, mustBeSilent, let written = System.size(of: output), written > 0 {
            return Outcome(.failed, "it wrote \(written) bytes to standard output; use the host's log")
        }
        return Outcome(verdict, parts.count > 1 ? String(parts[1]) : "")
    }

    /// A new directory that nobody else knows of.
    private static func temporaryDirectory() throws -> String {
        let base = FileSystem.environment("TMPDIR") ?? "/tmp"
        var template = Array("\(base)/martlet-check-XXXXXX".utf8) + [0]
        let isMade =
            template.withUnsafeMutableBytes { bytes in
                bytes.baseAddress.map { mkdtemp($0.assumingMemoryBound(to: CChar.self)) } ?? nil
            } != nil
        guard isMade else {
            throw HostError(.io, base, "no directory can be made there: \(System.lastError)", fix: "set TMPDIR")
        }
        return String(decoding: template.dropLast(), as: UTF8.self)
    }

    private static func firstLine(_ path: String) -> String {
        guard let bytes = try? FileSystem.read(path, limit: 1 << 20) else { return "" }
        let text = String(decoding: bytes, as: UTF8.self)
        return text.split(separator: "\n").first.map { ": \($0.prefix(200))" } ?? ""
    }

    /// How a process ended.
    private enum Ending: CustomStringConvertible {
        case status(Int32)
        case signal(Int32)
        /// It had to be killed.
        case late

        var description: String {
            switch self {
            case .status(let status): return "it left the process with status \(status)"
            case .signal(let signal): return "killed by signal \(signal) (\(String(cString: strsignal(signal))))"
            case .late: return "it did not end"
            }
        }
    }

    /// Runs a program to its end, in a process group of its own, which goes with it. Its temporary files go to `directory`.
    private static func spawn(
        _ words: [String], in directory: String, output: String, errors: String, limit: Double
    ) throws -> Ending {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
        posix_spawnattr_setpgroup(&attributes, 0)
        var arguments = words.map { strdup($0) } + [nil]
        defer { for word in arguments { free(word) } }
        // A Swift trap would otherwise stop in the backtracer.
        var variables = environment(with: [("SWIFT_BACKTRACE", "enable=no"), ("TMPDIR", directory)])
        defer { for variable in variables { free(variable) } }
        var child = pid_t()
        let status = posix_spawn(&child, words[0], &actions, &attributes, &arguments, &variables)
        guard status == 0 else {
            throw HostError(.io, words[0], "cannot be started: \(String(cString: strerror(status)))")
        }
        let start = now()
        var wait: Int32 = 0
        var pause: useconds_t = 500
        while waitpid(child, &wait, WNOHANG) == 0 {
            if now() - start > limit {
                kill(-child, SIGKILL)
                waitpid(child, &wait, 0)
                return .late
            }
            usleep(pause)
            pause = min(pause * 2, 20_000)
        }
        // What the plugin may have started and left behind.
        kill(-child, SIGKILL)
        let signal = wait & 0x7F
        return signal == 0 ? .status((wait >> 8) & 0xFF) : .signal(signal)
    }

    /// This process's environment with some variables set anew, as C has it.
    private static func environment(with changes: [(String, String)]) -> [UnsafeMutablePointer<CChar>?] {
        var kept: [UnsafeMutablePointer<CChar>?] = []
        var next = environ
        while let variable = next.pointee {
            let isChanged = changes.contains { strncmp(variable, "\($0.0)=", $0.0.utf8.count + 1) == 0 }
            if !isChanged { kept.append(strdup(variable)) }
            next += 1
        }
        return kept + changes.map { strdup("\($0.0)=\($0.1)") } + [nil]
    }

    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
