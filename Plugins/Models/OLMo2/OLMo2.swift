import JSON
import PluginKit

/// OLMo 2 (2501.00656): norms after each part instead of before, and of queries and keys over all heads.
struct OLMo2: ModelFamily {
    let decoder: DecoderConfig
    let hasBias: Bool

    static func probe(_ config: JSON) -> Int { score(config, "Olmo2", modelTypes: ["olmo2"]) }

    init(config: JSON) throws {
        decoder = try DecoderConfig(config)
        hasBias = try decoder.config.bool("attention_bias", default: false)
    }

    func describe() -> ModelDescription { decoder.describe() }
    func rename(_ name: String) -> String? { decoder.rename(name) }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        func norm(_ name: String, _ x: Tensor) -> Tensor { g.rmsNorm(name, x, eps: decoder.eps) }
        var x =
            inputs.embeds
            ?? g.embedding("model.embed_tokens", inputs.ids, vocabulary: decoder.vocabulary, width: decoder.hidden)
        var attention = SelfAttention(decoder, bias: hasBias)
        attention.outputHasBias = hasBias
        attention.wholeNorm = norm
        for i in 0..<decoder.layers {
            x = g.block("model.layers.\(i)") {
                let y =
                    x + norm("post_attention_layernorm", g.selfAttention("self_attn", x, attention, layer: i, inputs))
                return y + norm("post_feedforward_layernorm", g.gatedMLP("mlp", y, inner: decoder.inner, g.silu))
            }
        }
        return [norm("model.norm", x)]
    }
}
