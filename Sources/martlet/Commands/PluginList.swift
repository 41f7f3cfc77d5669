import Host
import JSON

/// `martlet plugin list`: from manifests alone; no library is opened.
enum PluginList: Command {
    static let name = "list"
    static let summary = "What is installed, from manifests alone"
    static let flags = [Flag("kind", .text, "Only plugins that offer this kind, such as model")]
    static let operandCount = 0...0

    static func run(_ arguments: Arguments) throws {
        let registry = try Session.installed(arguments)
        let kind = arguments.text("kind")
        func isWanted(_ found: String) -> Bool { kind.map { found == $0 || found.hasPrefix("martlet.\($0)/") } ?? true }
        let records = registry.plugins.filter { kind == nil || $0.manifest.provides.contains { isWanted($0.kind) } }
        let foreign = registry.foreign.filter { isWanted($0.entry.kind) }
        let problems =
            kind == nil
            ? registry.problems
            : registry.installation.problems + records.compactMap(\.problem) + foreign.compactMap(\.problem)
        if arguments.bool("json") {
            let report: JSON = [
                "plugins": .array(records.map(json)),
                "foreign": .array(foreign.map(json)), "problems": .array(problems.map { .string($0.description) }),
            ]
            Terminal.line(report.text(.pretty))
        } else {
            let rows = records.map { [$0.manifest.id, $0.manifest.version, state($0), components($0.manifest)] }
            let plain = foreign.map {
                [$0.entry.plugin, "", "foreign, \(state($0))", "\($0.entry.kind) \($0.entry.id)"]
            }
            Terminal.line(Terminal.table([["PLUGIN", "VERSION", "STATE", "COMPONENTS"]] + rows + plain))
        }
        if let kind, records.isEmpty, foreign.isEmpty {
            let known = registry.kinds.map {
                $0.split(separator: "/")[0].split(separator: ".").last.map(String.init) ?? $0
            }
            Terminal.note(
                "no plugin that is installed offers \(kind)"
                    + (nearest(kind, in: known).flatMap { $0 == kind ? nil : "; did you mean \($0)?" } ?? ""))
        }
        for problem in problems { Terminal.error(problem.description) }
        if !problems.isEmpty { throw ExitStatus.plugin }
    }

    static func state(_ record: Registry.Record) -> String { state(record.problem, record.isEnabled) }

    static func state(_ record: Registry.ForeignRecord) -> String { state(record.problem, record.isEnabled) }

    private static func state(_ problem: HostError?, _ isEnabled: Bool) -> String {
        problem.map { "refused (\($0.code.rawValue))" } ?? (isEnabled ? "enabled" : "disabled")
    }

    static func json(_ record: Registry.ForeignRecord) -> JSON {
        [
            "kind": .string(record.entry.kind), "id": .string(record.entry.id), "state": .string(state(record)),
            "problem": record.problem.map { .string($0.description) } ?? .null,
            "library": .string(record.entry.library), "function": .string(record.entry.prototype),
        ]
    }

    private static func components(_ manifest: Manifest) -> String {
        manifest.provides.map { "\($0.kind) \($0.id)" }.joined(separator: ", ")
    }

    static func json(_ record: Registry.Record) -> JSON {
        let manifest = record.manifest
        return [
            "id": .string(manifest.id), "version": .string(manifest.version), "state": .string(state(record)),
            "problem": record.problem.map { .string($0.description) } ?? .null,
            "description": .string(manifest.description), "license": .string(manifest.license),
            "runtime": .string(manifest.runtime), "manifest": .string(manifest.path),
            "provides": .array(
                manifest.provides.map {
                    ["kind": .string($0.kind), "id": .string($0.id), "summary": .string($0.summary)]
                }),
        ]
    }
}
