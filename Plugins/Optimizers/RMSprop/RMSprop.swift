import JSON
import PluginKit

/// RMSprop (Hinton 2012, lecture 6e): steps by the root of a running mean of squares; decay is added to the gradient, as in
/// PyTorch.
struct RMSprop: Optimizer {
    let alpha, epsilon, momentum: Double

    init(settings: JSON) throws {
        let read = ModelConfig(settings)
        alpha = try read.double("alpha", default: 0.99)
        epsilon = try read.double("eps", default: 1e-8)
        momentum = try read.double("momentum", default: 0)
    }

    func states(shape: [Int]) -> [OptimizerState] {
        let square = OptimizerState("square_avg", shape)
        return momentum > 0 ? [square, OptimizerState("momentum_buffer", shape)] : [square]
    }

    func update(_ u: UpdateInputs) -> (parameter: Tensor, states: [Tensor]) {
        let gradient = u.gradient + u.weightDecay * u.parameter
        let square = alpha * u.states[0] + (1 - alpha) * u.g.square(gradient)
        let direction = gradient / (u.g.sqrt(square) + epsilon)
        guard momentum > 0 else { return (u.parameter - u.learningRate * direction, [square]) }
        let buffer = momentum * u.states[1] + direction
        return (u.parameter - u.learningRate * buffer, [square, buffer])
    }
}
