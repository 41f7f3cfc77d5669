/// The tokens of one conversation, and what each is worth to the loss.
package struct EncodedSequence: Sendable, Equatable {
    /// Token ids, as the model reads them.
    package var ids: [Int32]
    /// `weights[t]` is the loss weight of `ids[t]` AS A LABEL, that is of predicting it from what stands before it.
    /// 0 = not trained. `weights[0]` counts for nothing, since nothing stands before it.
    package var weights: [Float]
    /// How many leading tokens are the prompt, where the row has a prompt and an answer.
    package var promptLength: Int

    package init(ids: [Int32], weights: [Float], promptLength: Int = 0) {
        self.ids = ids
        self.weights = weights
        self.promptLength = promptLength
    }

    package var count: Int { ids.count }

    /// Tokens that are trained: weight above 0, and something before them.
    package var trainedTokens: Int { weights.dropFirst().reduce(0) { $1 != 0 ? $0 + 1 : $0 } }
}

/// One encoded row: a conversation, or a pair of them.
package struct EncodedExample: Sendable, Equatable {
    /// What the sequences of an example are to each other.
    package enum Kind: UInt8, Sendable {
        /// One sequence.
        case single
        /// Chosen, then rejected, over one prompt.
        case pair
    }
    package var kind: Kind
    /// One sequence, or two for a pair.
    package var sequences: [EncodedSequence]
    /// The row's number in the order of training, counted from 0 over the whole epoch.
    package var row: Int
    /// A label of the whole row: 1 desirable and 0 not (KTO), or a class or score.
    package var label: Float?
    /// By how much chosen should beat rejected (reward models).
    package var margin: Float?

    package init(
        _ kind: Kind = .single, sequences: [EncodedSequence], row: Int = 0, label: Float? = nil, margin: Float? = nil
    ) {
        self.kind = kind
        self.sequences = sequences
        self.row = row
        self.label = label
        self.margin = margin
    }

    /// Tokens of all its sequences.
    package var count: Int { sequences.reduce(0) { $0 + $1.count } }
}
