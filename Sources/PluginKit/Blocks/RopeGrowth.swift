import Glibc
import JSON

/// How rotary frequencies depend on the length L of a token's sequence.
public enum RopeGrowth: Sendable {
    /// theta grows by g^(w / (w - 2)), g = factor L / maximum - (factor - 1), when L > maximum. Keys stay as they were made.
    case dynamic(factor: Double, maximum: Int)
    /// The same with g = 2^ceil(log2(L / maximum) + 1) - 1, and L the prompt's length (Qwen 1's use_dynamic_ntk).
    case doubling(maximum: Int)
    /// Other frequencies when L > maximum, for keys that were made before as well (LongRoPE, 2402.13753).
    case exchange(long: [Double], maximum: Int)

    /// "rope_growth" of a model's description.
    var json: JSON {
        switch self {
        case .dynamic(_, let maximum): ["rule": "current", "from": .int(Int64(maximum))]
        case .doubling(let maximum): ["rule": "prompt", "from": .int(Int64(maximum))]
        case .exchange(_, let maximum): ["rule": "exchange", "from": .int(Int64(maximum))]
        }
    }
}

extension RopeFrequencies {
    /// LongRoPE: each frequency divided by a factor of its own, from one list up to the trained length and another past it;
    /// cosine and sine scaled by √(1 + ln s / ln trained), s = maximum / trained.
    init(longrope plain: [Double], _ parameters: ModelConfig, _ config: ModelConfig) throws {
        let maximum = try config.int("max_position_embeddings")
        let trained = try parameters.int(
            "original_max_position_embeddings",
            default: try config.int("original_max_position_embeddings", default: maximum))
        func factors(_ key: String) throws -> [Double] {
            let list = parameters.json[key]?.array?.compactMap(\.double) ?? []
            guard list.count == plain.count, list.allSatisfy({ $0 > 0 }) else {
                throw PluginError(
                    .invalid, "\"\(key)\" has \(list.count) positive numbers, wanted \(plain.count)",
                    at: "config.json: rope_scaling")
            }
            return list
        }
        let stretch = try parameters.double("factor", default: Double(maximum) / Double(max(1, trained)))
        let usual = stretch <= 1 ? 1 : sqrt(1 + log(stretch) / log(Double(trained)))
        self.init(
            values: zip(plain, try factors("short_factor")).map { $0 / $1 },
            scale: try parameters.double("attention_factor", default: usual))
        growth = .exchange(long: zip(plain, try factors("long_factor")).map { $0 / $1 }, maximum: trained)
    }
}

extension GraphBuilder {
    /// The frequencies [n] of all tokens, or [T, n] where each token's depend on the length of its sequence.
    func frequencies(_ rope: RopeFrequencies, _ positions: Tensor) -> Tensor {
        let values = constant(rope.values.map(Float.init), [rope.values.count])
        guard let growth = rope.growth else { return values }
        let length =
            lengths.map { emit1("cast", [$0]).reshaped(-1, 1) }
            ?? emit1("cast", [positions]).max(keepDimensions: true).reshaped(1) + 1
        switch growth {
        case .exchange(let long, let maximum):
            let isLong = less(constant([Float(maximum)], [1]), length)
            return select(isLong, constant(long.map(Float.init), [long.count]), values)
        case .dynamic(let factor, let maximum):
            return values * shrink(length * (factor / Double(maximum)) - (factor - 1), rope.values.count)
        case .doubling(let maximum):
            let doublings = -emit1("floor", [-(log(length * (1 / Double(maximum))) * (1 / M_LN2) + 1)])
            return values * shrink(exp(doublings * M_LN2) - 1, rope.values.count)
        }
    }

    /// max(1, g)^(-2 i / (w - 2)) for pair i of w / 2: what theta's growth does to each frequency.
    private func shrink(_ growth: Tensor, _ pairs: Int) -> Tensor {
        let exponents = (0..<pairs).map { Float(-2 * Double($0) / Double(Swift.max(1, 2 * pairs - 2))) }
        return exp(log(max(growth, constant([Float(1)], [1]))) * constant(exponents, [pairs]))
    }
}
