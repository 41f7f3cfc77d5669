package import JSON

/// How an answer is generated. What is nil is left to the model's generation_config.json, and then to the engine.
package struct GenerationSettings: Sendable {
    package var temperature: Double?
    package var topK: Int?
    package var topP: Double?
    package var minP: Double?
    package var repetitionPenalty: Double?
    package var presencePenalty: Double?
    package var frequencyPenalty: Double?
    package var logitBias: JSONObject?
    package var seed: Int?
    /// Tokens to generate at most; nil = as many as there is room for.
    package var maximumTokens: Int?
    /// Texts that end the answer, and are not part of it.
    package var stopWords: [String] = []
    /// How many of the likeliest tokens are reported with each token; nil reports none, not the token's own either.
    package var logprobs: Int?
    package var ignoresEnd = false

    package init() {}

    /// The sampling document of kinds/engine.h. A configuration that does not sample means the likeliest token, unless a
    /// temperature was asked for.
    package func sampling(defaults: JSON) -> JSON {
        let samples = defaults["do_sample"]?.bool ?? false
        var out = JSONObject()
        func set(_ key: String, _ own: JSON?, sampled: Bool = true) {
            let fallback = sampled && !samples && temperature == nil ? nil : defaults[key]
            if let value = own ?? fallback, !value.isNull { out[key] = value }
        }
        set("temperature", temperature.map(JSON.double) ?? (samples && defaults["temperature"] == nil ? 1 : nil))
        set("top_k", topK.map { .int(Int64($0)) })
        set("top_p", topP.map(JSON.double))
        set("min_p", minP.map(JSON.double))
        set("repetition_penalty", repetitionPenalty.map(JSON.double), sampled: false)
        out["presence_penalty"] = presencePenalty.map(JSON.double)
        out["frequency_penalty"] = frequencyPenalty.map(JSON.double)
        out["logit_bias"] = logitBias.map(JSON.object)
        out["seed"] = seed.map { .int(Int64($0)) }
        let most = maximumTokens ?? defaults["max_new_tokens"]?.int
        out["max_tokens"] = most.map { .int(Int64($0)) }
        out["logprobs"] = logprobs.map { .int(Int64($0)) }
        if ignoresEnd { out["ignore_eos"] = true }
        return .object(out)
    }
}
