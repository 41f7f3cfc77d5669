import JSON
import PluginKit

/// Command R and R7B (Cohere 1 and 2): attention and feed-forward beside each other behind one norm, scaled logits.
struct Cohere: ModelFamily {
    let decoder: DecoderConfig
    let logitScale: Double
    let window, pattern: Int
    let hasBias, normalizesHeads: Bool

    static func probe(_ config: JSON) -> Int { score(config, "Cohere", "Cohere2", modelTypes: ["cohere", "cohere2"]) }

    init(config json: JSON) throws {
        decoder = try DecoderConfig(json, tied: true, interleaved: true)
        let config = decoder.config
        logitScale = try config.double("logit_scale", default: 0.0625)
        let isSecond = try config.string("model_type", default: "cohere") == "cohere2"
        window = isSecond ? try config.int("sliding_window", default: 4096) : 0
        pattern = max(1, try config.int("sliding_window_pattern", default: try config.int("layer_switch", default: 4)))
        hasBias = try config.bool("attention_bias", default: false)
        normalizesHeads = try config.bool("use_qk_norm", default: false)
    }

    func describe() -> ModelDescription {
        var model = decoder.describe()
        model.logitScale = logitScale
        return model
    }
    func rename(_ name: String) -> String? { decoder.rename(name) }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        let eps = try decoder.config.double("layer_norm_eps", default: 1e-5)
        let ones = g.constant([Float](repeating: 1, count: decoder.headWidth), [decoder.headWidth])
        var x =
            inputs.embeds
            ?? g.embedding("model.embed_tokens", inputs.ids, vocabulary: decoder.vocabulary, width: decoder.hidden)
        for i in 0..<decoder.layers {
            x = g.block("model.layers.\(i)") {
                var attention = SelfAttention(decoder, bias: hasBias)
                attention.outputHasBias = hasBias
                if normalizesHeads {
                    // The norm has a weight for each head: [heads, width].
                    attention.headNorm = { name, x in
                        g.emit1("layer_norm", [x, ones], [("eps", .float(eps))])
                            * g.parameter(name + ".weight", Array(x.shape.dropFirst()))
                    }
                }
                if window > 0 {
                    // Cohere 2's layers that see everything know no positions.
                    let isLocal = decoder.isSliding(i, else: (i + 1) % pattern != 0)
                    attention.options.window = isLocal ? window : 0
                    if !isLocal { attention.rope = nil }
                }
                let h = g.layerNorm("input_layernorm", x, eps: eps, bias: false)
                let a = g.selfAttention("self_attn", h, attention, layer: i, inputs)
                return x + a + g.gatedMLP("mlp", h, inner: decoder.inner, g.silu)
            }
        }
        return [g.layerNorm("model.norm", x, eps: eps, bias: false)]
    }
}
