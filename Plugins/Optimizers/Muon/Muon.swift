import Glibc
import JSON
import PluginKit

/// Muon (Jordan et al. 2024; Liu et al. 2025, 2502.16982): the momentum of a matrix, made orthogonal by five Newton-Schulz
/// iterations. What is no matrix is updated by AdamW; with `adjust_lr` "match_rms_adamw" both go by one learning rate.
struct Muon: Optimizer {
    let momentum, epsilon, beta1, beta2: Double
    let isNesterov: Bool
    let iterations: Int
    let matchesAdamW: Bool

    init(settings: JSON) throws {
        let read = ModelConfig(settings)
        momentum = try read.double("momentum", default: 0.95)
        isNesterov = try read.bool("nesterov", default: true)
        iterations = try read.int("ns_steps", default: 5)
        epsilon = try read.double("adam_epsilon", default: 1e-8)
        beta1 = try read.double("adam_beta1", default: 0.9)
        beta2 = try read.double("adam_beta2", default: 0.95)
        let adjust = try read.string("adjust_lr", default: "match_rms_adamw")
        guard ["match_rms_adamw", "original"].contains(adjust), (1...20).contains(iterations) else {
            throw PluginError(
                .invalid, "adjust_lr \"\(adjust)\" must be match_rms_adamw or original, and ns_steps \(iterations) in 1 ... 20",
                at: "muon settings")
        }
        matchesAdamW = adjust == "match_rms_adamw"
    }

    func states(shape: [Int]) -> [OptimizerState] {
        shape.count == 2
            ? [OptimizerState("momentum_buffer", shape)] : [OptimizerState("exp_avg", shape), OptimizerState("exp_avg_sq", shape)]
    }

    func update(_ u: UpdateInputs) -> (parameter: Tensor, states: [Tensor]) {
        let shape = u.gradient.shape
        let decayed = u.parameter * (1 - u.learningRate * u.weightDecay)
        guard shape.count == 2 else {
            let (direction, states) = adamDirection(u)
            return (decayed - u.learningRate * direction, states)
        }
        let buffer = momentum * u.states[0] + (1 - momentum) * u.gradient
        let mixed = isNesterov ? momentum * buffer + (1 - momentum) * u.gradient : buffer
        let (rows, columns) = (Double(shape[0]), Double(shape[1]))
        let scale = matchesAdamW ? 0.2 * max(rows, columns).squareRoot() : max(1, rows / columns).squareRoot()
        return (decayed - (scale * u.learningRate) * orthogonal(u.g, mixed), [buffer])
    }

    /// About the nearest matrix with singular values of 1: a quintic iteration whose factors make small ones grow fastest.
    private func orthogonal(_ g: GraphBuilder, _ matrix: Tensor) -> Tensor {
        let isTall = matrix.shape[0] > matrix.shape[1]
        var x = isTall ? matrix.transposed(1, 0) : matrix
        let norm = g.sqrt(g.square(x).sum()).reshaped(1, 1)
        x = x / g.max(norm, norm * 0 + 1e-7)
        for _ in 0..<iterations {
            let gram = g.matmul(x, x, transposeB: true)
            let polynomial = -4.7750 * gram + 2.0315 * g.matmul(gram, gram)
            x = 3.4445 * x + g.matmul(polynomial, x)
        }
        return isTall ? x.transposed(1, 0) : x
    }

    private func adamDirection(_ u: UpdateInputs) -> (Tensor, [Tensor]) {
        let g = u.g
        let m = beta1 * u.states[0] + (1 - beta1) * u.gradient
        let v = beta2 * u.states[1] + (1 - beta2) * g.square(u.gradient)
        let (correction1, correction2) = (1 - g.exp(log(beta1) * u.step), 1 - g.exp(log(beta2) * u.step))
        return ((m / correction1) / (g.sqrt(v / correction2) + epsilon), [m, v])
    }
}
