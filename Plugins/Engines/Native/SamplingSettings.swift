import JSON
import PluginKit

/// How the next token of a request is chosen; the document of mt_request.
struct SamplingSettings {
    /// 0 takes the likeliest token.
    var temperature = 0.0
    /// Choose among so many; 0 = all.
    var topK = 0
    /// Choose among the likeliest that make up this share (Holtzman et al. 2019, 1904.09751); 1 = all.
    var topP = 1.0
    /// Choose among those with at least this share of the likeliest one's probability (Nguyen et al. 2024, 2407.01082).
    var minP = 0.0
    /// Divides positive and multiplies negative logits of tokens in the text so far (Keskar et al. 2019, 1909.05858).
    var repetitionPenalty = 1.0
    /// Subtracted from the logits of generated tokens, once, and times their number, as OpenAI's API defines them.
    var presencePenalty = 0.0
    var frequencyPenalty = 0.0
    var bias: [Int32: Float] = [:]
    /// nil draws from a stream of the request's own that differs from run to run.
    var seed: UInt64?
    /// Tokens to generate; nil = as many as there is room for.
    var maximumTokens: Int?
    var stopIDs: Set<Int32> = []
    var ignoresEnd = false
    /// How many of the likeliest tokens are reported with each token; nil reports no log-probabilities at all.
    var logprobs: Int?

    var countsTokens: Bool { presencePenalty != 0 || frequencyPenalty != 0 }

    init() {}

    /// - Throws: `PluginError(.invalid, …)` naming the key, what was found and what was wanted.
    init(_ json: JSON, vocabulary: Int) throws {
        func number(_ key: String, _ range: ClosedRange<Double>, _ fallback: Double) throws -> Double {
            guard let value = json[key], !value.isNull else { return fallback }
            guard let number = value.double, range ~= number else {
                throw PluginError(
                    .invalid,
                    "\(key) is \(value.text()), wanted a number from \(range.lowerBound) to \(range.upperBound)",
                    at: "sampling")
            }
            return number
        }
        func whole(_ key: String, _ range: ClosedRange<Int>) throws -> Int? {
            guard let value = json[key], !value.isNull else { return nil }
            guard let number = value.int, range ~= number else {
                throw PluginError(
                    .invalid,
                    "\(key) is \(value.text()), wanted a whole number from \(range.lowerBound) to \(range.upperBound)",
                    at: "sampling")
            }
            return number
        }
        temperature = try number("temperature", 0...1000, 0)
        topK = try whole("top_k", -1...Int(Int32.max)).map { max(0, $0) } ?? 0
        topP = try number("top_p", 0...1, 1)
        minP = try number("min_p", 0...1, 0)
        repetitionPenalty = try number("repetition_penalty", 0.001...1000, 1)
        presencePenalty = try number("presence_penalty", -1000...1000, 0)
        frequencyPenalty = try number("frequency_penalty", -1000...1000, 0)
        seed = try whole("seed", Int.min...Int.max).map { UInt64(bitPattern: Int64($0)) }
        maximumTokens = try whole("max_tokens", 1...Int(Int32.max))
        logprobs = try whole("logprobs", 0...100)
        ignoresEnd = json["ignore_eos"]?.bool ?? false
        stopIDs = Set((json["stop_ids"]?.array ?? []).compactMap { $0.int.flatMap(Int32.init(exactly:)) })
        for (key, value) in json["logit_bias"]?.object ?? JSONObject() {
            guard let id = Int32(key), id >= 0, Int(id) < vocabulary, let add = value.double, abs(add) <= 1e6 else {
                throw PluginError(
                    .invalid,
                    "logit_bias has \"\(key)\": \(value.text()), wanted token ids below \(vocabulary) with numbers",
                    at: "sampling")
            }
            bias[id] = Float(add)
        }
    }
}
