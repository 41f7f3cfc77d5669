/// Self attention as decoders publish it: projections, optional norms of queries and keys, rotation, output.
public struct SelfAttention {
    public var heads, keyValueHeads, headWidth: Int
    public var hasBias = false
    public var outputHasBias = false
    /// nil leaves queries and keys as they are.
    public var rope: RopeFrequencies?
    public var options = GraphBuilder.AttentionOptions()
    /// Names of the projections to queries, keys, values and back.
    public var names = (query: "q_proj", key: "k_proj", value: "v_proj", output: "o_proj")
    /// The one projection to queries, keys and values, in this order, where there are not three.
    public var packed: String?
    /// Norm of queries and keys over all heads at once [T, H · D], before they are cut: name and value.
    public var wholeNorm: ((String, Tensor) -> Tensor)?
    /// Norm of queries and keys of each head [T, H, D]: name and value.
    public var headNorm: ((String, Tensor) -> Tensor)?
    /// Symmetric bound on all projections; 0 = none (OLMo's clip_qkv).
    public var clip = 0.0

    public init(_ decoder: DecoderConfig, bias: Bool = false) {
        heads = decoder.heads
        keyValueHeads = decoder.keyValueHeads
        headWidth = decoder.headWidth
        rope = decoder.rope
        hasBias = bias
    }

    public init(heads: Int, keyValueHeads: Int, headWidth: Int, rope: RopeFrequencies?) {
        self.heads = heads
        self.keyValueHeads = keyValueHeads
        self.headWidth = headWidth
        self.rope = rope
    }
}

extension GraphBuilder {
    /// x [T, hidden] → [T, hidden], the parameters under `name`.
    public func selfAttention(
        _ name: String, _ x: Tensor, _ form: SelfAttention, layer: Int, _ inputs: BuildInputs
    ) -> Tensor {
        let hidden = x.shape.last ?? 0
        let counts = [form.heads, form.keyValueHeads, form.keyValueHeads]
        let flat: [Tensor]
        if let packed = form.packed {
            let widths = counts.map { $0 * form.headWidth }
            flat = linear("\(name).\(packed)", x, widths.reduce(0, +), bias: form.hasBias).split(widths)
        } else {
            flat = zip([form.names.query, form.names.key, form.names.value], counts).map {
                linear("\(name).\($0)", x, $1 * form.headWidth, bias: form.hasBias)
            }
        }
        var parts = flat.map { clipped($0, form.clip) }
        guard parts.count == 3 else { return none }
        for (i, norm) in ["q_norm", "k_norm"].enumerated() {
            if let whole = form.wholeNorm { parts[i] = whole("\(name).\(norm)", parts[i]) }
            parts[i] = parts[i].reshaped(-1, counts[i], form.headWidth)
            if let each = form.headNorm { parts[i] = each("\(name).\(norm)", parts[i]) }
            if let rope = form.rope { parts[i] = self.rope(parts[i], inputs.positions, rope) }
        }
        let a = attention(
            layer: layer, parts[0], parts[1], parts[2].reshaped(-1, counts[2], form.headWidth),
            segments: inputs.segments,
            options: form.options)
        return linear("\(name).\(form.names.output)", a, hidden, bias: form.outputHasBias)
    }

    /// x bounded to -limit ... limit; x itself when the limit is 0.
    public func clipped(_ x: Tensor, _ limit: Double) -> Tensor {
        guard limit > 0 else { return x }
        let bound = constant([Float(limit)], [1])
        return max(min(x, bound), -bound)
    }
}
