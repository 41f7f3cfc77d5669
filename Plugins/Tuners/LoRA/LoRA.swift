import JSON
import PluginKit

/// Low-rank adaptation (Hu et al. 2021, 2106.09685): y' = y + s · B A x with A [r, in], B [out, r] and s = alpha / r, or
/// alpha / √r for rsLoRA (Kalajdzievski 2023, 2312.03732). DoRA (Liu et al. 2024, 2402.09353) scales each output to a
/// trained magnitude. PiSSA (Meng et al. 2024, 2404.02948) starts from the weight's largest singular values.
struct LoRA: Tuner {
    let settings: JSON
    let defaultRank: Int
    let defaultAlpha, dropout: Double
    let usesRSLoRA, usesDoRA: Bool
    private let start: Start
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
        start = try Start(read.string("init_weights", default: "true"))
        guard defaultRank >= 1, dropout >= 0, dropout < 1 else {
            throw PluginError(
                .invalid, "rank \(defaultRank) must be at least 1 and dropout \(dropout) in 0 ..< 1",
                at: "lora settings")
        }
    }

    /// What a site's product is multiplied by.
    private func scale(_ site: String, rank: Int) -> Double {
        let alpha = alphaPatterns.value(site) ?? defaultAlpha
        return usesRSLoRA ? alpha / Double(rank).squareRoot() : alpha / Double(rank)
    }

    private func scale(_ site: Site, _ trained: [Tensor]) -> Double {
        scale(site.name, rank: trained[0].shape.first ?? defaultRank)
    }

    private func rank(_ site: String) throws -> Int {
        let rank = rankPatterns.value(site).flatMap { Int(exactly: $0) } ?? defaultRank
        guard rank >= 1 else {
            throw PluginError(
                .invalid, "rank_pattern gives \(site) the rank \(rank), wanted at least 1", at: "lora settings")
        }
        return rank
    }

    func parameters(_ name: String, inWidth: Int, outWidth: Int) throws -> [TrainedTensor] {
        let rank = try rank(name)
        let (a, b) = ("lora_A.weight", "lora_B.weight")
        // The magnitudes, and the lengths of the frozen weight's rows, which they start from.
        let lengths =
            usesDoRA
            ? [
                TrainedTensor("lora_magnitude_vector", [outWidth], initial: "weight_norm"),
                TrainedTensor("frozen_norm", [outWidth], initial: "weight_norm", isTrained: false),
            ] : []
        if start == .principal { return try principal(name, rank, inWidth, outWidth) + lengths }
        return [
            TrainedTensor(
                a, [rank, inWidth], initial: start == .gaussian ? "normal:\(1 / Double(rank))" : "kaiming_uniform",
                group: "a"),
            TrainedTensor(b, [outWidth, rank], initial: start == .random ? "kaiming_uniform" : "zeros", group: "b"),
        ] + lengths
    }

    /// The factors, and the ones that they start from, whose product is taken off: y + s (B A - B₀ A₀) x starts as the model is.
    /// Published as one LoRA of twice the rank, [A; A₀] and [B, -B₀], which needs no changed weights.
    private func principal(_ name: String, _ rank: Int, _ inWidth: Int, _ outWidth: Int) throws -> [TrainedTensor] {
        guard rank <= min(inWidth, outWidth) else {
            throw PluginError(
                .invalid, "\(name) [\(outWidth), \(inWidth)] has fewer singular values than the rank \(rank)",
                at: "lora settings")
        }
        return [
            TrainedTensor(
                "lora_A.weight", [rank, inWidth], initial: "computed", group: "a",
                join: .init("start_A.weight", axis: 0, factor: 1)),
            TrainedTensor(
                "lora_B.weight", [outWidth, rank], initial: "computed", group: "b",
                join: .init("start_B.weight", axis: 1, factor: -1)),
            TrainedTensor("start_A.weight", [rank, inWidth], initial: "computed", isTrained: false),
            TrainedTensor("start_B.weight", [outWidth, rank], initial: "computed", isTrained: false),
        ]
    }

    func initial(_ weight: FrozenWeight) throws -> [String: [Float]] {
        let rank = try rank(weight.name)
        let factors = try SingularValues(weight, count: rank).factors(scale: scale(weight.name, rank: rank))
        return [
            "lora_A.weight": factors.a, "lora_B.weight": factors.b, "start_A.weight": factors.a,
            "start_B.weight": factors.b,
        ]
    }

    func apply(_ g: GraphBuilder, _ site: Site, _ trained: [Tensor], training: Bool) -> Tensor {
        let scale = scale(site, trained)
        let x = training ? g.dropout(site.x, probability: dropout) : site.x
        // Scaled where there are fewest numbers; then it is a product beside the weight's, which the graph joins.
        func product(_ x: Tensor, _ down: Tensor, _ up: Tensor) -> Tensor {
            g.matmul(scale * g.matmul(x, down, transposeB: true), up, transposeB: true)
        }
        var tuned = site.y + product(x, trained[0], trained[1])
        if start == .principal { tuned = tuned - product(site.x, trained[2], trained[3]) }
        guard usesDoRA else { return tuned }
        let norm = g.detach(adaptedNorm(g, site, trained))
        return tuned * (trained[trained.count - 2] / norm)
    }

    /// The length of each row of W + s B A, [out], from the lengths of W's: |w|² + 2 s (W Aᵀ) · B + s² (B A Aᵀ) · B by rows. W is
    /// multiplied as it lies in memory, quantized or not, and never unfolded.
    private func adaptedNorm(_ g: GraphBuilder, _ site: Site, _ trained: [Tensor]) -> Tensor {
        let scale = scale(site, trained)
        var (a, b) = (trained[0], trained[1])
        if start == .principal { (a, b) = (g.concat([a, trained[2]], axis: 0), g.concat([b, -trained[3]], axis: 1)) }
        let product = g.emit1("linear", [a, site.weight, nil]).transposed(1, 0)
        let gram = g.matmul(b, g.matmul(a, a, transposeB: true))
        return g.sqrt(
            g.square(trained[trained.count - 1]) + 2 * scale * (product * b).sum(1) + scale * scale * (gram * b).sum(1))
    }

    func merge(_ g: GraphBuilder, _ site: Site, _ trained: [Tensor]) -> Tensor? {
        let scale = scale(site, trained)
        var merged = site.weight + scale * g.matmul(trained[1], trained[0])
        if start == .principal { merged = merged - scale * g.matmul(trained[3], trained[2]) }
        guard usesDoRA else { return merged }
        return merged * (trained[trained.count - 2] / g.sqrt(g.square(merged).sum(1))).reshaped(-1, 1)
    }

    func adapterConfig() -> JSON {
        // Twice the rank is published for PiSSA, under the same scale.
        let parts = start == .principal ? 2 : 1
        let alpha = defaultAlpha * (usesRSLoRA ? Double(parts).squareRoot() : Double(parts))
        func times(_ pattern: JSON?, _ factor: Double) -> JSON {
            .object(JSONObject((pattern?.object ?? JSONObject()).map { ($0, Self.number(($1.double ?? 0) * factor)) }))
        }
        return [
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": settings["base_model"] ?? .null,
            "r": .int(Int64(parts * defaultRank)), "lora_alpha": Self.number(alpha), "lora_dropout": .double(dropout),
            "bias": "none",
            "fan_in_fan_out": false, "inference_mode": true, "use_rslora": .bool(usesRSLoRA),
            "use_dora": .bool(usesDoRA),
            "target_modules": settings["target_modules"] ?? .null,
            "modules_to_save": settings["modules_to_save"] ?? .null,
            "rank_pattern": times(settings["rank_pattern"], Double(parts)),
            "alpha_pattern": times(settings["alpha_pattern"], alpha / defaultAlpha), "init_lora_weights": true,
        ]
    }

    private static func number(_ value: Double) -> JSON { Int64(exactly: value).map(JSON.int) ?? .double(value) }

    static func settings(adapterConfig config: JSON) throws -> JSON {
        guard config["peft_type"]?.string == "LORA" else {
            throw PluginError(
                .unsupported, "peft_type is \(config["peft_type"]?.text() ?? "missing"), wanted \"LORA\"",
                at: "adapter_config.json")
        }
        return [
            "rank": config["r"] ?? 8, "alpha": config["lora_alpha"] ?? 8, "dropout": config["lora_dropout"] ?? 0,
            "use_rslora": config["use_rslora"] ?? false, "use_dora": config["use_dora"] ?? false,
            "target_modules": config["target_modules"] ?? .null,
            "base_model": config["base_model_name_or_path"] ?? .null,
            "modules_to_save": config["modules_to_save"] ?? .null, "rank_pattern": config["rank_pattern"] ?? [:],
            "alpha_pattern": config["alpha_pattern"] ?? [:],
        ]
    }
}

/// What the factors are before the first step, by ms-swift's names.
private enum Start {
    /// A evenly from ±1/√in, B zero; both even; A normal with deviation 1 / r; the weight's largest singular values.
    case zero, random, gaussian, principal

    init(_ name: String) throws {
        switch name {
        case "true": self = .zero
        case "false": self = .random
        case "gaussian": self = .gaussian
        // The exact singular values do for any number of iterations.
        case "pissa": self = .principal
        case _ where name.hasPrefix("pissa_niter_"): self = .principal
        default:
            throw PluginError(
                .unsupported, "init_weights is \"\(name)\", wanted true, false, gaussian, pissa or pissa_niter_N",
                at: "lora settings")
        }
    }
}

/// Numbers by patterns of site names: a name's last parts, or a regular expression over them, as PEFT matches them.
private struct SitePatterns {
    private let entries: [(pattern: Regex<AnyRegexOutput>, value: Double)]

    init(_ json: JSON?, _ key: String) throws {
        entries = try (json?.object ?? JSONObject()).map { name, value in
            guard let number = value.double else {
                throw PluginError(
                    .invalid, "\(key) gives \(name) \(value.text().prefix(40)), wanted a number", at: "lora settings")
            }
            do {
                return (try Regex("(.*\\.)?(\(name))"), number)
            } catch {
                throw PluginError(
                    .invalid, "\(key) holds \"\(name)\", which is no regular expression: \(error)", at: "lora settings")
            }
        }
    }

    func value(_ site: String) -> Double? { entries.first { (try? $0.pattern.wholeMatch(in: site)) != nil }?.value }
}
