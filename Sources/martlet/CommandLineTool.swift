/// The subcommands, and the way from the command line to one of them.
enum CommandLineTool {
    static var commands: [any Command.Type] { [ScoreCommand.self] }

    /// Exit codes: 0 success, 1 the work failed, 2 the command line is wrong.
    static func run(_ words: [String]) -> Int32 {
        guard let name = words.first, name != "--help", name != "help", name != "-h" else {
            Terminal.line(overview)
            return 0
        }
        if name == "--version" {
            Terminal.line("martlet 0.1.0")
            return 0
        }
        guard let command = commands.first(where: { $0.name == name }) else {
            let near = commands.map { (editDistance($0.name, name), $0.name) }.min { $0.0 < $1.0 }
            Terminal.error("unknown command \"\(name)\"\(near.map { $0.0 <= 3 ? "; did you mean \($0.1)?" : "" } ?? "")")
            return 2
        }
        do {
            let arguments = try Arguments(Array(words.dropFirst()), flags: command.flags + commonFlags)
            if arguments.bool("help") {
                Terminal.line(command.help)
                return 0
            }
            try command.run(arguments)
            return 0
        } catch let error as UsageError {
            Terminal.error("\(error). See martlet \(name) --help")
            return 2
        } catch {
            Terminal.error(String(describing: error))
            return 1
        }
    }

    private static var overview: String {
        let width = (commands.map { $0.name.count }.max() ?? 0) + 2
        let list = commands.map { "  \($0.name)\(String(repeating: " ", count: width - $0.name.count))\($0.summary)" }
        return (["martlet — customise large models: download, fine-tune, align, quantize, serve, evaluate", "", "Commands:"]
            + list + ["", "martlet COMMAND --help shows a command's flags."]).joined(separator: "\n")
    }
}
