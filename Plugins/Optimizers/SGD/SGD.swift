import JSON
import PluginKit

/// Stochastic gradient descent with momentum (Polyak 1964), also Nesterov's; decay is added to the gradient, as in PyTorch.
struct SGD: Optimizer {
    let momentum, dampening: Double
    let isNesterov: Bool

    init(settings: JSON) throws {
        let read = ModelConfig(settings)
        momentum = try read.double("momentum", default: 0)
        dampening = try read.double("dampening", default: 0)
        isNesterov = try read.bool("nesterov", default: false)
        guard (0..<1).contains(momentum), !isNesterov || momentum > 0 && dampening == 0 else {
            throw PluginError(
                .invalid, "momentum \(momentum) must be in 0 ..< 1; nesterov wants momentum and no dampening", at: "sgd settings")
        }
    }

    func states(shape: [Int]) -> [OptimizerState] { momentum > 0 ? [OptimizerState("momentum_buffer", shape)] : [] }

    func update(_ u: UpdateInputs) -> (parameter: Tensor, states: [Tensor]) {
        let gradient = u.gradient + u.weightDecay * u.parameter
        guard momentum > 0 else { return (u.parameter - u.learningRate * gradient, []) }
        // The first step takes the gradient as it is: dampening begins with the second.
        let share = dampening == 0 ? gradient : gradient * u.g.select(u.g.less(u.step, u.step * 0 + 1.5), u.step * 0 + 1, u.step * 0 + (1 - dampening))
        let buffer = momentum * u.states[0] + share
        let direction = isNesterov ? gradient + momentum * buffer : buffer
        return (u.parameter - u.learningRate * direction, [buffer])
    }
}
