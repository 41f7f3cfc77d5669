import JSON
import PluginKit

/// Qwen 3 (2505.09388), its embedding models among them: queries and keys of each head are normalized before rotation.
struct Qwen3: ModelFamily {
    let decoder: DecoderConfig
    let window, firstWindowed: Int
    let hasBias: Bool

    static func probe(_ config: JSON) -> Int { score(config, "Qwen3", modelTypes: ["qwen3"]) }

    init(config: JSON) throws {
        decoder = try DecoderConfig(config)
        let slides = try decoder.config.bool("use_sliding_window", default: false)
        window = slides ? try decoder.config.int("sliding_window", default: 0) : 0
        firstWindowed = try decoder.config.int("max_window_layers", default: decoder.layers)
        hasBias = try decoder.config.bool("attention_bias", default: false)
    }

    func describe() -> ModelDescription { decoder.describe() }
    func rename(_ name: String) -> String? { decoder.rename(name) }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        var x =
            inputs.embeds
            ?? g.embedding("model.embed_tokens", inputs.ids, vocabulary: decoder.vocabulary, width: decoder.hidden)
        for i in 0..<decoder.layers {
            x = g.block("model.layers.\(i)") {
                var attention = SelfAttention(decoder, bias: hasBias)
                attention.outputHasBias = hasBias
                attention.headNorm = { g.rmsNorm($0, $1, eps: decoder.eps) }
                attention.options.window = decoder.isSliding(i, else: i >= firstWindowed) ? window : 0
                let h = g.rmsNorm("input_layernorm", x, eps: decoder.eps)
                let y = x + g.selfAttention("self_attn", h, attention, layer: i, inputs)
                let m = g.rmsNorm("post_attention_layernorm", y, eps: decoder.eps)
                return y + g.gatedMLP("mlp", m, inner: decoder.inner, g.silu)
            }
        }
        return [g.rmsNorm("model.norm", x, eps: decoder.eps)]
    }
}
