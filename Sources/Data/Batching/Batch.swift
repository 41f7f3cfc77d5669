/// Sequences laid end to end on one axis of T tokens: no batch axis and no padding inside.
///
/// Packed or not, a batch is the same thing: attention and positions start anew in each segment, so that sequences
/// never see each other.
package struct Batch: Sendable, Equatable {
    /// What a batch says of one of its sequences.
    package struct Sequence: Sendable, Equatable {
        package enum Role: UInt8, Sendable { case single, chosen, rejected, padding }
        package var role: Role
        /// The row it was made from, numbered as in `EncodedExample.row`; -1 for padding.
        package var row: Int
        package var promptLength: Int
        package var label: Float?
        package var margin: Float?

        package init(_ role: Role, row: Int, promptLength: Int = 0, label: Float? = nil, margin: Float? = nil) {
            self.role = role
            self.row = row
            self.promptLength = promptLength
            self.label = label
            self.margin = margin
        }
    }

    /// i32[T]: token ids.
    package private(set) var ids: [Int32] = []
    /// i32[T]: positions, from 0 in each segment.
    package private(set) var positions: [Int32] = []
    /// i32[S + 1]: where each sequence starts; the last entry is T.
    package private(set) var segments: [Int32] = [0]
    /// i32[T]: the token to be predicted from each token; `Batch.ignored` where none is trained.
    package private(set) var labels: [Int32] = []
    /// f32[T]: loss weight of `labels[t]`; 0 where the label is ignored.
    package private(set) var weights: [Float] = []
    /// i32[T]: the sequence of each token, 0 ..< S.
    package private(set) var sequences: [Int32] = []
    /// One entry a sequence. The two of a pair stand side by side, chosen first.
    package private(set) var rows: [Sequence] = []

    /// The label of a token from which nothing is predicted.
    package static let ignored: Int32 = -100

    package init() {}

    package init(_ examples: some Swift.Sequence<EncodedExample>) {
        for example in examples { append(example) }
    }

    package var tokenCount: Int { ids.count }
    package var sequenceCount: Int { rows.count }
    /// Labels that are trained: what a token loss is divided by.
    package var trainedTokens: Int { weights.reduce(0) { $1 != 0 ? $0 + 1 : $0 } }

    /// Adds the sequences of an example as segments at the end.
    package mutating func append(_ example: EncodedExample) {
        for (i, sequence) in example.sequences.enumerated() {
            let role: Sequence.Role = example.kind == .single ? .single : i == 0 ? .chosen : .rejected
            append(
                sequence,
                Sequence(
                    role, row: example.row, promptLength: sequence.promptLength, label: example.label,
                    margin: example.margin))
        }
    }

    private mutating func append(_ sequence: EncodedSequence, _ row: Sequence) {
        let count = sequence.ids.count
        let index = Int32(rows.count)
        ids.append(contentsOf: sequence.ids)
        for t in 0..<count {
            positions.append(Int32(t))
            sequences.append(index)
            let weight = t + 1 < count ? sequence.weights[t + 1] : 0
            labels.append(weight != 0 ? sequence.ids[t + 1] : Self.ignored)
            weights.append(weight)
        }
        segments.append(Int32(ids.count))
        rows.append(row)
    }

    /// The batch filled up to `tokens` with one untrained sequence of `padID`, so that equal shapes share a plan.
    /// A batch that is as long already stays as it is.
    package func padded(toTokens tokens: Int, padID: Int32) -> Batch {
        guard tokens > tokenCount else { return self }
        let missing = tokens - tokenCount
        var out = self
        out.append(
            EncodedSequence(
                ids: Array(repeating: padID, count: missing), weights: Array(repeating: 0, count: missing)),
            Sequence(.padding, row: -1))
        return out
    }
}
