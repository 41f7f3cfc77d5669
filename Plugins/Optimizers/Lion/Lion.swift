import JSON
import PluginKit

/// Lion (Chen et al. 2023, 2302.06675, algorithm 2): the sign of an interpolation between gradient and momentum.
struct Lion: Optimizer {
    let beta1, beta2: Double

    init(settings: JSON) throws {
        let read = ModelConfig(settings)
        beta1 = try read.double("adam_beta1", default: 0.9)
        beta2 = try read.double("adam_beta2", default: 0.99)
    }

    func states(shape: [Int]) -> [OptimizerState] { [OptimizerState("exp_avg", shape)] }

    func update(_ u: UpdateInputs) -> (parameter: Tensor, states: [Tensor]) {
        let direction = u.g.sign(beta1 * u.states[0] + (1 - beta1) * u.gradient)
        let momentum = beta2 * u.states[0] + (1 - beta2) * u.gradient
        return (u.parameter - u.learningRate * (direction + u.weightDecay * u.parameter), [momentum])
    }
}
