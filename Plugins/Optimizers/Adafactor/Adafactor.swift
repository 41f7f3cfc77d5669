import Glibc
import JSON
import PluginKit

/// Adafactor (Shazeer & Stern 2018, 1804.04235): the second moment of a matrix as the product of its rows' and columns' means, and
/// updates clipped by their root mean square. Settings and defaults are those that transformers' Trainer gives it.
struct Adafactor: Optimizer {
    let epsilon, smallestScale, clip, decayRate: Double
    /// nil keeps no first moment.
    let beta1: Double?
    let scalesByParameter, hasRelativeStep, warmsUp: Bool

    init(settings: JSON) throws {
        let read = ModelConfig(settings)
        epsilon = try read.double("eps", default: 1e-30)
        smallestScale = try read.double("eps2", default: 1e-3)
        clip = try read.double("clip_threshold", default: 1)
        decayRate = try read.double("decay_rate", default: -0.8)
        beta1 = settings["beta1"]?.double
        scalesByParameter = try read.bool("scale_parameter", default: false)
        hasRelativeStep = try read.bool("relative_step", default: false)
        warmsUp = try read.bool("warmup_init", default: false)
    }

    func states(shape: [Int]) -> [OptimizerState] {
        var states = beta1 == nil ? [] : [OptimizerState("exp_avg", shape)]
        if shape.count >= 2 {
            states.append(OptimizerState("exp_avg_sq_row", Array(shape.dropLast())))
            states.append(OptimizerState("exp_avg_sq_col", Array(shape.dropLast(2)) + [shape[shape.count - 1]]))
        } else {
            states.append(OptimizerState("exp_avg_sq", shape))
        }
        return states
    }

    func update(_ u: UpdateInputs) -> (parameter: Tensor, states: [Tensor]) {
        let g = u.g
        let shape = u.gradient.shape
        let rate = rate(u)
        // 1 - t^decay, from the logarithm of the step.
        let keep = 1 - g.exp(decayRate * g.log(u.step))
        let square = g.square(u.gradient) + epsilon
        var states: [Tensor] = []
        let moments = u.states.suffix(shape.count >= 2 ? 2 : 1)
        var direction: Tensor
        if shape.count >= 2, let rows = moments.first, let columns = moments.last {
            let row = keep * rows + (1 - keep) * square.mean(shape.count - 1)
            let column = keep * columns + (1 - keep) * square.mean(shape.count - 2)
            let rowFactor = g.rsqrt(row / row.mean(shape.count - 2, keepDimensions: true))
            direction = u.gradient * rowFactor.reshaped(Array(shape.dropLast()) + [1])
                * g.rsqrt(column).reshaped(Array(shape.dropLast(2)) + [1, shape[shape.count - 1]])
            states = [row, column]
        } else {
            let moment = keep * u.states[u.states.count - 1] + (1 - keep) * square
            direction = u.gradient * g.rsqrt(moment)
            states = [moment]
        }
        let size = rootMeanSquare(g, direction) / clip
        direction = direction / g.max(size, size * 0 + 1) * rate
        if let beta1 {
            direction = beta1 * u.states[0] + (1 - beta1) * direction
            states.insert(direction, at: 0)
        }
        return (u.parameter * (1 - u.weightDecay * rate) - direction, states)
    }

    /// The step's length, [1].
    private func rate(_ u: UpdateInputs) -> Tensor {
        let g = u.g
        var rate = u.learningRate
        if hasRelativeStep {
            let first = warmsUp ? 1e-6 * u.step : u.step * 0 + 1e-2
            rate = g.min(first, g.rsqrt(u.step))
        }
        guard scalesByParameter else { return rate }
        let size = rootMeanSquare(g, u.parameter)
        return rate * g.max(size, size * 0 + smallestScale)
    }

    private func rootMeanSquare(_ g: GraphBuilder, _ x: Tensor) -> Tensor { g.sqrt(g.square(x).mean()).reshaped(1) }
}
