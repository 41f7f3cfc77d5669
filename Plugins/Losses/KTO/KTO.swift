import JSON
import PluginKit

/// Kahneman-Tversky optimisation (Ethayarajh et al. 2024, 2402.01306) over single answers that are desirable or not. With h the
/// log-ratio of policy to reference and z an estimate of their divergence: w_D (1 - σ(β (h - z))) for what is desirable,
/// w_U (1 - σ(β (z - h))) for what is not. APO-zero of unpaired answers (D'Oosterlinck et al. 2024, 2408.06266) has z = 0.
struct KTO: Alignment {
    private let beta, desirable, undesirable: Double
    private let estimatesDivergence: Bool

    init(settings: JSON) throws {
        let read = ModelConfig(settings)
        beta = try read.double("beta", default: 0.1)
        desirable = try read.double("desirable_weight", default: 1)
        undesirable = try read.double("undesirable_weight", default: 1)
        let kind = try read.string("loss_type", default: "kto")
        guard ["kto", "apo_zero_unpaired"].contains(kind) else {
            throw PluginError(
                .unsupported, "loss_type \"\(kind)\" is unknown; known are kto, apo_zero_unpaired", at: "kto")
        }
        guard beta > 0, desirable >= 0, undesirable >= 0 else {
            throw PluginError(
                .invalid,
                "beta \(beta) must be above 0, and the weights \(desirable) and \(undesirable) not below it", at: "kto")
        }
        estimatesDivergence = kind == "kto"
    }

    var needs: ObjectiveNeeds {
        estimatesDivergence ? [.labels, .reference, .mismatched] : [.labels, .reference]
    }

    func loss(_ batch: Objective) throws -> Tensor {
        let g = batch.g
        let ratio = try batch.sequenceLogps - batch.referenceSequenceLogps
        let excess = try divergence(batch).map { ratio - $0 } ?? ratio
        let good = desirable * (1 - g.sigmoid(beta * excess))
        let bad = undesirable * (1 - g.sigmoid(-(beta * excess)))
        return try (g.select(batch.labels, good, bad).sum() / batch.normalizer.reshaped([])).reshaped([])
    }

    /// The mean log-ratio of answers that belong to other prompts, 0 at least; the gradient passes it by.
    private func divergence(_ batch: Objective) throws -> Tensor? {
        guard estimatesDivergence else { return nil }
        let g = batch.g
        return g.detach(g.relu(try (batch.mismatchedLogps - batch.mismatchedReferenceLogps).mean()))
    }

    func metrics(_ batch: Objective) throws -> [(name: String, sum: Tensor, count: Tensor)] {
        let good = try batch.labels
        let bad = 1 - good
        let reward = beta * (try batch.sequenceLogps - batch.referenceSequenceLogps)
        var metrics = [
            (name: "rewards/chosen", sum: (reward * good).sum(), count: good.sum()),
            (name: "rewards/rejected", sum: (reward * bad).sum(), count: bad.sum()),
        ]
        if let divergence = try divergence(batch) {
            metrics.append((name: "kl", sum: divergence.reshaped([]), count: (good * 0 + 1).mean()))
        }
        return metrics
    }
}
