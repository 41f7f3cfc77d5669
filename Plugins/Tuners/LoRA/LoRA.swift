import JSON
import PluginKit

/// Low-rank adaptation (Hu et al. 2021, 2106.09685): y' = y + s · B A x with A [r, in], B [out, r] and s = alpha / r, or
/// alpha / √r for rsLoRA (Kalajdzievski 2023, 2312.03732). DoRA (Liu et al. 2024, 2402.09353) scales each output to a
/// trained magnitude.
struct LoRA: Tuner {
    let settings: JSON
    let defaultRank: Int
    let defaultAlpha, dropout: Double
    let usesRSLoRA, usesDoRA: Bool
    private let rankPatterns, alphaPatterns: SitePatterns

    init(settings: JSON) throws {
        self.settings = settings
        let read = ModelConfig(settings)
        defaultRank = try read.int("rank", default: 8)
        defaultAlpha = try read.double("alpha", default: 32)
        rankPatterns = try SitePatterns(settings["rank_pattern"], "rank_pattern")
        alphaPatterns = try SitePatterns(settings["alpha_pattern"], "alpha_pattern")
        dropout = try read.double("dropout", default: 0.05)
        usesRSLoRA = try read.bool("use_rslora", default: false)
        usesDoRA = try read.bool("use_dora", default: false)
        guard defaultRank >= 1, dropout >= 0, dropout < 1 else {
            throw PluginError(.invalid, "rank \(defaultRank) must be at least 1 and dropout \(dropout) in 0 ..< 1", at: "lora settings")
        }
    }

    /// What a site's product is multiplied by.
    private func scale(_ site: Site, _ trained: [Tensor]) -> Double {
        let rank = Double(trained[0].shape[0])
        let alpha = alphaPatterns.value(site.name) ?? defaultAlpha
        return usesRSLoRA ? alpha / rank.squareRoot() : alpha / rank
    }

    func parameters(_ name: String, inWidth: Int, outWidth: Int) throws -> [TrainedTensor] {
        let rank = rankPatterns.value(name).flatMap { Int(exactly: $0) } ?? defaultRank
        guard rank >= 1 else { throw PluginError(.invalid, "rank_pattern gives \(name) the rank \(rank), wanted at least 1", at: "lora settings") }
        let low = [
            TrainedTensor("lora_A.weight", [rank, inWidth], initial: "kaiming_uniform", group: "a"),
            TrainedTensor("lora_B.weight", [outWidth, rank], initial: "zeros", group: "b"),
        ]
        return usesDoRA ? low + [TrainedTensor("lora_magnitude_vector", [outWidth], initial: "weight_norm")] : low
    }

    func apply(_ g: GraphBuilder, _ site: Site, _ trained: [Tensor], training: Bool) -> Tensor {
        let scale = scale(site, trained)
        let x = training ? g.dropout(site.x, probability: dropout) : site.x
        let low = g.matmul(g.matmul(x, trained[0], transposeB: true), trained[1], transposeB: true)
        guard usesDoRA else { return site.y + scale * low }
        let norm = g.detach(weightNorm(g, site, trained))
        return (site.y + scale * low) * (trained[2] / norm)
    }

    func merge(_ g: GraphBuilder, _ site: Site, _ trained: [Tensor]) -> Tensor? {
        let scale = scale(site, trained)
        let merged = site.weight + scale * g.matmul(trained[1], trained[0])
        guard usesDoRA else { return merged }
        return merged * (trained[2] / weightNorm(g, site, trained)).reshaped(-1, 1)
    }

    /// The length of each row of W + s B A, [out].
    private func weightNorm(_ g: GraphBuilder, _ site: Site, _ trained: [Tensor]) -> Tensor {
        g.sqrt(g.square(site.weight + scale(site, trained) * g.matmul(trained[1], trained[0])).sum(1))
    }

    func adapterConfig() -> JSON {
        [
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": settings["base_model"] ?? .null,
            "r": .int(Int64(defaultRank)), "lora_alpha": Int64(exactly: defaultAlpha).map(JSON.int) ?? .double(defaultAlpha), "lora_dropout": .double(dropout), "bias": "none",
            "fan_in_fan_out": false, "inference_mode": true, "use_rslora": .bool(usesRSLoRA), "use_dora": .bool(usesDoRA),
            "target_modules": settings["target_modules"] ?? .null, "modules_to_save": settings["modules_to_save"] ?? .null,
            "rank_pattern": settings["rank_pattern"] ?? [:], "alpha_pattern": settings["alpha_pattern"] ?? [:],
            "init_lora_weights": true,
        ]
    }

    static func settings(adapterConfig config: JSON) throws -> JSON {
        guard config["peft_type"]?.string == "LORA" else {
            throw PluginError(.unsupported, "peft_type is \(config["peft_type"]?.text() ?? "missing"), wanted \"LORA\"", at: "adapter_config.json")
        }
        return [
            "rank": config["r"] ?? 8, "alpha": config["lora_alpha"] ?? 8, "dropout": config["lora_dropout"] ?? 0,
            "use_rslora": config["use_rslora"] ?? false, "use_dora": config["use_dora"] ?? false,
            "target_modules": config["target_modules"] ?? .null, "base_model": config["base_model_name_or_path"] ?? .null,
            "modules_to_save": config["modules_to_save"] ?? .null, "rank_pattern": config["rank_pattern"] ?? [:],
            "alpha_pattern": config["alpha_pattern"] ?? [:],
        ]
    }
}

/// Numbers by patterns of site names: a name's last parts, or a regular expression over them, as PEFT matches them.
private struct SitePatterns {
    private let entries: [(pattern: Regex<AnyRegexOutput>, value: Double)]

    init(_ json: JSON?, _ key: String) throws {
        entries = try (json?.object ?? JSONObject()).map { name, value in
            guard let number = value.double else {
                throw PluginError(.invalid, "\(key) gives \(name) \(value.text().prefix(40)), wanted a number", at: "lora settings")
            }
            do {
                return (try Regex("(.*\\.)?(\(name))"), number)
            } catch {
                throw PluginError(.invalid, "\(key) holds \"\(name)\", which is no regular expression: \(error)", at: "lora settings")
            }
        }
    }

    func value(_ site: String) -> Double? { entries.first { (try? $0.pattern.wholeMatch(in: site)) != nil }?.value }
}
