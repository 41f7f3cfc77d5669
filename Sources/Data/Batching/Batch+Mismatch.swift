extension Batch {
    /// Each row's prompt with the answer of the row before it, the first with the last one's: the pairs by which KTO
    /// estimates its divergence (Ethayarajh et al. 2024, section 4.2). Padding is left out.
    package func mismatched() -> Batch {
        let real = rows.indices.filter { rows[$0].role != .padding }
        var examples: [EncodedExample] = []
        for (place, index) in real.enumerated() {
            let other = real[(place + real.count - 1) % real.count]
            let prompt = tokens(of: index).prefix(rows[index].promptLength)
            let answer = tokens(of: other).dropFirst(rows[other].promptLength)
            examples.append(
                EncodedExample(
                    sequences: [
                        EncodedSequence(
                            ids: Array(prompt) + answer,
                            weights: Array(repeating: 0, count: prompt.count)
                                + Array(repeating: 1, count: answer.count),
                            promptLength: prompt.count)
                    ], row: rows[index].row, label: rows[index].label))
        }
        return Batch(examples)
    }

    private func tokens(of sequence: Int) -> ArraySlice<Int32> {
        ids[Int(segments[sequence])..<Int(segments[sequence + 1])]
    }
}
