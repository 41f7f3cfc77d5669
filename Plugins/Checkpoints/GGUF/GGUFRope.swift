import Glibc
import JSON

/// Rope settings that GGUF holds as tensors of factors and Hugging Face as members of config.json.
enum GGUFRope {
    static func long(_ file: GGUFFile) -> JSON? { factors(file, "rope_factors_long.weight").map(list) }
    static func short(_ file: GGUFFile) -> JSON? { factors(file, "rope_factors_short.weight").map(list) }

    /// "rope_scaling" of Llama 3.1 and later, whose factors (unscaled frequency / scaled) are in "rope_freqs.weight".
    ///
    /// All published ones have low 1, high 4 and 8192 positions, others maybe another power of two; the factor is the largest of
    /// the tensor. The settings are given only if they bring back every factor of the file, by the formula of
    /// transformers' `_compute_llama3_parameters`.
    static func llama3(_ file: GGUFFile, theta: Double) -> JSON? {
        guard let factors = factors(file, "rope_freqs.weight"), let factor = factors.max(), factor > 1, theta > 1
        else { return nil }
        let (low, high) = (1.0, 4.0)
        func fits(_ positions: Double) -> Bool {
            factors.enumerated().allSatisfy { i, found in
                let wavelength = 2 * Double.pi * pow(theta, Double(i) / Double(factors.count))
                let share = min(max((positions / wavelength - low) / (high - low), 0), 1)
                let wanted = 1 / ((1 - share) / Double(factor) + share)
                return abs(Double(found) - wanted) <= 1e-3 * wanted
            }
        }
        guard let positions = ([8192] + (4...20).map { Double(1 << $0) }).first(where: fits) else { return nil }
        return [
            "rope_type": "llama3", "factor": .double(Double(factor)), "low_freq_factor": .double(low),
            "high_freq_factor": .double(high), "original_max_position_embeddings": .int(Int64(positions)),
        ]
    }

    /// The values of a small f32 vector of the file.
    private static func factors(_ file: GGUFFile, _ name: String) -> [Float]? {
        guard let tensor = file.tensors.first(where: { $0.name == name }), tensor.layout.id == "f32",
            tensor.shape.count == 1, (1...4096).contains(tensor.shape[0])
        else { return nil }
        return (0..<tensor.shape[0]).map {
            file.bytes.loadUnaligned(fromByteOffset: tensor.offset + 4 * $0, as: Float.self)
        }
    }

    private static func list(_ factors: [Float]) -> JSON {
        .array(factors.map { .double(Double("\($0)") ?? Double($0)) })
    }
}
