import JSON
import PluginKit

/// The focal loss (Lin et al. 2017) over trained tokens: -(1 - p)^2 log p, so that what the model knows well counts less.
struct Focal: Alignment {
    init(settings: JSON) {}

    var needs: ObjectiveNeeds { [] }

    func loss(_ batch: Objective) throws -> Tensor {
        let logps = try batch.logps
        let miss = 1 - batch.g.exp(logps)
        let weighted = try logps * miss * miss * batch.weights
        return try (-weighted.sum() / batch.normalizer.reshaped([])).reshaped([])
    }
}
