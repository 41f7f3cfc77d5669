import JSON
import PluginKit

/// GLM-4 in transformers' classes (2406.12793) and its 0414 release, which normalizes each part's output as well.
struct GLM4: ModelFamily {
    let decoder: DecoderConfig
    let hasBias, normsOutputs: Bool

    static func probe(_ config: JSON) -> Int { score(config, "Glm", "Glm4", modelTypes: ["glm", "glm4"]) }

    init(config json: JSON) throws {
        decoder = try DecoderConfig(json, interleaved: true)
        hasBias = try decoder.config.bool("attention_bias", default: false)
        normsOutputs = try decoder.config.string("model_type", default: "glm4") == "glm4"
    }

    func describe() -> ModelDescription {
        var model = decoder.describe()
        model.defaultTargets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_up_proj", "down_proj"]
        return model
    }
    func rename(_ name: String) -> String? { decoder.rename(name) }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        func normed(_ name: String, _ x: Tensor) -> Tensor { normsOutputs ? g.rmsNorm(name, x, eps: decoder.eps) : x }
        var x =
            inputs.embeds
            ?? g.embedding("model.embed_tokens", inputs.ids, vocabulary: decoder.vocabulary, width: decoder.hidden)
        let attention = SelfAttention(decoder, bias: hasBias)
        for i in 0..<decoder.layers {
            x = g.block("model.layers.\(i)") {
                let h = g.rmsNorm("input_layernorm", x, eps: decoder.eps)
                let y =
                    x + normed("post_self_attn_layernorm", g.selfAttention("self_attn", h, attention, layer: i, inputs))
                let m = g.rmsNorm("post_attention_layernorm", y, eps: decoder.eps)
                return y + normed("post_mlp_layernorm", g.packedMLP("mlp", m, inner: decoder.inner, g.silu))
            }
        }
        return [g.rmsNorm("model.norm", x, eps: decoder.eps)]
    }
}
