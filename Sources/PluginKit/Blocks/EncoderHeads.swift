/// What stands on the states of an encoder.
extension GraphBuilder {
    /// The state of each sequence's first token: x [T, width] → [S, width].
    public func firstTokens(_ x: Tensor, _ segments: Tensor) -> Tensor {
        guard let bounds = segments.shape.first else { return none }
        return gatherRows(x, segments.slice(0, 0, bounds - 1))
    }

    /// The state of each sequence's last token: x [T, width] → [S, width]; zero for an empty first sequence.
    public func lastTokens(_ x: Tensor, _ segments: Tensor) -> Tensor {
        guard let bounds = segments.shape.first, let width = x.shape.last else { return none }
        // Behind a row of zeros the row of a sequence's end is that of its last token.
        let shifted = concat([constant([Float](repeating: 0, count: width), [1, width]), x], axis: 0)
        return gatherRows(shifted, segments.slice(0, 1, bounds))
    }

    /// The mean over each sequence's tokens: x [T, width] → [S, width].
    public func sequenceMeans(_ x: Tensor, _ segments: Tensor) -> Tensor {
        let shape = x.shape
        guard shape.count == 2 else { return none }
        // Attention whose scores are all 0 weighs every token of a sequence alike.
        let alike = constant([Float(0)], [1]).broadcast([shape[0], 1, 1])
        let means = attention(
            layer: -1, alike, alike, x.reshaped(shape[0], 1, shape[1]), segments: segments,
            options: .init(scale: 1, isCausal: false))
        return firstTokens(means, segments)
    }

    /// Scores of labels from a sequence's state: out(tanh(dense x)), x [S, width] → [S, labels].
    public func classify(_ dense: String, _ out: String, _ x: Tensor, labels: Int) -> Tensor {
        linear(out, tanh(linear(dense, x, x.shape.last ?? 0, bias: true)), labels, bias: true)
    }

    /// Scores of masked words: the embedding's table of `norm`(act(dense x)), with a bias; x [T, width] → [T, vocabulary].
    public func maskedWords(
        _ dense: String, _ norm: String, bias: String, embedding: String, _ x: Tensor, vocabulary: Int, act: String,
        eps: Double
    ) -> Tensor {
        let width = x.shape.last ?? 0
        let h = layerNorm(norm, activation(act, linear(dense, x, width, bias: true)), eps: eps)
        return emit1("linear", [h, parameter(embedding, [vocabulary, width]), parameter(bias, [vocabulary])])
    }
}
