import JSON
import PluginKit

/// A decoder with root mean square norms, rotary positions and a gated feed-forward. Parameters have the names of the
/// published checkpoint: tuners, quantizers and adapters find them by these.
struct TinyLM: ModelFamily {
    let decoder: DecoderConfig

    /// 100 for a config.json that names TinylmForCausalLM, 50 for its model_type.
    static func probe(_ config: JSON) -> Int { score(config, "Tinylm", modelTypes: ["tinylm"]) }

    init(config: JSON) throws { decoder = try DecoderConfig(config) }

    func describe() -> ModelDescription { decoder.describe() }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        var x =
            inputs.embeds
            ?? g.embedding("model.embed_tokens", inputs.ids, vocabulary: decoder.vocabulary, width: decoder.hidden)
        let attention = SelfAttention(decoder)
        for i in 0..<decoder.layers {
            x = g.block("model.layers.\(i)") {
                let h = g.rmsNorm("input_layernorm", x, eps: decoder.eps)
                let y = x + g.selfAttention("self_attn", h, attention, layer: i, inputs)
                let m = g.rmsNorm("post_attention_layernorm", y, eps: decoder.eps)
                let gate = g.silu(g.linear("mlp.gate_proj", m, decoder.inner))
                return y + g.linear("mlp.down_proj", gate * g.linear("mlp.up_proj", m, decoder.inner), decoder.hidden)
            }
        }
        return [g.rmsNorm("model.norm", x, eps: decoder.eps)]
    }
}
