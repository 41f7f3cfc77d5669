import JSON
import PluginKit

/// Adafactor (Shazeer & Stern 2018, 1804.04235): the second moment of a matrix as the product of a row and a column, and
/// updates that are clipped by their own length.
///
/// transformers' form by default; `form=torch` is that of torch.optim.Adafactor, which differs in where 1e-30 stands, in that
/// the rate is at most 1 / √t and in decay by the rate alone.
struct Adafactor: Optimizer {
    private let epsilon1, epsilon2, clip, decayRate: Double
    private let beta1: Double?
    private let scalesParameter, isRelative, warmsUp, isTorch: Bool

    init(settings: JSON) throws {
        let read = ModelConfig(settings)
        epsilon1 = try read.double("eps1", default: 1e-30)
        epsilon2 = try read.double("eps2", default: 1e-3)
        clip = try read.double("clip_threshold", default: 1)
        decayRate = try read.double("decay_rate", default: -0.8)
        beta1 = settings["beta1"]?.isNull ?? true ? nil : try read.double("beta1", default: 0.9)
        scalesParameter = try read.bool("scale_parameter", default: false)
        isRelative = try read.bool("relative_step", default: false)
        warmsUp = try read.bool("warmup_init", default: false)
        let form = try read.string("form", default: "transformers")
        isTorch = form == "torch"
        guard isTorch || form == "transformers", clip > 0 else {
            throw PluginError(
                .invalid,
                "form is \"\(form)\", wanted transformers or torch; clip_threshold is \(clip), wanted above 0",
                at: "optimizer settings")
        }
    }

    func states(shape: [Int]) -> [OptimizerState] {
        let moments =
            shape.count < 2
            ? [OptimizerState("exp_avg_sq", shape)]
            : [
                OptimizerState("exp_avg_sq_row", shape.dropLast()),
                OptimizerState("exp_avg_sq_col", shape.dropLast(2) + shape.suffix(1)),
            ]
        return moments + (beta1 == nil ? [] : [OptimizerState("exp_avg", shape)])
    }

    func update(_ u: UpdateInputs) -> (parameter: Tensor, states: [Tensor]) {
        let g = u.g
        let (scale, moments) = inverseRoot(u)
        var update = u.gradient * scale
        update = update / g.max(g.rootMeanSquare(update) / clip, g.constant([1.0], [1]))
        let rate = rate(u)
        update = rate * update
        var states = moments
        if let beta1, let old = u.states.last {
            update = beta1 * old + (1 - beta1) * update
            states.append(update)
        }
        let decay = isTorch ? u.learningRate : rate
        return (u.parameter * (1 - decay * u.weightDecay) - update, states)
    }

    private func rate(_ u: UpdateInputs) -> Tensor {
        let g = u.g
        let decaying = g.rsqrt(u.step)
        var rate = u.learningRate
        if isTorch {
            rate = g.min(rate, decaying)
        } else if isRelative {
            rate = g.min(warmsUp ? 1e-6 * u.step : g.constant([1e-2], [1]), decaying)
        }
        guard scalesParameter || isTorch else { return rate }
        return g.max(g.rootMeanSquare(u.parameter), g.constant([Float(epsilon2)], [1])) * rate
    }

    /// 1 / √v and the states after this gradient.
    private func inverseRoot(_ u: UpdateInputs) -> (Tensor, [Tensor]) {
        let g = u.g
        let rank = u.parameter.shape.count
        // 1 - β₂ at step t is t^decay.
        let fresh = g.pow(u.step, g.constant([Float(decayRate)], [1]))
        let square = isTorch ? g.square(u.gradient) : g.square(u.gradient) + epsilon1
        func mixed(_ old: Tensor, _ new: Tensor) -> Tensor { (1 - fresh) * old + fresh * new }
        func floored(_ x: Tensor, _ least: Double) -> Tensor { g.max(x, g.constant([Float(least)], [1])) }
        guard rank >= 2 else {
            let v = mixed(u.states[0], square)
            return (g.rsqrt(isTorch ? floored(v, epsilon1 * epsilon1) : v), [v])
        }
        let row = mixed(u.states[0], square.mean(rank - 1))
        let column = mixed(u.states[1], square.mean(rank - 2))
        let mean = row.mean(rank - 2, keepDimensions: true)
        let rows = row.shape + [1]
        let columns = Array(column.shape.dropLast()) + [1] + column.shape.suffix(1)
        if isTorch {
            let v = (row / floored(mean, epsilon1)).reshaped(rows) * column.reshaped(columns)
            return (g.rsqrt(floored(v, epsilon1 * epsilon1)), [row, column])
        }
        return (g.rsqrt(row / mean).reshaped(rows) * g.rsqrt(column).reshaped(columns), [row, column])
    }
}
