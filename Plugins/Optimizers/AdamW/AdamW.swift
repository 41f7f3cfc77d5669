import Glibc
import JSON
import PluginKit

/// Adam with decoupled weight decay (Loshchilov & Hutter 2017, 1711.05101).
struct AdamW: Optimizer {
    let beta1, beta2, epsilon: Double

    init(settings: JSON) throws {
        let read = ModelConfig(settings)
        beta1 = try read.double("adam_beta1", default: 0.9)
        beta2 = try read.double("adam_beta2", default: 0.95)
        epsilon = try read.double("adam_epsilon", default: 1e-8)
    }

    func states(shape: [Int]) -> [OptimizerState] { [OptimizerState("exp_avg", shape), OptimizerState("exp_avg_sq", shape)] }

    func update(_ u: UpdateInputs) -> (parameter: Tensor, states: [Tensor]) {
        let g = u.g
        let m = beta1 * u.states[0] + (1 - beta1) * u.gradient
        let v = beta2 * u.states[1] + (1 - beta2) * g.square(u.gradient)
        // 1 - βᵗ, from log β as a factor on the step.
        let correction1 = 1 - g.exp(log(beta1) * u.step)
        let correction2 = 1 - g.exp(log(beta2) * u.step)
        let direction = (m / correction1) / (g.sqrt(v / correction2) + epsilon)
        return (u.parameter * (1 - u.learningRate * u.weightDecay) - u.learningRate * direction, [m, v])
    }
}
