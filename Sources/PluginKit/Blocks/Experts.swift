/// Which experts a token goes to, and with which weights.
public struct Routing {
    /// f32 [T, k].
    public let weights: Tensor
    /// i32 [T, k].
    public let experts: Tensor
}

/// How scores of experts become a routing.
public struct RoutingRule: Sendable {
    public enum Scores: Sendable { case softmax, sigmoid }
    public var scores = Scores.softmax
    public var perToken: Int
    /// Divides the chosen weights by their sum.
    public var normalizes = false
    /// Factor on the weights.
    public var scale = 1.0
    /// Experts stand in this many groups …
    public var groups = 1
    /// … of which only the best so many are looked at.
    public var groupsPerToken = 1
    /// Experts of a group whose scores add up to the group's (1: its best, 2: DeepSeek-V3).
    public var expertsPerGroupScore = 1

    public init(perToken: Int, normalizes: Bool = false) {
        self.perToken = perToken
        self.normalizes = normalizes
    }
}

extension GraphBuilder {
    /// Chooses experts from router logits [T, E].
    /// - Parameter bias: [E], added for the choice but not to the weights (DeepSeek-V3, 2412.19437).
    public func route(_ logits: Tensor, _ rule: RoutingRule, bias: Tensor? = nil) -> Routing {
        let scores = rule.scores == .softmax ? softmax(logits) : sigmoid(logits)
        var choice = bias.map { scores + $0 } ?? scores
        if rule.groups > 1 { choice = choice * groupMask(choice, rule) }
        let best = topK(choice, rule.perToken)
        let isPlain = bias == nil && rule.groups <= 1
        var weights = isPlain ? best.values : emit1("gather_columns", [scores, best.indices])
        if rule.normalizes { weights = weights / (weights.sum(-1, keepDimensions: true) + 1e-20) }
        return Routing(weights: rule.scale == 1 ? weights : weights * rule.scale, experts: best.indices)
    }

    /// 1 for the experts of each token's best groups, else 0: [T, E].
    private func groupMask(_ scores: Tensor, _ rule: RoutingRule) -> Tensor {
        let shape = scores.shape
        guard shape.count == 2, shape[1] % rule.groups == 0 else { return none }
        let (tokens, size) = (shape[0], shape[1] / rule.groups)
        let best = topK(scores.reshaped(tokens, rule.groups, size), rule.expertsPerGroupScore).values.sum(-1)
        let chosen = topK(best, rule.groupsPerToken)
        let ones = detach(chosen.values) * 0 + 1
        let mask = emit1("scatter_columns", [ones, chosen.indices], [("width", .int(rule.groups))])
        return mask.reshaped(tokens, rule.groups, 1).broadcast([tokens, rule.groups, size]).reshaped(tokens, shape[1])
    }

    /// Σ over a token's experts of weight · down(silu(gate x) · up x): x [T, K] → [T, K].
    /// - Parameter name: The experts' names with "*" for the number, such as "mlp.experts.*".
    public func experts(
        _ name: String, _ x: Tensor, _ routing: Routing, count: Int, inner: Int,
        names: (gate: String, up: String, down: String) = ("gate_proj", "up_proj", "down_proj")
    ) -> Tensor {
        let (shape, perToken) = (x.shape, routing.weights.shape.last ?? 1)
        guard shape.count == 2 else { return none }
        let (tokens, width) = (shape[0], shape[1])
        let expert = routing.experts.reshaped(tokens * perToken)
        func project(_ part: String, _ x: Tensor, _ n: Int, _ k: Int) -> Tensor {
            emit1("expert_linear", [x, expert, parameter("\(name).\(part).weight", [count, n, k])])
        }
        let rows = x.reshaped(tokens, 1, width).broadcast([tokens, perToken, width]).reshaped(tokens * perToken, width)
        let h = silu(project(names.gate, rows, inner, width)) * project(names.up, rows, inner, width)
        let y = project(names.down, h, width, inner).reshaped(tokens, perToken, width)
        return (y * routing.weights.reshaped(tokens, perToken, 1)).sum(1)
    }
}
