import JSON
import PluginKit

/// What the engine was loaded with, and what follows from it for the model at hand.
struct EngineSettings {
    let vocabulary: Int
    let endIDs: Set<Int32>
    let window: Int
    let blockSize: Int
    let blocks: Int
    /// Tokens that a prompt and its answer may have together.
    let longest: Int
    let tokensPerStep: Int
    let sequences: Int
    /// Requests in hand at most.
    let queue: Int
    let sharesPrefixes: Bool
    let growth: LengthGrowth?

    /// - Parameters:
    ///   - options: The document of `load` in kinds/engine.h.
    ///   - model: The runner's description.
    init(_ options: JSON, model: JSON) throws {
        func whole(_ key: String, _ range: ClosedRange<Int>) throws -> Int? {
            guard let value = options[key], !value.isNull else { return nil }
            guard let number = value.int, range ~= number else {
                throw PluginError(
                    .invalid,
                    "\(key) is \(value.text()), wanted a whole number from \(range.lowerBound) to \(range.upperBound)",
                    at: "engine options")
            }
            return number
        }
        guard let vocabulary = model["vocab_size"]?.int, vocabulary > 0,
            let perPosition = model["cache_bytes_per_position"]?.int, perPosition >= 0
        else {
            throw PluginError(.invalid, "the host describes the model without vocab_size or cache_bytes_per_position")
        }
        self.vocabulary = vocabulary
        endIDs = Set((model["end_ids"]?.array ?? []).compactMap { $0.int.flatMap(Int32.init(exactly:)) })
        window = model["window"]?.int ?? 0
        growth = try model["rope_growth"].flatMap { $0.isNull ? nil : try LengthGrowth($0) }
        let multiple = max(1, model["block_multiple"]?.int ?? 1)
        blockSize = (try whole("block_size", 1...4096) ?? 32)
        guard blockSize % multiple == 0 else {
            throw PluginError(
                .invalid, "block_size is \(blockSize), wanted a multiple of \(multiple)", at: "engine options")
        }
        tokensPerStep = try whole("max_tokens_per_step", 1...1_048_576) ?? 512
        sequences = try whole("max_sequences", 1...65536) ?? 16
        queue = try whole("max_queue", 1...Int(Int32.max)) ?? 4096
        sharesPrefixes = options["prefix_caching"]?.bool ?? true

        let positions = model["max_positions"]?.int ?? 0
        let wanted = min(try whole("max_model_len", 1...Int(Int32.max)) ?? Int.max, positions > 0 ? positions : 32768)
        // A quarter of what is free, unless all sequences at full length need less.
        let free = model["memory_free_bytes"]?.int ?? 1 << 30
        let perBlock = max(1, perPosition * blockSize)
        let most = (wanted + blockSize - 1) / blockSize
        let granted = try whole("cache_bytes", 1...Int.max) ?? free / 4
        let (all, overflow) = most.multipliedReportingOverflow(by: sequences)
        blocks = min(max(1, granted / perBlock), overflow ? Int.max : all, Int(Int32.max) / blockSize)
        longest = min(wanted, blocks * blockSize)
    }
}
