import JSON
import PluginKit

/// AdamW whose moments are kept as one byte a number.
struct AdamW8bit: Optimizer {
    private let adam: AdamStep
    private let mean = ByteState("exp_avg", isSigned: true)
    private let square = ByteState("exp_avg_sq", isSigned: false)

    init(settings: JSON) throws { adam = try AdamStep(ModelConfig(settings)) }

    func states(shape: [Int]) -> [OptimizerState] { mean.states(shape) + square.states(shape) }

    func update(_ u: UpdateInputs) -> (parameter: Tensor, states: [Tensor]) {
        let half = u.states.count / 2
        let old = (mean.decode(u.g, Array(u.states[..<half])), square.decode(u.g, Array(u.states[half...])))
        let (m, v) = adam.moments(u.g, old.0, old.1, gradient: u.gradient)
        let direction = adam.direction(u.g, m, v, step: u.step)
        return (u.stepped(direction), mean.encode(u.g, m) + square.encode(u.g, v))
    }
}
