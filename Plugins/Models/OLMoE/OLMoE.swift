import JSON
import PluginKit

/// OLMoE (2409.02060): small routed experts, norms of queries and keys over all heads.
struct OLMoE: ModelFamily {
    let decoder: DecoderConfig
    let experts: Int
    let rule: RoutingRule
    let hasBias: Bool
    let clip: Double

    static func probe(_ config: JSON) -> Int { score(config, "Olmoe", modelTypes: ["olmoe"]) }

    init(config: JSON) throws {
        decoder = try DecoderConfig(config)
        experts = try decoder.config.int("num_experts")
        rule = RoutingRule(
            perToken: try decoder.config.int("num_experts_per_tok"),
            normalizes: try decoder.config.bool("norm_topk_prob", default: false))
        hasBias = try decoder.config.bool("attention_bias", default: false)
        clip = try decoder.config.double("clip_qkv", default: 0)
    }

    func describe() -> ModelDescription {
        var model = decoder.describe()
        model.defaultTargets = ["q_proj", "k_proj", "v_proj", "o_proj"]
        return model
    }
    func rename(_ name: String) -> String? { decoder.rename(name) }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        func norm(_ name: String, _ x: Tensor) -> Tensor { g.rmsNorm(name, x, eps: decoder.eps) }
        var x =
            inputs.embeds
            ?? g.embedding("model.embed_tokens", inputs.ids, vocabulary: decoder.vocabulary, width: decoder.hidden)
        var attention = SelfAttention(decoder, bias: hasBias)
        attention.outputHasBias = hasBias
        // Clipping follows the norm here.
        attention.wholeNorm = { g.clipped(norm($0, $1), clip) }
        for i in 0..<decoder.layers {
            x = g.block("model.layers.\(i)") {
                let y = x + g.selfAttention("self_attn", norm("input_layernorm", x), attention, layer: i, inputs)
                let m = norm("post_attention_layernorm", y)
                let routing = g.route(g.linear("mlp.gate", m, experts), rule)
                return y + g.experts("mlp.experts.*", m, routing, count: experts, inner: decoder.inner)
            }
        }
        return [norm("model.norm", x)]
    }
}
