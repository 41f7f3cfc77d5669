import JSON
import PluginKit

/// Stochastic gradient descent with momentum, as torch.optim.SGD states it; Nesterov's form after Sutskever et al. 2013.
/// Weight decay goes into the gradient.
struct SGD: Optimizer {
    private let momentum, dampening: Double
    private let usesNesterov: Bool

    init(settings: JSON) throws {
        let read = ModelConfig(settings)
        momentum = try read.double("momentum", default: 0)
        dampening = try read.double("dampening", default: 0)
        usesNesterov = try read.bool("nesterov", default: false)
        guard !usesNesterov || momentum > 0 && dampening == 0 else {
            throw PluginError(.invalid, "nesterov wants a momentum above 0 and no dampening", at: "optimizer settings")
        }
    }

    func states(shape: [Int]) -> [OptimizerState] { momentum == 0 ? [] : [OptimizerState("momentum_buffer", shape)] }

    func update(_ u: UpdateInputs) -> (parameter: Tensor, states: [Tensor]) {
        let gradient = u.gradient + u.weightDecay * u.parameter
        guard let old = u.states.first else { return (u.parameter - u.learningRate * gradient, []) }
        var velocity = momentum * old + (1 - dampening) * gradient
        // The first step takes the gradient undampened.
        if dampening != 0 { velocity = u.g.select(u.g.less(u.step, u.g.constant([1.5], [1])), gradient, velocity) }
        return (u.parameter - u.learningRate * (usesNesterov ? gradient + momentum * velocity : velocity), [velocity])
    }
}
