/// Layers of transformers, from the checkpoint's parameters.
extension GraphBuilder {
    /// Looks up token embeddings: `name`.weight [vocabulary, width] by ids [T] → [T, width].
    public func embedding(_ name: String, _ ids: Tensor, vocabulary: Int, width: Int) -> Tensor {
        emit1("embedding", [parameter(name + ".weight", [vocabulary, width]), ids])
    }

    /// x / rms(x) · (offset + w) over the last axis (Zhang & Sennrich 2019); Gemma's offset is 1.
    public func rmsNorm(_ name: String, _ x: Tensor, eps: Double, offset: Double = 0) -> Tensor {
        let width = x.shape.last ?? 0
        return emit1(
            "rms_norm", [x, parameter(name + ".weight", [width])], [("eps", .float(eps)), ("offset", .float(offset))])
    }

    /// (x - mean) / sqrt(var + eps) · w + b over the last axis (Ba et al. 2016).
    public func layerNorm(_ name: String, _ x: Tensor, eps: Double, bias: Bool = true) -> Tensor {
        let width = x.shape.last ?? 0
        return emit1(
            "layer_norm",
            [x, parameter(name + ".weight", [width]), bias ? parameter(name + ".bias", [width]) : nil],
            [("eps", .float(eps))])
    }

    /// A projection cut into heads: [T, in] → [T, count, width].
    public func heads(
        _ name: String, _ x: Tensor, _ count: Int, _ width: Int, bias: Bool = false
    ) -> Tensor {
        linear(name, x, count * width, bias: bias).reshaped(-1, count, width)
    }

    /// Rotary positions (Su et al. 2021) over the first 2 · frequencies.count elements of each head of x [T, H, D].
    public func rope(_ x: Tensor, _ positions: Tensor, _ rope: RopeFrequencies) -> Tensor {
        emit1(
            "rope", [x, positions, frequencies(rope, positions)],
            [
                ("interleaved", .bool(rope.isInterleaved)), ("scale", .float(rope.scale)),
                ("sections", .ints(rope.sections)),
            ])
    }

    /// What each query sees.
    public struct AttentionOptions: Sendable {
        /// Factor on the scores; 1 / sqrt(D) when nil.
        public var scale: Double?
        public var isCausal = true
        /// Keys at this distance or more are not seen, on either side where attention is not causal; 0 = all are.
        public var window = 0
        /// Scores s become softcap · tanh(s / softcap); 0 = off.
        public var softcap = 0.0
        public init(scale: Double? = nil, isCausal: Bool = true, window: Int = 0, softcap: Double = 0) {
            self.scale = scale
            self.isCausal = isCausal
            self.window = window
            self.softcap = softcap
        }
    }

    /// softmax(q kᵀ · scale) v within each sequence; keys and values may come from this batch or a cache.
    /// - Parameters:
    ///   - layer: Which layer's cache.
    ///   - q: [T, heads, D].
    ///   - k: [T, kv heads, D]; heads are shared in groups.
    ///   - v: [T, kv heads, Dv].
    ///   - segments: i32 [S + 1] token offsets of the sequences.
    ///   - keySegments: Those of k and v when they are of another length (cross attention).
    ///   - sinks: [heads] logits that take part in the softmax without a value.
    /// - Returns: [T, heads · Dv].
    public func attention(
        layer: Int, _ q: Tensor, _ k: Tensor, _ v: Tensor, segments: Tensor, keySegments: Tensor? = nil,
        sinks: Tensor? = nil, options: AttentionOptions = AttentionOptions()
    ) -> Tensor {
        let queries = q.shape
        guard queries.count == 3, let valueWidth = v.shape.last else { return none }
        let scale = options.scale ?? 1 / Double(queries[2]).squareRoot()
        let out = emit1(
            "attention", [q, k, v, segments, keySegments ?? segments, sinks],
            [
                ("layer", .int(layer)), ("scale", .float(scale)), ("causal", .bool(options.isCausal)),
                ("window", .int(options.window)), ("softcap", .float(options.softcap)),
            ])
        return out.reshaped(queries[0], queries[1] * valueWidth)
    }
}

/// The inverse wavelengths of rotary positions, and how they are applied.
public struct RopeFrequencies: Sendable {
    /// Radians a position, one for each pair of elements.
    public var values: [Double]
    /// Factor on cosine and sine (YaRN's and LongRoPE's attention factor).
    public var scale = 1.0
    /// Pairs are neighbours (2i, 2i + 1) rather than halves (i, i + n).
    public var isInterleaved = false
    /// Pairs that follow each of the three axes of multimodal positions; empty for text.
    public var sections: [Int] = []
    /// How the frequencies change with the length, if they do.
    public var growth: RopeGrowth?

    public init(values: [Double], scale: Double = 1, isInterleaved: Bool = false, sections: [Int] = []) {
        self.values = values
        self.scale = scale
        self.isInterleaved = isInterleaved
        self.sections = sections
    }
}
