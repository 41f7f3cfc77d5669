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
            let outcome = try missing.map { Outcome(.skipped, "needs \($0)") } ?? run(item, subject)
            let finding = Finding(name: item.name, claim: item.claim, outcome: outcome, seconds: Self.now() - start)
            findings.append(finding)
            tell(finding)
        }
        return findings
    }

    private func run(_ item: Case, _ subject: Subject) throws -> Outcome {
        let directory = "\(FileSystem.environment("TMPDIR") ?? "/tmp")/martlet-check-\(getpid())-\(item.name)"
        try System.makeDirectories(directory)
        let (result, output, errors) = ("\(directory)/result", "\(directory)/output", "\(directory)/errors")
        defer {
            for file in [result, output, errors] { System.remove(file) }
            rmdir(directory)
        }
        let words = command + [subject.manifestPath, item.name, result] + subject.configPaths
        guard let ending = try Self.spawn(words, output: output, errors: errors, limit: timeLimit) else {
            return Outcome(.hung, "it did not end within \(timeLimit) s")
        }
        guard let bytes = try? FileSystem.read(result, limit: 1 << 20),
            case let text = String(decoding: bytes, as: UTF8.self), !text.isEmpty
        else {
            return Outcome(.crashed, ending + Self.lastLine(errors))
        }
        let parts = text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
        let verdict = Outcome.Verdict(rawValue: String(parts[0])) ?? .failed
        if verdict == .success, item.name == "silent", let written = System.size(of: output), written > 0 {
            return Outcome(.failed, "it wrote \(written) bytes to standard output; use the host's log")
        }
        return Outcome(verdict, parts.count > 1 ? String(parts[1]) : "")
    }

    private static func lastLine(_ path: String) -> String {
        guard let bytes = try? FileSystem.read(path, limit: 1 << 20) else { return "" }
        let text = String(decoding: bytes, as: UTF8.self)
        return text.split(separator: "\n").first.map { ": \($0.prefix(200))" } ?? ""
    }

    /// Runs a program to its end; nil when it had to be killed.
    private static func spawn(_ words: [String], output: String, errors: String, limit: Double) throws -> String? {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        // A Swift trap would otherwise stop in the backtracer.
        setenv("SWIFT_BACKTRACE", "enable=no", 1)
        var arguments = words.map { strdup($0) } + [nil]
        defer { for word in arguments { free(word) } }
        var child = pid_t()
        let status = posix_spawn(&child, words[0], &actions, nil, &arguments, environ)
        guard status == 0 else {
            throw HostError(.io, words[0], "cannot be started: \(String(cString: strerror(status)))")
        }
        let start = now()
        var wait: Int32 = 0
        var pause: useconds_t = 500
        while waitpid(child, &wait, WNOHANG) == 0 {
            if now() - start > limit {
                kill(child, SIGKILL)
                waitpid(child, &wait, 0)
                return nil
            }
            usleep(pause)
            pause = min(pause * 2, 20_000)
        }
        let signal = wait & 0x7F
        return signal == 0
            ? "it left the process with status \((wait >> 8) & 0xFF)"
            : "killed by signal \(signal) (\(String(cString: strsignal(signal))))"
    }

    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
