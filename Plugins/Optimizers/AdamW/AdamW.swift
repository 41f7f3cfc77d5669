import JSON
import PluginKit

/// Adam with decoupled weight decay (Loshchilov & Hutter 2017, 1711.05101), or with the decay in the gradient as Adam has it.
struct AdamW: Optimizer {
    private let adam: AdamStep
    private let isDecoupled: Bool
    /// Divides by the largest v so far (Reddi et al. 2018, 1904.09237).
    private let usesAMSGrad: Bool

    init(settings: JSON) throws {
        let read = ModelConfig(settings)
        adam = try AdamStep(read)
        isDecoupled = try read.bool("decoupled", default: true)
        usesAMSGrad = try read.bool("amsgrad", default: false)
    }

    func states(shape: [Int]) -> [OptimizerState] {
        ["exp_avg", "exp_avg_sq"].map { OptimizerState($0, shape) }
            + (usesAMSGrad ? [OptimizerState("max_exp_avg_sq", shape)] : [])
    }

    func update(_ u: UpdateInputs) -> (parameter: Tensor, states: [Tensor]) {
        let g = u.g
        let gradient = isDecoupled ? u.gradient : u.gradient + u.weightDecay * u.parameter
        let (m, v) = adam.moments(g, u.states[0], u.states[1], gradient: gradient)
        let largest = usesAMSGrad ? [g.max(u.states[2], v)] : []
        let direction = adam.direction(g, m, largest.first ?? v, step: u.step)
        return (isDecoupled ? u.stepped(direction) : u.parameter - u.learningRate * direction, [m, v] + largest)
    }
}
