import JSON
import PluginKit

/// Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon; Liu et al. 2025, 2502.16982): momentum whose matrices are made
/// orthogonal by Newton and Schulz's iteration. Vectors, embeddings and the head take AdamW's step, as the authors advise.
struct Muon: Optimizer {
    private let momentum: Double
    private let usesNesterov, matchesAdamW: Bool
    private let iterations: Int
    private let adam: AdamStep
    private let isMatrix: Bool

    init(settings: JSON) throws {
        let read = ModelConfig(settings)
        momentum = try read.double("momentum", default: 0.95)
        usesNesterov = try read.bool("nesterov", default: true)
        iterations = try read.int("ns_steps", default: 5)
        let adjust = try read.string("adjust_lr_fn", default: "match_rms_adamw")
        guard ["original", "match_rms_adamw"].contains(adjust), (1...20).contains(iterations) else {
            throw PluginError(
                .invalid,
                "adjust_lr_fn is \"\(adjust)\", wanted original or match_rms_adamw; ns_steps is \(iterations), wanted 1 to 20",
                at: "optimizer settings")
        }
        matchesAdamW = adjust == "match_rms_adamw"
        adam = try AdamStep(read)
        let name = try read.string("parameter", default: "")
        isMatrix = !["embed", "lm_head", "wte", "wpe"].contains { name.contains($0) }
    }

    private func usesAdam(_ shape: [Int]) -> Bool { shape.count < 2 || !isMatrix }

    func states(shape: [Int]) -> [OptimizerState] {
        usesAdam(shape)
            ? ["exp_avg", "exp_avg_sq"].map { OptimizerState($0, shape) } : [OptimizerState("momentum_buffer", shape)]
    }

    func update(_ u: UpdateInputs) -> (parameter: Tensor, states: [Tensor]) {
        let shape = u.parameter.shape
        guard !usesAdam(shape) else {
            let (m, v) = adam.moments(u.g, u.states[0], u.states[1], gradient: u.gradient)
            return (u.stepped(adam.direction(u.g, m, v, step: u.step)), [m, v])
        }
        let velocity = momentum * u.states[0] + (1 - momentum) * u.gradient
        let direction = usesNesterov ? (1 - momentum) * u.gradient + momentum * velocity : velocity
        let rows = shape[0]
        let columns = shape.dropFirst().reduce(1, *)
        let step = orthogonal(u.g, direction.reshaped(rows, columns)).reshaped(shape)
        return (u.stepped(rateFactor(rows, columns) * step), [velocity])
    }

    /// What the rate is multiplied by: for AdamW's typical length of an update (Liu et al., 2.2), or for a unit spectral norm.
    private func rateFactor(_ rows: Int, _ columns: Int) -> Double {
        matchesAdamW
            ? 0.2 * Double(max(rows, columns)).squareRoot()
            : max(1, Double(rows) / Double(max(1, columns))).squareRoot()
    }

    /// U Vᵀ of x = U S Vᵀ, nearly: x ← a x + (b x xᵀ + c (x xᵀ)²) x brings all singular values close to 1.
    private func orthogonal(_ g: GraphBuilder, _ given: Tensor) -> Tensor {
        let isTall = (given.shape.first ?? 0) > (given.shape.last ?? 0)
        let length = g.max(g.sqrt(g.square(given).sum()), g.constant([1e-7], [1]))
        var x = (isTall ? given.transposed(1, 0) : given) / length
        for _ in 0..<iterations {
            let gram = g.matmul(x, x, transposeB: true)
            x = 3.4445 * x + g.matmul(-4.7750 * gram + 2.0315 * g.matmul(gram, gram), x)
        }
        return isTall ? x.transposed(1, 0) : x
    }
}
