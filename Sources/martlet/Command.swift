/// One subcommand of martlet.
protocol Command {
    static var name: String { get }
    static var summary: String { get }
    /// What stands after the flags, such as "PATH".
    static var operands: String { get }
    static var flags: [Flag] { get }
    static func run(_ arguments: Arguments) throws
}

extension Command {
    static var operands: String { "" }

    /// The help text, made from the flags.
    static var help: String {
        var lines = ["martlet \(name) — \(summary)", "", "  martlet \(name) [flags] \(operands)", ""]
        let width = (flags.map(\.name.count).max() ?? 0) + 4
        for flag in flags {
            let padding = String(repeating: " ", count: max(1, width - flag.name.count))
            lines.append("  --\(flag.name)\(padding)\(flag.help)\(flag.fallback.map { " [\($0)]" } ?? "")")
        }
        return lines.joined(separator: "\n")
    }
}

/// Flags that every command takes.
let commonFlags: [Flag] = [
    Flag("plugin_path", .list, "More directories to look for plugins in"),
    Flag("json", .boolean, "Print JSON for programs", default: "false"),
    Flag("help", .boolean, "Show this help", default: "false"),
]
