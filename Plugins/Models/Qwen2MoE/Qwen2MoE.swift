import JSON
import PluginKit

/// Qwen 1.5 and 2 with experts (2407.10671): small routed experts beside one that all tokens pass, behind a gate.
struct Qwen2MoE: ModelFamily {
    let decoder: DecoderConfig
    let window, firstWindowed: Int
    let experts, expertInner, sharedInner, sparseStep: Int
    let denseLayers: Set<Int>
    let rule: RoutingRule

    static func probe(_ config: JSON) -> Int { score(config, "Qwen2Moe", modelTypes: ["qwen2_moe"]) }

    init(config: JSON) throws {
        decoder = try DecoderConfig(config)
        let slides = try decoder.config.bool("use_sliding_window", default: false)
        window = slides ? try decoder.config.int("sliding_window", default: 0) : 0
        firstWindowed = try decoder.config.int("max_window_layers", default: decoder.layers)
        experts = try decoder.config.int("num_experts")
        expertInner = try decoder.config.int("moe_intermediate_size")
        sharedInner = try decoder.config.int("shared_expert_intermediate_size")
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
                var attention = SelfAttention(decoder, bias: true)
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
        let shared = g.gatedMLP("mlp.shared_expert", m, inner: sharedInner, g.silu)
        return routed + shared * g.sigmoid(g.linear("mlp.shared_expert_gate", m, 1))
    }
}
