package import Data
internal import JSON

/// Metrics and rewards that judge the answers to the rows of data sets. One thread at a time uses it.
package struct AnswerJudges {
    /// What one of them made of all answers so far.
    package struct Verdict: Sendable {
        /// "metrics" or "rewards": the member of a result in which its numbers stand.
        package let group: String
        package let id: String
        /// Of the rows that it gave a number for.
        package private(set) var sum = 0.0
        package private(set) var count = 0
        /// Rows that it gave no number for, and why it gave none for the first of them.
        package private(set) var failures = 0
        package private(set) var firstFailure: String?

        /// The mean of its numbers; nil without any.
        package var mean: Double? { count == 0 ? nil : sum / Double(count) }

        init(group: String, id: String) { (self.group, self.id) = (group, id) }

        mutating func add(_ number: Double) {
            sum += number
            count += 1
        }

        mutating func fail(_ reason: String) {
            failures += 1
            firstFailure = firstFailure ?? reason
        }
    }

    package private(set) var verdicts: [Verdict]
    private let judges: [RowJudge]

    package init(metrics: [RowJudge] = [], rewards: [RowJudge] = []) {
        judges = metrics + rewards
        verdicts =
            metrics.map { Verdict(group: "metrics", id: $0.id) } + rewards.map { Verdict(group: "rewards", id: $0.id) }
    }

    /// Puts each judge's number of an answer into its result; null where a judge gave none.
    ///
    /// A judge sees the row as it stands in its file, with the answer at "completion" and, where the row brought an
    /// answer of its own and has no such column, that one at "reference".
    mutating func judge(_ answer: String, to row: [UInt8], label: String?, result: inout JSONObject) throws {
        guard !judges.isEmpty else { return }
        var seen = try JSON(parsing: row).object ?? JSONObject()
        seen["completion"] = .string(answer)
        if let label, seen["reference"] == nil { seen["reference"] = .string(label) }
        let text = Array(JSON.object(seen).text().utf8)
        for (index, judge) in judges.enumerated() {
            let group = verdicts[index].group
            var numbers = result[group]?.object ?? JSONObject()
            do {
                let number = try judge.judge(text)
                verdicts[index].add(number)
                numbers[judge.id] = .double(number)
            } catch {
                verdicts[index].fail(String(describing: error))
                numbers[judge.id] = .null
            }
            result[group] = .object(numbers)
        }
    }
}
