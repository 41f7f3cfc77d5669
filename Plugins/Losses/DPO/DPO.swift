import Glibc
import JSON
import PluginKit

/// Direct preference optimisation (Rafailov et al. 2023, 2305.18290) and its variants. With h the log-ratio of policy to
/// reference and Δ = h(chosen) - h(rejected), x = β Δ.
struct DPO: Alignment {
    let beta, smoothing, tau, delta, alphaCoefficient: Double
    let kind, divergence: String

    static let kinds = [
        "sigmoid", "robust", "exo_pair", "hinge", "ipo", "bco_pair", "sppo_hard", "nca_pair", "aot", "aot_unpaired",
        "apo_zero",
        "apo_down", "discopop", "sigmoid_norm",
    ]
    static let divergences = ["reverse_kl", "forward_kl", "js_divergence", "alpha_divergence"]

    init(settings: JSON) throws {
        let read = ModelConfig(settings)
        beta = try read.double("beta", default: 0.1)
        smoothing = try read.double("label_smoothing", default: 0)
        tau = try read.double("discopop_tau", default: 0.05)
        // BCO's reference point (Jung et al. 2024, 2404.04656).
        delta = try read.double("delta", default: 0)
        alphaCoefficient = try read.double("f_alpha_divergence_coef", default: 0.5)
        divergence = try read.string("f_divergence_type", default: "reverse_kl")
        kind = try read.string("loss_type", default: "sigmoid")
        guard Self.divergences.contains(divergence) else {
            throw PluginError(
                .unsupported,
                "f_divergence_type \"\(divergence)\" is unknown; known are \(Self.divergences.joined(separator: ", "))",
                at: "dpo")
        }
        guard Self.kinds.contains(kind) else {
            throw PluginError(
                .unsupported, "loss_type \"\(kind)\" is unknown; known are \(Self.kinds.joined(separator: ", "))",
                at: "dpo")
        }
        guard alphaCoefficient != 1 else {
            throw PluginError(.invalid, "f_alpha_divergence_coef 1 is reverse_kl; name that", at: "dpo")
        }
        guard beta > 0, smoothing >= 0, smoothing < 0.5 else {
            throw PluginError(
                .invalid, "beta \(beta) must be above 0 and label_smoothing \(smoothing) in 0 ..< 0.5", at: "dpo")
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
        if kind == "ipo" || kind == "sigmoid_norm" { ratio = try ratio / batch.sequenceLengths }
        return batch.pairs(ratio)
    }

    private func losses(_ batch: Objective) throws -> Tensor {
        let g = batch.g
        let (w, l) = try ratios(batch)
        let x = beta * (score(g, w) - score(g, l))
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
        case "bco_pair": return -g.logSigmoid(beta * w - delta) - g.logSigmoid(-(beta * l - delta))
        case "aot":
            // Sorted over the pairs of a batch (Melnyk et al. 2024, 2406.05882): what is compared depends on the batch's size.
            let (policy, reference) = (
                batch.pairs(try batch.sequenceLogps), batch.pairs(try batch.referenceSequenceLogps)
            )
            return smoothed(
                g,
                beta * (sorted(g, policy.chosen - policy.rejected) - sorted(g, reference.chosen - reference.rejected)))
        case "aot_unpaired": return smoothed(g, beta * (sorted(g, w) - sorted(g, l)))
        case "sppo_hard": return g.square(w - 0.5 / beta) + g.square(l + 0.5 / beta)
        case "nca_pair":
            return -g.logSigmoid(beta * w) - 0.5 * g.logSigmoid(-beta * w) - 0.5 * g.logSigmoid(-beta * l)
        case "apo_zero": return 1 - g.sigmoid(beta * w) + g.sigmoid(beta * l)
        case "apo_down": return g.sigmoid(beta * w) + 1 - g.sigmoid(beta * (w - l))
        case "discopop":
            let modulation = g.sigmoid(x / tau)
            return -g.logSigmoid(x) * (1 - modulation) + g.exp(-x) * modulation
        default: return smoothed(g, x)
        }
    }

    private func smoothed(_ g: GraphBuilder, _ x: Tensor) -> Tensor {
        (1 - smoothing) * -g.logSigmoid(x) - smoothing * g.logSigmoid(-x)
    }

    /// From the smallest on, equal values in their order, as TRL sorts them: which of them meets which decides their slopes.
    private func sorted(_ g: GraphBuilder, _ x: Tensor) -> Tensor { -g.topK(-x, x.shape[0]).values }

    /// What a log-ratio counts for under an f-divergence (Wang et al. 2023, 2309.16240), up to a constant.
    private func score(_ g: GraphBuilder, _ ratio: Tensor) -> Tensor {
        switch divergence {
        case "forward_kl": return 1 - g.exp(-ratio)
        case "js_divergence": return g.logSigmoid(ratio) + log(2)
        case "alpha_divergence":
            return (g.exp((alphaCoefficient - 1) * ratio) - 1) / (alphaCoefficient - 1)
        default: return ratio
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
