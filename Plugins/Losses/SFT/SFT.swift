import JSON
import PluginKit

/// Cross-entropy of the labels, weighted, over the window's number of trained tokens.
struct SFT: Alignment {
    init(settings: JSON) {}

    var needs: ObjectiveNeeds { [] }

    func loss(_ batch: Objective) throws -> Tensor {
        let weighted = try batch.logps * batch.weights
        return try (-weighted.sum() / batch.normalizer.reshaped([])).reshaped([])
    }
}
