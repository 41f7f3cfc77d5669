/// What becomes of a row that is longer than `maximumLength` tokens.
package struct Truncation: Sendable, Equatable {
    package enum Policy: String, Sendable, CaseIterable {
        /// The row is rejected.
        case delete
        /// Its first tokens are cut.
        case left
        /// Its last tokens are cut, the end token with them; the count says so.
        case right
        /// It becomes several examples (texts to be continued).
        case split
    }
    package var policy: Policy
    package var maximumLength: Int

    package init(_ policy: Policy = .delete, maximumLength: Int) {
        self.policy = policy
        self.maximumLength = max(1, maximumLength)
    }

    /// What is left of an example, and how it was cut.
    package struct Outcome: Sendable, Equatable {
        package var examples: [EncodedExample]
        /// nil where nothing was cut.
        package var cut: String?
    }

    /// - Throws: `TruncationFailure` with the cause for which the row is rejected.
    package func apply(_ example: EncodedExample) throws(TruncationFailure) -> Outcome {
        let longest = example.sequences.map(\.count).max() ?? 0
        guard longest > maximumLength else { return Outcome(examples: [example], cut: nil) }
        switch policy {
        case .delete: throw TruncationFailure("too long: \(longest) tokens, max_length is \(maximumLength)")
        case .split: return try split(example)
        case .left, .right:
            var out = example
            out.sequences = example.sequences.map { cut($0) }
            if out.sequences.contains(where: { $0.trainedTokens == 0 }) {
                throw TruncationFailure(
                    "nothing trained is left: of \(longest) tokens cut to \(maximumLength) (\(policy.rawValue))")
            }
            return Outcome(
                examples: [out], cut: policy == .left ? "cut at the left" : "cut at the right, end token lost")
        }
    }

    private func cut(_ sequence: EncodedSequence) -> EncodedSequence {
        guard sequence.count > maximumLength else { return sequence }
        let range =
            policy == .right ? 0..<maximumLength : (sequence.count - maximumLength)..<sequence.count
        return EncodedSequence(
            ids: Array(sequence.ids[range]), weights: Array(sequence.weights[range]),
            promptLength: min(max(0, sequence.promptLength - range.lowerBound), range.count))
    }

    /// Pieces of `maximumLength` tokens. A piece's first token has nothing before it and is the price of the cut.
    private func split(_ example: EncodedExample) throws(TruncationFailure) -> Outcome {
        guard example.kind == .single, let sequence = example.sequences.first else {
            throw TruncationFailure("too long: a pair cannot be split")
        }
        let pieces = stride(from: 0, to: sequence.count, by: maximumLength).map { start in
            let range = start..<min(sequence.count, start + maximumLength)
            var piece = example
            piece.sequences = [
                EncodedSequence(
                    ids: Array(sequence.ids[range]), weights: Array(sequence.weights[range]),
                    promptLength: min(max(0, sequence.promptLength - start), range.count))
            ]
            return piece
        }
        let trained = pieces.filter { ($0.sequences.first?.trainedTokens ?? 0) > 0 }
        if trained.isEmpty { throw TruncationFailure("nothing trained is left: after the split") }
        return Outcome(examples: trained, cut: "split")
    }
}

package struct TruncationFailure: Error, Equatable {
    package let cause: String
    init(_ cause: String) { self.cause = cause }
}
