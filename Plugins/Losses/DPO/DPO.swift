import Glibc
import JSON
import PluginKit

/// Direct preference optimisation (Rafailov et al. 2023, 2305.18290) and its variants. With h the log-ratio of policy to
/// reference and Δ = h(chosen) - h(rejected), x = β Δ.
struct DPO: Alignment {
    let beta, smoothing, tau: Double
    let kind: String

    static let kinds = [
        "sigmoid", "robust", "exo_pair", "hinge", "ipo", "sppo_hard", "nca_pair", "apo_zero", "apo_down", "discopop",
    ]

    init(settings: JSON) throws {
        let read = ModelConfig(settings)
        beta = try read.double("beta", default: 0.1)
        smoothing = try read.double("label_smoothing", default: 0)
        tau = try read.double("discopop_tau", default: 0.05)
        kind = try read.string("loss_type", default: "sigmoid")
        guard Self.kinds.contains(kind) else {
            throw PluginError(
                .unsupported, "loss_type \"\(kind)\" is unknown; known are \(Self.kinds.joined(separator: ", "))", at: "dpo")
        }
        guard beta > 0, smoothing >= 0, smoothing < 0.5 else {
            throw PluginError(.invalid, "beta \(beta) must be above 0 and label_smoothing \(smoothing) in 0 ..< 0.5", at: "dpo")
        }
    }

    var needs: ObjectiveNeeds { [.pairs, .reference] }

    func loss(_ batch: Objective) throws -> Tensor {
        let pairs = try losses(batch)
        return try (pairs.sum() / batch.normalizer.reshaped([])).reshaped([])
    }

    /// The log-ratios of chosen and rejected, [pairs] each.
    private func ratios(_ batch: Objective) throws -> (chosen: Tensor, rejected: Tensor) {
        var ratio = try batch.sequenceLogps - batch.referenceSequenceLogps
        if kind == "ipo" { ratio = try ratio / batch.sequenceLengths }
        return batch.pairs(ratio)
    }

    private func losses(_ batch: Objective) throws -> Tensor {
        let g = batch.g
        let (w, l) = try ratios(batch)
        let x = beta * (w - l)
        switch kind {
        case "robust":
            return ((1 - smoothing) * -g.logSigmoid(x) + smoothing * g.logSigmoid(-x)) / (1 - 2 * smoothing)
        case "exo_pair":
            // The paper's limit of no smoothing is taken at 1e-3.
            let s = smoothing == 0 ? 1e-3 : smoothing
            let (logKeep, logFlip) = (log(1 - s), log(s))
            return g.sigmoid(x) * (g.logSigmoid(x) - logKeep) + g.sigmoid(-x) * (g.logSigmoid(-x) - logFlip)
        case "hinge": return g.relu(1 - x)
        case "ipo": return g.square(w - l - 1 / (2 * beta))
        case "sppo_hard": return g.square(w - 0.5 / beta) + g.square(l + 0.5 / beta)
        case "nca_pair":
            return -g.logSigmoid(beta * w) - 0.5 * g.logSigmoid(-beta * w) - 0.5 * g.logSigmoid(-beta * l)
        case "apo_zero": return 1 - g.sigmoid(beta * w) + g.sigmoid(beta * l)
        case "apo_down": return g.sigmoid(beta * w) + 1 - g.sigmoid(beta * (w - l))
        case "discopop":
            let modulation = g.sigmoid(x / tau)
            return -g.logSigmoid(x) * (1 - modulation) + g.exp(-x) * modulation
        default: return (1 - smoothing) * -g.logSigmoid(x) - smoothing * g.logSigmoid(-x)
        }
    }

    func metrics(_ batch: Objective) throws -> [(name: String, sum: Tensor, count: Tensor)] {
        let g = batch.g
        let (w, l) = try ratios(batch)
        let count = (w * 0 + 1).sum()
        let wins = g.less(l, w)
        return [
            ("rewards/chosen", (beta * w).sum(), count), ("rewards/rejected", (beta * l).sum(), count),
            ("rewards/margins", (beta * (w - l)).sum(), count), ("rewards/accuracies", wins.sum(), count),
        ]
    }
}
