import JSON
import PluginKit

/// GLM-4.5 and 4.6 (2508.06471): grouped-query attention over DeepSeek-V3's experts.
struct GLM4MoE: ModelFamily {
    let decoder: DecoderConfig
    let hasBias, normalizesHeads: Bool
    let mixture: DeepSeekMixture

    static func probe(_ config: JSON) -> Int { score(config, "Glm4Moe", modelTypes: ["glm4_moe"]) }

    init(config json: JSON) throws {
        decoder = try DecoderConfig(json)
        hasBias = try decoder.config.bool("attention_bias", default: false)
        normalizesHeads = try decoder.config.bool("use_qk_norm", default: false)
        mixture = try DeepSeekMixture(decoder, scores: .sigmoid)
    }

    func describe() -> ModelDescription {
        var model = decoder.describe()
        model.defaultTargets = ["q_proj", "k_proj", "v_proj", "o_proj"]
        return model
    }
    /// The layers after the last one predict further tokens at once, which the decoder does not.
    func rename(_ name: String) -> String? {
        name.hasPrefix("model.layers.\(decoder.layers).") ? nil : decoder.rename(name)
    }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        var x =
            inputs.embeds
            ?? g.embedding("model.embed_tokens", inputs.ids, vocabulary: decoder.vocabulary, width: decoder.hidden)
        var attention = SelfAttention(decoder, bias: hasBias)
        if normalizesHeads { attention.headNorm = { g.rmsNorm($0, $1, eps: decoder.eps) } }
        for i in 0..<decoder.layers {
            x = g.block("model.layers.\(i)") {
                let h = g.rmsNorm("input_layernorm", x, eps: decoder.eps)
                let y = x + g.selfAttention("self_attn", h, attention, layer: i, inputs)
                return y + mixture.emit(g, g.rmsNorm("post_attention_layernorm", y, eps: decoder.eps), layer: i)
            }
        }
        return [g.rmsNorm("model.norm", x, eps: decoder.eps)]
    }
}
