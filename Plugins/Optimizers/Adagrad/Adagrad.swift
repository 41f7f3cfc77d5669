import JSON
import PluginKit

/// Adagrad (Duchi et al. 2011): steps by the root of the sum of squares; decay is added to the gradient, as in PyTorch.
struct Adagrad: Optimizer {
    let epsilon, initial: Double

    init(settings: JSON) throws {
        let read = ModelConfig(settings)
        epsilon = try read.double("eps", default: 1e-10)
        initial = try read.double("initial_accumulator_value", default: 0)
    }

    func states(shape: [Int]) -> [OptimizerState] { [OptimizerState("sum", shape, initial: initial)] }

    func update(_ u: UpdateInputs) -> (parameter: Tensor, states: [Tensor]) {
        let gradient = u.gradient + u.weightDecay * u.parameter
        let sum = u.states[0] + u.g.square(gradient)
        return (u.parameter - u.learningRate * (gradient / (u.g.sqrt(sum) + epsilon)), [sum])
    }
}
