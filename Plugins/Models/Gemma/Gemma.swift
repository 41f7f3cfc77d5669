import JSON
import PluginKit

/// Gemma 1 (2403.08295): scaled embeddings, norms with 1 + w, a GELU gate, tied head.
struct Gemma: ModelFamily {
    let decoder: DecoderConfig
    let hasBias: Bool

    static func probe(_ config: JSON) -> Int { score(config, "Gemma", modelTypes: ["gemma"]) }

    init(config: JSON) throws {
        decoder = try DecoderConfig(config, tied: true)
        hasBias = try decoder.config.bool("attention_bias", default: false)
    }

    func describe() -> ModelDescription { decoder.describe() }
    func rename(_ name: String) -> String? { decoder.rename(name) }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        func norm(_ name: String, _ x: Tensor) -> Tensor { g.rmsNorm(name, x, eps: decoder.eps, offset: 1) }
        var x =
            inputs.embeds
            ?? g.embedding("model.embed_tokens", inputs.ids, vocabulary: decoder.vocabulary, width: decoder.hidden)
            * Double(decoder.hidden).squareRoot()
        var attention = SelfAttention(decoder, bias: hasBias)
        attention.outputHasBias = hasBias
        for i in 0..<decoder.layers {
            x = g.block("model.layers.\(i)") {
                let y = x + g.selfAttention("self_attn", norm("input_layernorm", x), attention, layer: i, inputs)
                // Early files say "gelu" and mean the tanh form, as the release notes of the weights state.
                return y + g.gatedMLP("mlp", norm("post_attention_layernorm", y), inner: decoder.inner, g.geluTanh)
            }
        }
        return [norm("model.norm", x)]
    }
}
