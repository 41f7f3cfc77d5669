import JSON
import PluginKit

/// Qwen 3 with experts (2505.09388): Qwen 3's attention over small routed experts.
struct Qwen3MoE: ModelFamily {
    let decoder: DecoderConfig
    let window, firstWindowed: Int
    let experts, expertInner, sparseStep: Int
    let denseLayers: Set<Int>
    let rule: RoutingRule
    let hasBias: Bool

    static func probe(_ config: JSON) -> Int { score(config, "Qwen3Moe", modelTypes: ["qwen3_moe"]) }

    init(config: JSON) throws {
        decoder = try DecoderConfig(config)
        let slides = try decoder.config.bool("use_sliding_window", default: false)
        window = slides ? try decoder.config.int("sliding_window", default: 0) : 0
        firstWindowed = try decoder.config.int("max_window_layers", default: decoder.layers)
        hasBias = try decoder.config.bool("attention_bias", default: false)
        experts = try decoder.config.int("num_experts")
        expertInner = try decoder.config.int("moe_intermediate_size")
        sparseStep = max(1, try decoder.config.int("decoder_sparse_step", default: 1))
        denseLayers = Set(config["mlp_only_layers"]?.array?.compactMap(\.int) ?? [])
        rule = RoutingRule(
            perToken: try decoder.config.int("num_experts_per_tok"),
            normalizes: try decoder.config.bool("norm_topk_prob", default: false))
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
        for i in 0..<decoder.layers {
            x = g.block("model.layers.\(i)") {
                var attention = SelfAttention(decoder, bias: hasBias)
                attention.outputHasBias = hasBias
                attention.headNorm = { g.rmsNorm($0, $1, eps: decoder.eps) }
                attention.options.window = decoder.isSliding(i, else: i >= firstWindowed) ? window : 0
                let h = g.rmsNorm("input_layernorm", x, eps: decoder.eps)
                let y = x + g.selfAttention("self_attn", h, attention, layer: i, inputs)
                let m = g.rmsNorm("post_attention_layernorm", y, eps: decoder.eps)
                return y + feedForward(g, m, i)
            }
        }
        return [g.rmsNorm("model.norm", x, eps: decoder.eps)]
    }

    private func feedForward(_ g: GraphBuilder, _ m: Tensor, _ layer: Int) -> Tensor {
        guard (layer + 1) % sparseStep == 0, !denseLayers.contains(layer) else {
            return g.gatedMLP("mlp", m, inner: decoder.inner, g.silu)
        }
        let routing = g.route(g.linear("mlp.gate", m, experts), rule)
        let routed = g.experts("mlp.experts.*", m, routing, count: experts, inner: expertInner)
        return routed
    }
}
