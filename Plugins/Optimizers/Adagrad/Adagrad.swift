import JSON
import PluginKit

/// Adagrad (Duchi et al. 2011), as torch.optim.Adagrad states it. Weight decay goes into the gradient.
struct Adagrad: Optimizer {
    private let epsilon, rateDecay: Double

    init(settings: JSON) throws {
        let read = ModelConfig(settings)
        epsilon = try read.double("eps", default: 1e-10)
        rateDecay = try read.double("lr_decay", default: 0)
    }

    func states(shape: [Int]) -> [OptimizerState] { [OptimizerState("sum", shape)] }

    func update(_ u: UpdateInputs) -> (parameter: Tensor, states: [Tensor]) {
        let gradient = u.gradient + u.weightDecay * u.parameter
        let sum = u.states[0] + u.g.square(gradient)
        let rate = u.learningRate / (1 + (u.step - 1) * rateDecay)
        return (u.parameter - rate * gradient / (u.g.sqrt(sum) + epsilon), [sum])
    }
}
