import Bench
import Glibc
import Graph
import Host
import JSON
import Model

/// `martlet bench`: what the machine does, against what it could.
enum BenchCommand: Command {
    static let name = "bench"
    static let summary = "Measure this machine and its devices"
    static var subcommands: [any Command.Type] { [BenchOpsCommand.self] }
}

/// `martlet bench ops`.
enum BenchOpsCommand: Command {
    static let name = "ops"
    static let summary = "Time ops at shapes of models: rate and share of the ceiling measured beside each"
    static let operandCount = 0...0
    static let flags: [Flag] = [
        Flag("device", .text, "Device plugin to time", default: "cpu"),
        Flag("filter", .text, "Only ops whose name contains this text"),
    ]

    static func run(_ arguments: Arguments) throws {
        let filter = arguments.text("filter") ?? ""
        let subjects = OpSubject.all.filter { filter.isEmpty || $0.name.contains(filter) }
        let plans = filter.isEmpty || PlanBench.name.contains(filter)
        guard !subjects.isEmpty || plans else {
            var known: [String] = []
            for name in OpSubject.all.map(\.name) + [PlanBench.name] where !known.contains(name) { known.append(name) }
            throw UsageError("--filter \"\(filter)\" is in no op's name; there are: \(known.joined(separator: ", "))")
        }
        let components = try Session.registry(arguments)
        let device = try Device(
            component: components.component(kind: "martlet.device/1", id: arguments.text("device") ?? "cpu"))
        let isJSON = arguments.bool("json")
        let bench = OpBench(device: device)
        for subject in subjects {
            guard let row = try bench.run(subject) else { continue }
            Terminal.line(isJSON ? row.json.text() : line(row))
        }
        guard plans else { return }
        let times = try PlanBench.run(on: device)
        if isJSON {
            let report: JSON = [
                "op": "plan", "nodes": .int(Int64(times.nodes)), "build_seconds": .double(times.build),
                "plan_seconds": .double(times.plan),
            ]
            Terminal.line(report.text())
        } else {
            Terminal.line(
                "\(padded(PlanBench.name, 30)) \(padded("\(times.nodes) nodes", 26)) "
                    + "build \(number(times.build * 1e3, 2)) ms, plan \(number(times.plan * 1e3, 2)) ms")
        }
    }

    private static func line(_ row: OpBench.Row) -> String {
        var text =
            "\(padded(row.name, 30)) \(padded(row.shape, 26)) \(padded(number(row.seconds * 1e6, row.seconds < 1e-6 ? 3 : 1), 12, left: false)) us"
        if let rate = row.rate, let ceiling = row.ceiling {
            text += padded("  \(number(rate, 1)) \(ceiling.unit)", 15, left: false)
        }
        if let share = row.share, let ceiling = row.ceiling {
            text +=
                "  \(number(share.median * 100, 1)) % of \(ceiling.rawValue)"
                + " [\(number(share.least * 100, 1))-\(number(share.most * 100, 1))]"
        }
        return text
    }

    private static func padded(_ text: String, _ width: Int, left: Bool = true) -> String {
        let space = String(repeating: " ", count: max(0, width - text.count))
        return left ? text + space : space + text
    }

    private static func number(_ value: Double, _ digits: Int32) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
            let count = withVaList([digits, value]) { vsnprintf(buffer.baseAddress, 64, "%.*f", $0) }
            return String(
                decoding: buffer.prefix(max(0, min(63, Int(count)))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }
}
