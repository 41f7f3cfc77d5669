import Host
import JSON

/// `martlet plugin show ID`: one plugin's manifest and state; its library is not opened.
enum PluginShow: Command {
    static let name = "show"
    static let summary = "One plugin's manifest and state"
    static let operands = "ID"
    static let operandCount = 1...1

    static func run(_ arguments: Arguments) throws {
        let registry = try Session.installed(arguments)
        if let foreign = registry.foreign.first(where: { $0.entry.plugin == arguments.positional[0] }) {
            return try show(foreign, arguments)
        }
        let record = try registry.record(arguments.positional[0])
        let manifest = record.manifest
        var rows = [
            ["id", manifest.id], ["version", manifest.version], ["state", PluginList.state(record)],
            ["description", manifest.description], ["license", manifest.license],
            ["contract", "\(manifest.abiMajor).\(manifest.abiMinor)"], ["runtime", manifest.runtime],
            ["architectures", manifest.architectures.joined(separator: ", ")], ["manifest", manifest.path],
        ]
        let library = Result { () throws(HostError) in try registry.installation.library(of: manifest) }
        switch library {
        case .success(let path): rows.append(["library", path])
        case .failure(let error): rows.append(["library", error.message])
        }
        if let publisher = manifest.publisher { rows.append(["publisher", publisher]) }
        rows += manifest.provides.map {
            ["offers", "\($0.kind) \($0.id)" + ($0.summary.isEmpty ? "" : ": \($0.summary)")]
        }
        if let problem = record.problem { rows.append(["problem", problem.description]) }
        Terminal.line(arguments.bool("json") ? PluginList.json(record).text(.pretty) : Terminal.table(rows))
        if record.problem != nil { throw ExitStatus.plugin }
    }

    /// A function of a plain library.
    private static func show(_ record: Registry.ForeignRecord, _ arguments: Arguments) throws {
        let entry = record.entry
        var rows = [
            ["id", entry.plugin], ["state", "foreign, \(PluginList.state(record))"], ["function", entry.prototype],
            ["library", entry.library], ["stands in", entry.place],
            ["offers", "\(entry.kind) \(entry.id)" + (entry.summary.isEmpty ? "" : ": \(entry.summary)")],
        ]
        if let problem = record.problem { rows.append(["problem", problem.description]) }
        Terminal.line(arguments.bool("json") ? PluginList.json(record).text(.pretty) : Terminal.table(rows))
        if record.problem != nil { throw ExitStatus.plugin }
    }
}
