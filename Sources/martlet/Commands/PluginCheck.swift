import Conformance
import Host
import JSON

/// `martlet plugin check PATH`: every case in a process of its own. Exit code 0 only when none failed.
enum PluginCheck: Command {
    static let name = "check"
    static let summary = "Ask a plugin all questions of the contract, each in a process of its own"
    static let operands = "PATH"
    static let operandCount = 1...1
    static let flags = [
        Flag("timeout", .number, "Seconds that one case may take", default: "10"),
        Flag(
            "model_config", .list,
            "config.json files that a model family is built with, beside its own check/config.json"),
    ]

    static func run(_ arguments: Arguments) throws {
        let subject = try Subject(arguments.positional[0], configs: arguments.list("model_config"))
        let isJSON = arguments.bool("json")
        let seconds = arguments.double("timeout") ?? 10
        guard seconds > 0 else { throw UsageError("--timeout is \(seconds), wanted seconds above 0") }
        let findings = try findings(subject, timeout: seconds) { finding in
            if !isJSON, !finding.outcome.isBesideThePoint { Terminal.line(line(finding)) }
        }
        let failures = findings.filter(isFailure)
        if isJSON {
            let report: JSON = [
                "plugin": .string(subject.manifestPath), "passed": .bool(failures.isEmpty),
                "cases": .array(findings.map(json)),
            ]
            Terminal.line(report.text(.pretty))
        } else {
            let skipped = findings.filter { $0.outcome.verdict == .skipped }.count
            Terminal.line(
                "\(findings.count - failures.count - skipped) hold, \(failures.count) fail, \(skipped) skipped")
        }
        if !failures.isEmpty { throw ExitStatus.plugin }
    }

    /// Also for `plugin add`.
    static func findings(
        _ subject: Subject, timeout: Double, _ tell: (Checker.Finding) -> Void
    ) throws -> [Checker.Finding] {
        try Checker(command: [FileSystem.executable, "plugin", "check-case"], timeLimit: timeout).check(subject, tell)
    }

    static func isFailure(_ finding: Checker.Finding) -> Bool {
        finding.outcome.verdict != .success && finding.outcome.verdict != .skipped
    }

    static func line(_ finding: Checker.Finding) -> String {
        let text = finding.outcome.message.isEmpty ? finding.claim : finding.outcome.message
        return "\(finding.outcome.verdict.rawValue)\t\(finding.name)\t\(text)"
    }

    private static func json(_ finding: Checker.Finding) -> JSON {
        [
            "case": .string(finding.name), "claim": .string(finding.claim),
            "verdict": .string(finding.outcome.verdict.rawValue), "message": .string(finding.outcome.message),
            "seconds": .double(finding.seconds),
        ]
    }
}

/// One case, in the process that the checker started for it.
enum PluginCheckCase: Command {
    static let name = "check-case"
    static let summary = "One case of plugin check, in this process"
    static let operands = "MANIFEST CASE RESULT [CONFIG …]"
    static let operandCount = 3...Int.max
    static let isHidden = true

    static func run(_ arguments: Arguments) throws {
        guard let item = Case.named(arguments.positional[1]) else {
            throw UsageError("there is no case \"\(arguments.positional[1])\"")
        }
        let subject = try Subject(arguments.positional[0], configs: Array(arguments.positional.dropFirst(3)))
        let outcome = item.outcome(subject)
        try Terminal.save("\(outcome.verdict.rawValue)\n\(outcome.message)", to: arguments.positional[2])
    }
}
