extension Batch {
    /// Each row's prompt with the answer of the row before it, the first with the last one's: the pairs by which KTO
    /// estimates its divergence (Ethayarajh et al. 2024, section 4.2). Padding is left out.
    package func mismatched() -> Batch { Self.mismatched([self])[0] }

    /// The same over a window of batches, however its rows are cut into them.
    package static func mismatched(_ window: [Batch]) -> [Batch] {
        let places = window.indices.flatMap { batch in
            window[batch].rows.indices.filter { window[batch].rows[$0].role != .padding }.map {
                (batch: batch, row: $0)
            }
        }
        var examples = [[EncodedExample]](repeating: [], count: window.count)
        for (number, place) in places.enumerated() {
            let before = places[(number + places.count - 1) % places.count]
            let (own, other) = (window[place.batch].rows[place.row], window[before.batch].rows[before.row])
            let prompt = window[place.batch].tokens(of: place.row).prefix(own.promptLength)
            let answer = window[before.batch].tokens(of: before.row).dropFirst(other.promptLength)
            examples[place.batch].append(
                EncodedExample(
                    sequences: [
                        EncodedSequence(
                            ids: Array(prompt) + answer,
                            weights: Array(repeating: 0, count: prompt.count)
                                + Array(repeating: 1, count: answer.count),
                            promptLength: prompt.count)
                    ], row: own.row, label: own.label))
        }
        return examples.map { Batch($0) }
    }

    private func tokens(of sequence: Int) -> ArraySlice<Int32> {
        ids[Int(segments[sequence])..<Int(segments[sequence + 1])]
    }
}
