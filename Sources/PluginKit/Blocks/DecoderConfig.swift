public import JSON

/// What config.json says of nearly every decoder: sizes, norm, rotary positions, and how the head stands.
public struct DecoderConfig: Sendable {
    public let config: ModelConfig
    public let layers, hidden, inner, heads, keyValueHeads, headWidth, vocabulary: Int
    public let eps: Double
    public let isTied: Bool
    public let rope: RopeFrequencies

    /// - Parameters:
    ///   - tied: Whether head and embedding are one where the file does not say.
    ///   - ropeWidth: Elements of a head that rotary positions may turn; the head's width when nil.
    ///   - interleaved: Rotary pairs are neighbours rather than halves.
    public init(_ json: JSON, tied: Bool = false, ropeWidth: Int? = nil, interleaved: Bool = false) throws {
        config = ModelConfig(json)
        layers = try config.layers()
        hidden = try config.int("hidden_size")
        inner = try config.int("intermediate_size")
        heads = try config.int("num_attention_heads")
        keyValueHeads = try config.int("num_key_value_heads", default: heads)
        headWidth = try config.int("head_dim", default: hidden / heads)
        vocabulary = try config.int("vocab_size")
        let norm = try config.double("layer_norm_eps", default: try config.double("norm_epsilon", default: 1e-6))
        eps = try config.double("rms_norm_eps", default: norm)
        isTied = try config.bool("tie_word_embeddings", default: tied)
        var rope = try RopeFrequencies(config, headWidth: ropeWidth ?? headWidth)
        rope.isInterleaved = interleaved
        self.rope = rope
    }

    /// Whether layer `index` attends within a window: `layer_types` where the file has it, else what `rule` says.
    public func isSliding(_ index: Int, else rule: Bool) -> Bool {
        guard let types = config.json["layer_types"]?.array, types.indices.contains(index) else { return rule }
        return types[index].string == "sliding_attention"
    }

    /// The document of a decoder whose tensors have Llama's names.
    public func describe() -> ModelDescription {
        var model = ModelDescription()
        model.hidden = hidden
        model.vocabulary = vocabulary
        model.maximumPositions = maximumPositions
        model.head = isHeadless ? nil : isTied ? "model.embed_tokens.weight" : "lm_head.weight"
        if config.names("ForSequenceClassification") { model.classifier = "score.weight" }
        if config.names("ForTokenClassification") { model.tokenClassifier = "score.weight" }
        model.attention = Array(
            repeating: .init(keyValueHeads: keyValueHeads, keyWidth: headWidth, valueWidth: headWidth), count: layers)
        model.ropeGrowth = rope.growth
        model.defaultTargets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        return model
    }

    /// Positions that the rotation was made for, stretched as `rope_scaling` says; 0 where it grows with the text.
    private var maximumPositions: Int {
        let trained = (try? config.int("max_position_embeddings")) ?? 2048
        guard let scaling = config.json["rope_scaling"] ?? config.json["rope_parameters"] else { return trained }
        let type = scaling["rope_type"]?.string ?? scaling["type"]?.string ?? "default"
        if type == "dynamic" { return 0 }
        let original = scaling["original_max_position_embeddings"]?.double ?? Double(trained)
        let stretched = original * (scaling["factor"]?.double ?? 1)
        return type == "default" || !(1...1e9 ~= stretched) ? trained : max(trained, Int(stretched))
    }

    /// The architecture ends at the hidden states, or at the scores of classes.
    public var isHeadless: Bool {
        let named = config.json["architectures"]?.array?.compactMap(\.string) ?? []
        return !named.isEmpty && named.allSatisfy { $0.hasSuffix("Model") || $0.hasSuffix("Classification") }
    }

    /// Checkpoints of the bare model leave out "model." before each name.
    public func rename(_ name: String, roots: [String] = ["embed_tokens.", "layers.", "norm."]) -> String {
        roots.contains { name.hasPrefix($0) } ? "model." + name : name
    }
}

extension ModelFamily {
    /// How well a config fits classes named by a stem: its causal model, the bare one and the classifier.
    public static func score(_ config: JSON, _ stems: String..., modelTypes: [String]) -> Int {
        let names = stems.flatMap { stem in
            ["ForCausalLM", "Model", "ForSequenceClassification", "ForTokenClassification"].map { stem + $0 }
        }
        return ModelConfig(config).score(architectures: names, modelTypes: modelTypes)
    }
}
