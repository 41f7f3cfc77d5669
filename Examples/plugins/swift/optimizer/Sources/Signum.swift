import JSON
import PluginKit

/// Signum (Bernstein et al. 2018, 1802.04434): m' = β m + (1 − β) g, θ' = θ − η (sign m' + λ θ).
struct Signum: Optimizer {
    let beta: Double

    init(settings: JSON) throws {
        beta = try ModelConfig(settings).double("beta", default: 0.9)
        guard (0..<1).contains(beta) else { throw PluginError(.invalid, "found \(beta), wanted 0 ..< 1", at: "beta") }
    }

    func states(shape: [Int]) -> [OptimizerState] { [OptimizerState("momentum", shape)] }

    func update(_ u: UpdateInputs) -> (parameter: Tensor, states: [Tensor]) {
        let mean = beta * u.states[0] + (1 - beta) * u.gradient
        let zero = mean * 0
        let sign = u.g.select(u.g.less(zero, mean), zero + 1, u.g.select(u.g.less(mean, zero), zero - 1, zero))
        return (u.parameter - u.learningRate * (sign + u.weightDecay * u.parameter), [mean])
    }
}
