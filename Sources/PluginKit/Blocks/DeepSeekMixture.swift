/// Feed-forward layers of DeepSeek-V2 (2405.04434) and V3 (2412.19437), and of families that took them over: dense layers at
/// first, then shared experts beside routed ones chosen within groups.
public struct DeepSeekMixture: Sendable {
    let inner, expertInner, experts, shared, firstSparse, every: Int
    let rule: RoutingRule
    /// The choice adds a learnt bias to the scores.
    let hasChoiceBias: Bool

    public init(_ decoder: DecoderConfig, scores: RoutingRule.Scores) throws {
        let config = decoder.config
        inner = decoder.inner
        experts = try config.int("n_routed_experts", default: 0)
        shared = try config.int("n_shared_experts", default: 0)
        expertInner = experts == 0 ? 0 : try config.int("moe_intermediate_size")
        firstSparse = experts == 0 ? decoder.layers : try config.int("first_k_dense_replace", default: 0)
        every = max(1, try config.int("moe_layer_freq", default: 1))
        var rule = RoutingRule(
            perToken: experts == 0 ? 1 : try config.int("num_experts_per_tok"),
            normalizes: try config.bool("norm_topk_prob", default: scores == .sigmoid))
        rule.scores = scores
        rule.scale = try config.double("routed_scaling_factor", default: 1)
        let method = try config.string("topk_method", default: scores == .sigmoid ? "noaux_tc" : "greedy")
        hasChoiceBias = method == "noaux_tc"
        if method != "greedy" {
            rule.groups = max(1, try config.int("n_group", default: 1))
            rule.groupsPerToken = max(1, try config.int("topk_group", default: 1))
            rule.expertsPerGroupScore = hasChoiceBias ? 2 : 1
        }
        self.rule = rule
    }

    /// x [T, hidden] → [T, hidden].
    public func emit(_ g: GraphBuilder, _ x: Tensor, layer: Int) -> Tensor {
        guard layer >= firstSparse, layer % every == 0 else { return g.gatedMLP("mlp", x, inner: inner, g.silu) }
        let bias = hasChoiceBias ? g.parameter("mlp.gate.e_score_correction_bias", [experts]) : nil
        let routing = g.route(g.linear("mlp.gate", x, experts), rule, bias: bias)
        let routed = g.experts("mlp.experts.*", x, routing, count: experts, inner: expertInner)
        return shared == 0 ? routed : routed + g.gatedMLP("mlp.shared_experts", x, inner: shared * expertInner, g.silu)
    }
}
