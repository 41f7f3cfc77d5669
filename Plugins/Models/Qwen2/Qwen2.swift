import JSON
import PluginKit

/// Qwen 1.5, 2 and 2.5 (2407.10671): Llama's layers with biases on queries, keys and values, upper layers maybe windowed.
struct Qwen2: ModelFamily {
    let decoder: DecoderConfig
    let window, firstWindowed: Int

    static func probe(_ config: JSON) -> Int { score(config, "Qwen2", modelTypes: ["qwen2"]) }

    init(config: JSON) throws {
        decoder = try DecoderConfig(config)
        let slides = try decoder.config.bool("use_sliding_window", default: false)
        window = slides ? try decoder.config.int("sliding_window", default: 0) : 0
        firstWindowed = try decoder.config.int("max_window_layers", default: decoder.layers)
    }

    func describe() -> ModelDescription { decoder.describe() }
    func rename(_ name: String) -> String? { decoder.rename(name) }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        var x =
            inputs.embeds
            ?? g.embedding("model.embed_tokens", inputs.ids, vocabulary: decoder.vocabulary, width: decoder.hidden)
        for i in 0..<decoder.layers {
            x = g.block("model.layers.\(i)") {
                var attention = SelfAttention(decoder, bias: true)
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
