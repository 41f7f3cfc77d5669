extension Batch {
    /// Each row's prompt with the answer of the row before it, the first with the last one's: the pairs by which KTO
    /// estimates its divergence (Ethayarajh et al. 2024, section 4.2). Padding is left out.
    package func mismatched() -> Batch { Self.mismatched([self])[0] }

    /// The same over a window of batches, however its rows are cut into them.
    package static func mismatched(_ window: [Batch]) -> [Batch] {
        let rows = window.map(\.answered)
        guard var before = rows.joined().last else { return window.map { _ in Batch([]) } }
        return rows.map { mismatched($0, after: &before) }
    }

    fileprivate static func mismatched(_ rows: [AnsweredRow], after before: inout AnsweredRow) -> Batch {
        Batch(
            rows.map { row in
                defer { before = row }
                return row.example(answer: before.answer)
            })
    }

    fileprivate var answered: [AnsweredRow] {
        rows.indices.filter { rows[$0].role != .padding }.map { row in
            let tokens = ids[Int(segments[row])..<Int(segments[row + 1])]
            return AnsweredRow(
                prompt: Array(tokens.prefix(rows[row].promptLength)),
                answer: Array(tokens.dropFirst(rows[row].promptLength)), row: rows[row].row, label: rows[row].label)
        }
    }
}

private struct AnsweredRow {
    let prompt, answer: [Int32]
    let row: Int
    let label: Float?

    func example(answer: [Int32]) -> EncodedExample {
        let weights = Array(repeating: Float(0), count: prompt.count) + Array(repeating: 1, count: answer.count)
        return EncodedExample(
            sequences: [EncodedSequence(ids: prompt + answer, weights: weights, promptLength: prompt.count)],
            row: row, label: label)
    }
}

/// `Batch.mismatched` over batches that come one after the other: the very first row waits for the last one's answer.
package struct MismatchedBatches {
    private var first, last: AnsweredRow?

    package init() {}

    /// The pairs that a batch completes.
    package mutating func next(_ batch: Batch) -> Batch {
        var rows = batch.answered
        if first == nil, !rows.isEmpty {
            first = rows.removeFirst()
            last = first
        }
        guard var before = last else { return Batch([]) }
        defer { last = before }
        return Batch.mismatched(rows, after: &before)
    }

    /// The pair that closes the circle.
    package func end() -> Batch {
        guard let first, let last else { return Batch([]) }
        return Batch([first.example(answer: last.answer)])
    }
}
