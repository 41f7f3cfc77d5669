import JSON
import PluginKit

/// Mixtral (2401.04088): Mistral's attention, each token through the best two of eight experts.
struct Mixtral: ModelFamily {
    let decoder: DecoderConfig
    let window, experts: Int
    let rule: RoutingRule

    static func probe(_ config: JSON) -> Int { score(config, "Mixtral", modelTypes: ["mixtral"]) }

    init(config: JSON) throws {
        decoder = try DecoderConfig(config)
        window = try decoder.config.int("sliding_window", default: 0)
        experts = try decoder.config.int("num_local_experts")
        rule = RoutingRule(perToken: try decoder.config.int("num_experts_per_tok"), normalizes: true)
    }

    func describe() -> ModelDescription {
        var model = decoder.describe()
        model.defaultTargets = ["q_proj", "k_proj", "v_proj", "o_proj"]
        return model
    }
    func rename(_ name: String) -> String? { decoder.rename(name) }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        var x =
            inputs.embeds
            ?? g.embedding("model.embed_tokens", inputs.ids, vocabulary: decoder.vocabulary, width: decoder.hidden)
        var attention = SelfAttention(decoder)
        attention.options.window = window
        for i in 0..<decoder.layers {
            x = g.block("model.layers.\(i)") {
                let h = g.rmsNorm("input_layernorm", x, eps: decoder.eps)
                let y = x + g.selfAttention("self_attn", h, attention, layer: i, inputs)
                let m = g.rmsNorm("post_attention_layernorm", y, eps: decoder.eps)
                let routing = g.route(g.linear("block_sparse_moe.gate", m, experts), rule)
                return y
                    + g.experts(
                        "block_sparse_moe.experts.*", m, routing, count: experts, inner: decoder.inner,
                        names: ("w1", "w3", "w2"))
            }
        }
        return [g.rmsNorm("model.norm", x, eps: decoder.eps)]
    }
}
