import JSON
import PluginKit

/// Llama 1 to 3.x (Touvron et al. 2023, 2302.13971; 2307.09288) and the many models that use its class.
struct Llama: ModelFamily {
    let decoder: DecoderConfig
    let attentionBias, mlpBias: Bool

    static func probe(_ config: JSON) -> Int { score(config, "Llama", modelTypes: ["llama"]) }

    init(config json: JSON) throws {
        decoder = try DecoderConfig(json)
        attentionBias = try decoder.config.bool("attention_bias", default: false)
        mlpBias = try decoder.config.bool("mlp_bias", default: false)
    }

    func describe() -> ModelDescription { decoder.describe() }
    func rename(_ name: String) -> String? { decoder.rename(name) }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        var x =
            inputs.embeds
            ?? g.embedding("model.embed_tokens", inputs.ids, vocabulary: decoder.vocabulary, width: decoder.hidden)
        var attention = SelfAttention(decoder, bias: attentionBias)
        attention.outputHasBias = attentionBias
        for i in 0..<decoder.layers {
            x = g.block("model.layers.\(i)") {
                let h = g.rmsNorm("input_layernorm", x, eps: decoder.eps)
                let y = x + g.selfAttention("self_attn", h, attention, layer: i, inputs)
                let m = g.rmsNorm("post_attention_layernorm", y, eps: decoder.eps)
                return y + g.gatedMLP("mlp", m, inner: decoder.inner, bias: mlpBias, g.silu)
            }
        }
        return [g.rmsNorm("model.norm", x, eps: decoder.eps)]
    }
}
