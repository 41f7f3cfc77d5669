import JSON
import PluginKit

/// Low-rank adaptation (Hu et al. 2021, 2106.09685): y' = y + s · B A x with A [r, in], B [out, r] and s = alpha / r, or
/// alpha / √r for rsLoRA (Kalajdzievski 2023, 2312.03732). DoRA (Liu et al. 2024, 2402.09353) scales each output to a
/// trained magnitude.
struct LoRA: Tuner {
    let settings: JSON
    let rank: Int
    let alpha, dropout: Double
    let usesRSLoRA, usesDoRA: Bool

    init(settings: JSON) throws {
        self.settings = settings
        let read = ModelConfig(settings)
        rank = try read.int("rank", default: 8)
        alpha = try read.double("alpha", default: 32)
        dropout = try read.double("dropout", default: 0.05)
        usesRSLoRA = try read.bool("use_rslora", default: false)
        usesDoRA = try read.bool("use_dora", default: false)
        guard rank >= 1, dropout >= 0, dropout < 1 else {
            throw PluginError(.invalid, "rank \(rank) must be at least 1 and dropout \(dropout) in 0 ..< 1", at: "lora settings")
        }
    }

    private var scale: Double { usesRSLoRA ? alpha / Double(rank).squareRoot() : alpha / Double(rank) }

    func parameters(inWidth: Int, outWidth: Int) -> [TrainedTensor] {
        let low = [
            TrainedTensor("lora_A.weight", [rank, inWidth], initial: "kaiming_uniform", group: "a"),
            TrainedTensor("lora_B.weight", [outWidth, rank], initial: "zeros", group: "b"),
        ]
        return usesDoRA ? low + [TrainedTensor("lora_magnitude_vector", [outWidth], initial: "weight_norm")] : low
    }

    func apply(_ g: GraphBuilder, _ site: Site, _ trained: [Tensor], training: Bool) -> Tensor {
        let x = training ? g.dropout(site.x, probability: dropout) : site.x
        let low = g.matmul(g.matmul(x, trained[0], transposeB: true), trained[1], transposeB: true)
        guard usesDoRA else { return site.y + scale * low }
        let norm = g.detach(weightNorm(g, site, trained))
        return (site.y + scale * low) * (trained[2] / norm)
    }

    func merge(_ g: GraphBuilder, _ site: Site, _ trained: [Tensor]) -> Tensor? {
        let merged = site.weight + scale * g.matmul(trained[1], trained[0])
        guard usesDoRA else { return merged }
        return merged * (trained[2] / weightNorm(g, site, trained)).reshaped(-1, 1)
    }

    /// The length of each row of W + s B A, [out].
    private func weightNorm(_ g: GraphBuilder, _ site: Site, _ trained: [Tensor]) -> Tensor {
        g.sqrt(g.square(site.weight + scale * g.matmul(trained[1], trained[0])).sum(1))
    }

    func adapterConfig() -> JSON {
        [
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": settings["base_model"] ?? .null,
            "r": .int(Int64(rank)), "lora_alpha": .double(alpha), "lora_dropout": .double(dropout), "bias": "none",
            "fan_in_fan_out": false, "inference_mode": true, "use_rslora": .bool(usesRSLoRA), "use_dora": .bool(usesDoRA),
            "target_modules": settings["target_modules"] ?? .null, "modules_to_save": settings["modules_to_save"] ?? .null,
            "rank_pattern": [:], "alpha_pattern": [:], "init_lora_weights": true,
        ]
    }

    static func settings(adapterConfig config: JSON) throws -> JSON {
        guard config["peft_type"]?.string == "LORA" else {
            throw PluginError(.unsupported, "peft_type is \(config["peft_type"]?.text() ?? "missing"), wanted \"LORA\"", at: "adapter_config.json")
        }
        for key in ["rank_pattern", "alpha_pattern"] where config[key]?.object?.isEmpty == false {
            throw PluginError(.unsupported, "\"\(key)\" gives sites ranks of their own, which this version does not read", at: "adapter_config.json")
        }
        return [
            "rank": config["r"] ?? 8, "alpha": config["lora_alpha"] ?? 8, "dropout": config["lora_dropout"] ?? 0,
            "use_rslora": config["use_rslora"] ?? false, "use_dora": config["use_dora"] ?? false,
            "target_modules": config["target_modules"] ?? .null, "base_model": config["base_model_name_or_path"] ?? .null,
            "modules_to_save": config["modules_to_save"] ?? .null,
        ]
    }
}
