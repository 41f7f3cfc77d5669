import JSON
import PluginKit

/// How keys depend on the length of their sequence: "rope_growth" of the host's description in kinds/engine.h.
struct LengthGrowth {
    enum Rule: String {
        /// Past `start` all of a sequence's keys are others.
        case exchange
        /// Past `start` a key depends on the length at which it was made.
        case current
        /// Past `start` keys depend on the prompt's length.
        case prompt
    }

    let rule: Rule
    let start: Int

    init(_ json: JSON) throws {
        guard let rule = json["rule"]?.string.flatMap(Rule.init), let start = json["from"]?.int else {
            throw PluginError(
                .unsupported, "this engine does not know how the model's keys depend on the length: \(json.text())",
                at: "rope_growth")
        }
        self.rule = rule
        self.start = start
    }
}
