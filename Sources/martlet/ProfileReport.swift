import Bench
import Graph
import JSON

/// What ops took in this command, against the machine's ceilings measured at its end: `--profile`.
struct ProfileReport {
    private let entries: [RunProfile.Entry]
    private let total: Double

    init(_ profile: RunProfile) {
        entries = profile.entries
        total = entries.reduce(0) { $0 + $1.seconds }
    }

    /// Everything that took a thousandth of the time or more; the rest in one line.
    func show(asJSON: Bool) {
        var ceilings: [Ceiling: Double] = [:]
        for ceiling in Ceiling.allCases { ceilings[ceiling] = ceiling.measure() }
        if asJSON {
            for entry in entries { Terminal.line(json(entry, ceilings).text()) }
            return
        }
        var rows = [["time %", "seconds", "runs", "fastest, us", "rate", "of peak", "op"]]
        for entry in entries where entry.seconds >= 0.001 * total {
            let (rate, ceiling) = rate(entry)
            rows.append([
                Self.digits(100 * entry.seconds / total, 1), Self.digits(entry.seconds, 3), "\(entry.runs)",
                Self.digits(entry.fastest * 1e6, 1), "\(Self.digits(rate, 1)) \(ceiling.unit)",
                ceilings[ceiling].map { "\(Self.digits(100 * rate / $0, 0)) % \(ceiling.rawValue)" } ?? "",
                "\(entry.op)  \(entry.shape)",
            ])
        }
        let small = entries.filter { $0.seconds < 0.001 * total }.reduce(0) { $0 + $1.seconds }
        rows.append([
            Self.digits(100 * small / max(total, 1e-9), 1), Self.digits(small, 3), "", "", "", "", "all others",
        ])
        Terminal.note(Terminal.table(rows))
    }

    /// 1e9 operations or bytes a second of the fastest run, and what it is held against.
    private func rate(_ entry: RunProfile.Entry) -> (rate: Double, ceiling: Ceiling) {
        let isProduct = entry.work.operations > 0
        let work = isProduct ? entry.work.operations : entry.work.bytes
        return (work / entry.fastest * 1e-9, isProduct ? Ceiling(rawValue: entry.work.factors) ?? .f32 : .read)
    }

    private func json(_ entry: RunProfile.Entry, _ ceilings: [Ceiling: Double]) -> JSON {
        let (rate, ceiling) = rate(entry)
        var members: [(String, JSON)] = [
            ("op", .string(entry.op)), ("shape", .string(entry.shape)), ("runs", .int(Int64(entry.runs))),
            ("seconds", .double(entry.seconds)), ("fastest", .double(entry.fastest)), ("rate", .double(rate)),
            ("unit", .string(ceiling.unit)), ("ceiling", .string(ceiling.rawValue)),
        ]
        if let peak = ceilings[ceiling] { members.append(("share", .double(rate / peak))) }
        return .object(JSONObject(members))
    }

    private static func digits(_ value: Double, _ count: Int) -> String {
        let scale = count == 0 ? 1.0 : count == 1 ? 10.0 : 1000.0
        let rounded = (value * scale).rounded() / scale
        return count == 0 ? String(Int(rounded)) : String(rounded)
    }
}
