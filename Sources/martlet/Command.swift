/// One subcommand of martlet.
protocol Command {
    static var name: String { get }
    static var summary: String { get }
    /// What stands after the flags, such as "PATH".
    static var operands: String { get }
    static var flags: [Flag] { get }
    /// Commands below this one, as in `martlet plugin list`. A command that has some does not run by itself.
    static var subcommands: [any Command.Type] { get }
    /// How many operands it takes.
    static var operandCount: ClosedRange<Int> { get }
    /// Not listed in the help.
    static var isHidden: Bool { get }
    static func run(_ arguments: Arguments) throws
    /// Says what `run` would do, for `--dry_run`.
    static func plan(_ plan: inout Plan) throws
}

extension Command {
    static var operands: String { "" }
    static var flags: [Flag] { [] }
    static var subcommands: [any Command.Type] { [] }
    static var operandCount: ClosedRange<Int> { 0...Int.max }
    static var isHidden: Bool { false }
    static func run(_ arguments: Arguments) throws {}

    /// The help text, made from the flags. `path` is what was typed to get here, such as "plugin list".
    static func help(_ path: String) -> String {
        if !subcommands.isEmpty {
            return "martlet \(path) — \(summary)\n\n" + Terminal.table(listing(subcommands))
                + "\n\nmartlet \(path) COMMAND --help shows a command's flags."
        }
        let rows = (flags + commonFlags).map { flag in
            ["  --\(flag.name)", flag.help + (flag.fallback.map { " [\($0)]" } ?? "")]
        }
        return "martlet \(path) — \(summary)\n\n  martlet \(path) [flags] \(operands)\n\n" + Terminal.table(rows)
    }
}

/// Rows of a list of commands.
func listing(_ commands: [any Command.Type]) -> [[String]] {
    commands.filter { !$0.isHidden }.map { ["  \($0.name)", $0.summary] }
}

/// Ends a command with this status, everything having been said.
struct ExitStatus: Error {
    /// The work failed.
    static let failure = ExitStatus(code: 1)
    /// A plugin, a manifest or plugins.json is refused.
    static let plugin = ExitStatus(code: 3)
    let code: Int32
}

/// Flags that every command takes.
let commonFlags: [Flag] = [
    Flag("plugin_path", .list, "More directories to look for plugins in"),
    Flag("config", .text, "YAML or JSON file with flags; those of the command line go first"),
    Flag("json", .boolean, "Print JSON for programs", default: "false"),
    Flag("dry_run", .boolean, "Resolve everything, say what would be done, and do nothing", default: "false"),
    Flag("help", .boolean, "Show this help", default: "false"),
]
