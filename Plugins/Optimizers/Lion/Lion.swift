import JSON
import PluginKit

/// Lion (Chen et al. 2023, 2302.06675, algorithm 2): the sign of an interpolated momentum; the decay is decoupled.
struct Lion: Optimizer {
    private let steps: LionStep
    init(settings: JSON) throws { steps = try LionStep(settings) }

    func states(shape: [Int]) -> [OptimizerState] { [OptimizerState("exp_avg", shape)] }

    func update(_ u: UpdateInputs) -> (parameter: Tensor, states: [Tensor]) {
        (u.stepped(steps.direction(u, u.states[0])), [steps.momentum(u, u.states[0])])
    }
}

/// Lion whose momentum is kept as one byte a number.
struct Lion8bit: Optimizer {
    private let steps: LionStep
    private let state = ByteState("exp_avg", isSigned: true)
    init(settings: JSON) throws { steps = try LionStep(settings) }

    func states(shape: [Int]) -> [OptimizerState] { state.states(shape) }

    func update(_ u: UpdateInputs) -> (parameter: Tensor, states: [Tensor]) {
        let momentum = state.decode(u.g, u.states)
        return (u.stepped(steps.direction(u, momentum)), state.encode(u.g, steps.momentum(u, momentum)))
    }
}

private struct LionStep {
    let beta1, beta2: Double

    init(_ settings: JSON) throws {
        let read = ModelConfig(settings)
        beta1 = try read.double("lion_beta1", default: 0.9)
        beta2 = try read.double("lion_beta2", default: 0.99)
    }

    func direction(_ u: UpdateInputs, _ m: Tensor) -> Tensor { u.g.sign(beta1 * m + (1 - beta1) * u.gradient) }
    func momentum(_ u: UpdateInputs, _ m: Tensor) -> Tensor { beta2 * m + (1 - beta2) * u.gradient }
}
