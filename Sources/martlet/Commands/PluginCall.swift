import Data
import Host
import JSON
import PluginAPI

/// `martlet plugin call KIND ID FILE`: what a filter, reward or metric makes of each row of a file.
enum PluginCall: Command {
    static let name = "call"
    static let summary = "What a filter, reward or metric makes of the rows of a file"
    static let operands = "filter|reward|metric ID FILE"
    static let operandCount = 3...3

    static func run(_ arguments: Arguments) throws {
        let kinds = ["filter": MT_KIND_FILTER, "reward": MT_KIND_REWARD, "metric": MT_KIND_METRIC]
        let (word, id, path) = (arguments.positional[0], arguments.positional[1], arguments.positional[2])
        guard let kind = kinds[word] else {
            throw UsageError("the kind is \"\(word)\", wanted filter, reward or metric")
        }
        let registry = try Session.installed(arguments)
        guard let judge = RowJudge(try registry.component(kind: kind, id: id)) else { return }
        let feed = FileFeed([path], formats: try Session.rowFormats(registry), dataset: 0)
        var (sum, count, failures) = (0.0, 0, 0)
        func tell(_ number: Double?, _ problem: String?) {
            let place = "row \(count + failures)"
            if arguments.bool("json") {
                let report: JSON = [
                    "row": .string(place), "value": number.map(JSON.double) ?? .null,
                    "error": problem.map(JSON.string) ?? .null,
                ]
                Terminal.line(report.text())
            } else {
                Terminal.line("\(place)\t\(number.map { String($0) } ?? problem ?? "")")
            }
        }
        while let item = try feed.next() {
            switch item {
            case .reject(let reject):
                failures += 1
                tell(nil, reject.cause)
            case .row(let row):
                do {
                    let number = try judge.judge(row.text)
                    (sum, count) = (sum + number, count + 1)
                    tell(number, nil)
                } catch {
                    failures += 1
                    tell(nil, String(describing: error))
                }
            }
        }
        let mean = count == 0 ? 0 : sum / Double(count)
        if arguments.bool("json") {
            let report: JSON = ["rows": .int(Int64(count)), "mean": .double(mean), "failed": .int(Int64(failures))]
            Terminal.line(report.text())
        } else {
            Terminal.line("\(count) rows, mean \(mean)" + (failures == 0 ? "" : ", \(failures) failed"))
        }
        if failures > 0 { throw ExitStatus.failure }
    }
}
