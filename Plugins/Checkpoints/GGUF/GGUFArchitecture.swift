import JSON

/// What one of GGUF's architectures is called in Hugging Face's checkpoints.
struct GGUFArchitecture: Sendable {
    /// GGUF's name, such as "qwen2".
    let id: String
    /// config.json's "model_type" and its class.
    let modelType: String
    let className: String
    /// Pairs of names without ".weight"/".bias", "#" for the layer and "@" for the expert of a stack.
    let names: [(gguf: String, published: String)]
    /// Whether the rows of q and k stand in the interleaved rope order (convert_hf_to_gguf.py, `permute`).
    var permutes = false
    /// What GGUF adds to norm weights; Gemma's files hold w + 1.
    var normAddend = 0.0
    /// Whether the published linear weights are [in, out].
    var isTransposed = false
    /// What may stand before published names, or be left out.
    var prefix = ""
    /// The row of learnt positions that a text begins at, for the models that keep some for padding.
    static func firstPosition(_ config: JSON) -> Int {
        config["model_type"]?.string == "xlm-roberta" ? max(0, config["pad_token_id"]?.int ?? 1) + 1 : 0
    }
    /// config.json keys that differ from the usual ones, by GGUF key.
    var configKeys: [String: String] = [:]
    /// config.json members that follow from the architecture alone.
    var constants: JSON = [:]

    /// The architecture, or nil for one that has no table. `hasExperts` tells Mixtral from Llama.
    static func named(_ id: String, hasExperts: Bool) -> GGUFArchitecture? {
        byID[id == "llama" && hasExperts ? "mixtral" : id]
    }

    /// The architecture that holds checkpoints of config.json's "model_type".
    static func ofModelType(_ type: String) -> GGUFArchitecture? { all.first { $0.modelType == type } }

    private static let byID = Dictionary(uniqueKeysWithValues: all.map { ($0.id, $0) })
}
