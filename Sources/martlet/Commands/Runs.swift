import Glibc
import JSON
import Training

/// What is known of training runs.
enum RunsCommand: Command {
    static let name = "runs"
    static let summary = "Training runs of this user: list, show, compare"
    static var subcommands: [any Command.Type] {
        [RunsListCommand.self, RunsShowCommand.self, RunsCompareCommand.self]
    }

    /// The runs that are named by number, name or directory; the newest of a name.
    static func find(_ names: [String]) throws -> (index: RunIndex, entries: [RunIndex.Entry]) {
        let index = try RunIndex(RunIndex.standardPath)
        let known = try index.entries()
        return (
            index,
            try names.map { name in
                guard
                    let entry = known.first(where: { String($0.id) == name || $0.name == name || $0.directory == name })
                else {
                    throw TrainingError(
                        .notFound, "no run of this number, name or directory; martlet runs list shows them", at: name)
                }
                return entry
            }
        )
    }

    static func json(_ entry: RunIndex.Entry) -> JSON {
        [
            "id": .int(Int64(entry.id)), "name": .string(entry.name), "directory": .string(entry.directory),
            "started": .string(entry.started), "status": .string(entry.status), "steps": .int(Int64(entry.steps)),
            "metrics": .object(
                JSONObject(entry.metrics.sorted { $0.key < $1.key }.map { ($0.key, .double($0.value)) })),
        ]
    }

    /// Six significant digits: a loss may be a millionth.
    static func number(_ value: Double?) -> String {
        guard let value else { return "-" }
        if value == value.rounded(), value.magnitude < 1e15 { return String(Int(value)) }
        var text = [CChar](repeating: 0, count: 32)
        let count = withVaList([value]) { vsnprintf(&text, 32, "%.6g", $0) }
        return String(decoding: text.prefix(Int(max(0, count))).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

enum RunsListCommand: Command {
    static let name = "list"
    static let summary = "Every run, the newest first"
    static var operandCount: ClosedRange<Int> { 0...0 }

    static func run(_ arguments: Arguments) throws {
        let entries = try RunsCommand.find([]).index.entries()
        if arguments.bool("json") { return Terminal.line(JSON.array(entries.map(RunsCommand.json)).text()) }
        let rows = entries.map { entry in
            [
                String(entry.id), entry.name, entry.started, String(entry.status.prefix(48)), String(entry.steps),
                RunsCommand.number(entry.metrics["loss"]), RunsCommand.number(entry.metrics["eval_loss"]),
                entry.directory,
            ]
        }
        Terminal.line(
            Terminal.table(
                [["run", "name", "started (UTC)", "status", "steps", "loss", "eval_loss", "directory"]] + rows))
    }
}

enum RunsShowCommand: Command {
    static let name = "show"
    static let summary = "A run: its arguments and metrics"
    static let operands = "RUN"
    static var operandCount: ClosedRange<Int> { 1...1 }

    static func run(_ arguments: Arguments) throws {
        let (index, entries) = try RunsCommand.find(arguments.positional)
        guard let entry = entries.first else { return }
        if arguments.bool("json") {
            var document = RunsCommand.json(entry).object ?? JSONObject()
            document["arguments"] = entry.arguments
            let series = try entry.metrics.keys.sorted().map { name in
                let points = try index.values(entry.id, name).map { point -> JSON in
                    [.int(Int64(point.step)), .double(point.value)]
                }
                return (name, JSON.array(points))
            }
            document["values"] = .object(JSONObject(series))
            return Terminal.line(JSON.object(document).text())
        }
        Terminal.line("run \(entry.id) \(entry.name): \(entry.status), \(entry.steps) steps, in \(entry.directory)")
        let rows = try entry.metrics.keys.sorted().map { name -> [String] in
            let values = try index.values(entry.id, name).map(\.value)
            return [
                name, RunsCommand.number(values.first), RunsCommand.number(values.last),
                RunsCommand.number(values.min()),
                RunsCommand.number(values.max()),
            ]
        }
        Terminal.line(Terminal.table([["metric", "first", "last", "least", "greatest"]] + rows))
        for (name, value) in entry.arguments.object ?? JSONObject() { Terminal.line("  --\(name) \(value.text())") }
    }
}

enum RunsCompareCommand: Command {
    static let name = "compare"
    static let summary = "Runs side by side: the arguments in which they differ, and their last metrics"
    static let operands = "RUN RUN ..."
    static var operandCount: ClosedRange<Int> { 2...16 }

    static func run(_ arguments: Arguments) throws {
        let entries = try RunsCommand.find(arguments.positional).entries
        if arguments.bool("json") { return Terminal.line(JSON.array(entries.map(RunsCommand.json)).text()) }
        var rows = [[""] + entries.map { "\($0.id) \($0.name)" }]
        let names = Set(entries.flatMap { ($0.arguments.object ?? JSONObject()).map(\.key) }).sorted()
        for name in names {
            let values = entries.map { $0.arguments[name]?.text() ?? "-" }
            if Set(values).count > 1 { rows.append(["--" + name] + values) }
        }
        for metric in Set(entries.flatMap { $0.metrics.keys }).sorted() {
            rows.append([metric] + entries.map { RunsCommand.number($0.metrics[metric]) })
        }
        Terminal.line(Terminal.table(rows))
    }
}
