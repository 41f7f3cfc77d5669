import JSON
import PluginKit

/// Mistral (2310.06825), Nemo and Ministral: Llama's layers, each token maybe seeing a window only.
struct Mistral: ModelFamily {
    let decoder: DecoderConfig
    let window: Int

    static func probe(_ config: JSON) -> Int { score(config, "Mistral", modelTypes: ["mistral"]) }

    init(config: JSON) throws {
        decoder = try DecoderConfig(config)
        window = try decoder.config.int("sliding_window", default: 0)
    }

    func describe() -> ModelDescription { decoder.describe() }
    func rename(_ name: String) -> String? { decoder.rename(name) }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        var x =
            inputs.embeds
            ?? g.embedding("model.embed_tokens", inputs.ids, vocabulary: decoder.vocabulary, width: decoder.hidden)
        for i in 0..<decoder.layers {
            x = g.block("model.layers.\(i)") {
                var attention = SelfAttention(decoder)
                attention.options.window = decoder.isSliding(i, else: true) ? window : 0
                let h = g.rmsNorm("input_layernorm", x, eps: decoder.eps)
                let y = x + g.selfAttention("self_attn", h, attention, layer: i, inputs)
                let m = g.rmsNorm("post_attention_layernorm", y, eps: decoder.eps)
                return y + g.gatedMLP("mlp", m, inner: decoder.inner, g.silu)
            }
        }
        return [g.rmsNorm("model.norm", x, eps: decoder.eps)]
    }
}
