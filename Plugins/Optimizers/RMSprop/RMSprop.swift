import JSON
import PluginKit

/// RMSprop (Tieleman & Hinton 2012), as torch.optim.RMSprop states it. Weight decay goes into the gradient.
struct RMSprop: Optimizer {
    private let alpha, epsilon, momentum: Double

    init(settings: JSON) throws {
        let read = ModelConfig(settings)
        alpha = try read.double("alpha", default: 0.99)
        epsilon = try read.double("eps", default: 1e-8)
        momentum = try read.double("momentum", default: 0)
    }

    func states(shape: [Int]) -> [OptimizerState] {
        [OptimizerState("square_avg", shape)] + (momentum == 0 ? [] : [OptimizerState("momentum_buffer", shape)])
    }

    func update(_ u: UpdateInputs) -> (parameter: Tensor, states: [Tensor]) {
        let gradient = u.gradient + u.weightDecay * u.parameter
        let square = alpha * u.states[0] + (1 - alpha) * u.g.square(gradient)
        let direction = gradient / (u.g.sqrt(square) + epsilon)
        guard momentum != 0 else { return (u.parameter - u.learningRate * direction, [square]) }
        let velocity = momentum * u.states[1] + direction
        return (u.parameter - u.learningRate * velocity, [square, velocity])
    }
}
