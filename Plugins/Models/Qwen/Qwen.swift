import Glibc
import JSON
import PluginKit

/// Qwen 1 (2309.16609) in its own code's layout, with its ways past the trained length: NTK frequencies and log-n scaling.
struct Qwen: ModelFamily {
    let layers, hidden, inner, heads, headWidth, vocabulary, trained: Int
    let eps: Double
    let scalesQueries, hasBias: Bool
    let rope: RopeFrequencies

    static func probe(_ config: JSON) -> Int {
        ModelConfig(config).score(architectures: ["QWenLMHeadModel"], modelTypes: ["qwen"])
    }

    init(config json: JSON) throws {
        let config = ModelConfig(json)
        layers = try config.layers()
        hidden = try config.int("hidden_size")
        // Gate and value share this width.
        inner = try config.int("intermediate_size") / 2
        heads = try config.int("num_attention_heads")
        headWidth = try config.int("kv_channels", default: hidden / heads)
        vocabulary = try config.int("vocab_size")
        trained = try config.int("seq_length", minimum: 2)
        eps = try config.double("layer_norm_epsilon", default: 1e-6)
        scalesQueries = try config.bool("use_logn_attn", default: true)
        hasBias = try !config.bool("no_bias", default: true)
        let turned = try config.share("rotary_pct", of: headWidth, default: 1)
        var rope = try RopeFrequencies(theta: config.double("rotary_emb_base", default: 10000), width: turned)
        if try config.bool("use_dynamic_ntk", default: true) { rope.growth = .doubling(maximum: trained) }
        self.rope = rope
    }

    func describe() -> ModelDescription {
        var model = ModelDescription()
        model.hidden = hidden
        model.vocabulary = vocabulary
        model.maximumPositions = trained
        model.embedding = "transformer.wte.weight"
        model.head = "lm_head.weight"
        model.attention = Array(
            repeating: .init(keyValueHeads: heads, keyWidth: headWidth, valueWidth: headWidth), count: layers)
        model.ropeGrowth = rope.growth
        model.defaultTargets = ["c_attn", "c_proj", "w1", "w2"]
        return model
    }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        var x = inputs.embeds ?? g.embedding("transformer.wte", inputs.ids, vocabulary: vocabulary, width: hidden)
        let width = heads * headWidth
        for i in 0..<layers {
            x = g.block("transformer.h.\(i)") {
                let h = g.rmsNorm("ln_1", x, eps: eps)
                let parts = g.linear("attn.c_attn", h, 3 * width, bias: true).split([width, width, width])
                    .map { $0.reshaped(-1, heads, headWidth) }
                var q = g.rope(parts[0], inputs.positions, rope)
                if scalesQueries { q = q * lengthScale(g, inputs.positions) }
                let a = g.attention(
                    layer: i, q, g.rope(parts[1], inputs.positions, rope), parts[2], segments: inputs.segments)
                let y = x + g.linear("attn.c_proj", a, hidden, bias: hasBias)
                return y
                    + g.gatedMLP(
                        "mlp", g.rmsNorm("ln_2", y, eps: eps), inner: inner, bias: hasBias,
                        names: ("w2", "w1", "c_proj"),
                        g.silu)
            }
        }
        return [g.rmsNorm("transformer.ln_f", x, eps: eps)]
    }

    /// max(1, log of a token's count so far to the base of the trained length), [T, 1, 1].
    private func lengthScale(_ g: GraphBuilder, _ positions: Tensor) -> Tensor {
        let count = g.emit1("cast", [positions]).reshaped(-1, 1, 1) + 1
        return g.max(g.log(count) * (1 / log(Double(trained))), g.constant([Float(1)], [1]))
    }
}
