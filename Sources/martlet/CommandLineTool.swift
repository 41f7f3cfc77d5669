import Host
import JSON

/// The subcommands, and the way from the command line to one of them.
enum CommandLineTool {
    static var commands: [any Command.Type] {
        [
            BenchCommand.self, CreateCommand.self, DownloadCommand.self, EstimateMemoryCommand.self, ExportCommand.self,
            PluginCommand.self, InferCommand.self, RenderCommand.self, RunsCommand.self, ScoreCommand.self,
            StartCommand.self, TokenizeCommand.self, TrainCommand.self, VerifyCommand.self,
        ]
    }

    /// Exit codes: 0 success, 1 the work failed, 2 the command line is wrong, 3 a plugin or plugins.json is refused.
    static func run(_ words: [String]) -> Int32 {
        guard let name = words.first, name != "--help", name != "help", name != "-h" else {
            Terminal.line(overview)
            return 0
        }
        if name == "--version" {
            Terminal.line("martlet \(Services.version)")
            return 0
        }
        do {
            try run(words, commands, path: "")
            return 0
        } catch let status as ExitStatus {
            return status.code
        } catch {
            let code: Int32 = error is UsageError ? 2 : error is HostError ? 3 : 1
            if wantsJSON(words) {
                let kind = (error as? HostError)?.code.rawValue ?? (code == 2 ? "usage" : "failure")
                let report: JSON = ["error": ["kind": .string(kind), "message": .string(String(describing: error))]]
                Terminal.line(report.text())
            }
            Terminal.error(String(describing: error))
            return code
        }
    }

    /// Whether `--json` is among words that may not have been understood.
    private static func wantsJSON(_ words: [String]) -> Bool {
        guard let at = words.lastIndex(where: { $0 == "--json" || $0.hasPrefix("--json=") }) else { return false }
        return words[at] != "--json=false" && !(words[at] == "--json" && words.dropFirst(at + 1).first == "false")
    }

    /// Follows the words down to a command that runs.
    private static func run(_ words: [String], _ commands: [any Command.Type], path: String) throws {
        let name = words[0]
        let here = path.isEmpty ? name : "\(path) \(name)"
        guard let command = commands.first(where: { $0.name == name.replacing("_", with: "-") || $0.name == name })
        else {
            if name.hasPrefix("-") {
                throw UsageError("\(name) stands before the command; write martlet COMMAND \(name)")
            }
            let near = nearest(name, in: commands.filter { !$0.isHidden }.map { $0.name })
            throw UsageError("unknown command \"\(here)\"" + (near.map { "; did you mean \($0)?" } ?? ""))
        }
        let rest = Array(words.dropFirst())
        if !command.subcommands.isEmpty {
            if let next = rest.first, next != "--help", next != "-h" {
                return try run(rest, command.subcommands, path: here)
            }
            Terminal.line(command.help(here))
            return
        }
        let arguments: Arguments
        do {
            let words = try ConfigFile.expanded(rest, takesOperands: command.operandCount.upperBound > 0)
            arguments = try Arguments(words, flags: command.flags + commonFlags)
        } catch let error as UsageError {
            throw UsageError("\(error). See martlet \(here) --help")
        }
        if arguments.bool("help") || arguments.positional.first == "-h" { return Terminal.line(command.help(here)) }
        guard command.operandCount ~= arguments.positional.count else {
            throw UsageError(
                "found \(arguments.positional.count) operands; usage: martlet \(here) [flags] \(command.operands)")
        }
        if arguments.bool("dry_run") {
            var plan = Plan(arguments, command: here)
            try command.plan(&plan)
            return try plan.show()
        }
        try command.run(arguments)
        if arguments.bool("profile") { ProfileReport(Session.profile).show(asJSON: arguments.bool("json")) }
    }

    private static var overview: String {
        "martlet — customise large models: download, fine-tune, align, quantize, serve, evaluate\n\nCommands:\n"
            + Terminal.table(listing(commands)) + "\n\nmartlet COMMAND --help shows a command's flags."
    }
}
