import JSON
import PluginKit

/// Phi-3, 3.5 and 4-mini (2404.14219): Llama's layers with packed projections, LongRoPE and maybe a window.
struct Phi3: ModelFamily {
    let decoder: DecoderConfig
    let window: Int

    static func probe(_ config: JSON) -> Int { score(config, "Phi3", modelTypes: ["phi3"]) }

    init(config: JSON) throws {
        decoder = try DecoderConfig(config)
        window = try decoder.config.int("sliding_window", default: 0)
    }

    func describe() -> ModelDescription {
        var model = decoder.describe()
        model.defaultTargets = ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]
        return model
    }
    func rename(_ name: String) -> String? { decoder.rename(name) }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        var x =
            inputs.embeds
            ?? g.embedding("model.embed_tokens", inputs.ids, vocabulary: decoder.vocabulary, width: decoder.hidden)
        var attention = SelfAttention(decoder)
        attention.packed = "qkv_proj"
        attention.options.window = window
        for i in 0..<decoder.layers {
            x = g.block("model.layers.\(i)") {
                let h = g.rmsNorm("input_layernorm", x, eps: decoder.eps)
                let y = x + g.selfAttention("self_attn", h, attention, layer: i, inputs)
                let m = g.rmsNorm("post_attention_layernorm", y, eps: decoder.eps)
                return y + g.packedMLP("mlp", m, inner: decoder.inner, g.silu)
            }
        }
        return [g.rmsNorm("model.norm", x, eps: decoder.eps)]
    }
}
