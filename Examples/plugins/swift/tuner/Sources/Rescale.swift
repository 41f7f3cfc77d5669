import JSON
import PluginKit

/// (IA)³ (Liu et al. 2022, 2205.05638): y' = y ⊙ l with l [out], trained from ones. PEFT keeps l as ia3_l [out, 1].
struct Rescale: Tuner {
    let settings: JSON

    init(settings: JSON) { self.settings = settings }

    func parameters(_ name: String, inWidth: Int, outWidth: Int) -> [TrainedTensor] {
        [TrainedTensor("ia3_l", [outWidth, 1], initial: "ones")]
    }

    func apply(_ g: GraphBuilder, _ site: Site, _ trained: [Tensor], training: Bool) -> Tensor {
        site.y * trained[0].reshaped(1, -1)
    }

    /// Each row of the weight makes one output.
    func merge(_ g: GraphBuilder, _ site: Site, _ trained: [Tensor]) -> Tensor? { site.weight * trained[0] }

    func adapterConfig() -> JSON {
        [
            "peft_type": "IA3", "task_type": "CAUSAL_LM", "base_model_name_or_path": settings["base_model"] ?? .null,
            "target_modules": settings["target_modules"] ?? .null, "feedforward_modules": [],
        ]
    }

    static func settings(adapterConfig: JSON) throws -> JSON {
        guard adapterConfig["peft_type"]?.string == "IA3" else {
            throw PluginError(.unsupported, "wanted \"IA3\"", at: "peft_type")
        }
        guard adapterConfig["feedforward_modules"]?.array?.isEmpty ?? true else {
            throw PluginError(
                .unsupported, "found modules whose inputs are scaled, wanted none", at: "feedforward_modules")
        }
        return [
            "base_model": adapterConfig["base_model_name_or_path"] ?? .null,
            "target_modules": adapterConfig["target_modules"] ?? .null,
        ]
    }
}
