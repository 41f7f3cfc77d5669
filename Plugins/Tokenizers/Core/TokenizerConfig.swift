import JSON

/// What tokenizer_config.json, special_tokens_map.json and added_tokens.json add to a vocabulary.
enum TokenizerConfig {
    private static let file = "tokenizer_config.json"

    static func apply(
        _ files: TokenizerFiles, _ format: TokenizerFormat, to parts: inout TokenizerParts
    ) throws(TokenizerError) {
        let config = try files.document(file) ?? .null
        let map = try files.document("special_tokens_map.json") ?? .null
        try addTokens(config, try files.document("added_tokens.json") ?? .null, format, to: &parts)
        for role in ["bos", "eos", "unk", "pad", "cls", "sep", "mask"] {
            guard let content = content(config["\(role)_token"]) ?? content(map["\(role)_token"]) else { continue }
            guard let id = parts.id(content) else { continue }
            parts.specials[role] = id
            parts.specials.hidden.append(id)
        }
        if parts.specials.ids.isEmpty { guess(&parts) }
        if parts.specials["eot"] == nil {
            parts.specials["eot"] =
                ["<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>"].lazy.compactMap(parts.id).first
        }
        beginAndEnd(config, format, &parts)
    }

    private static func content(_ value: JSON?) -> String? { value?.string ?? value?["content"]?.string }

    private static func addTokens(
        _ config: JSON, _ added: JSON, _ format: TokenizerFormat, to parts: inout TokenizerParts
    ) throws(TokenizerError) {
        var list: [JSON] = []
        for (id, token) in config["added_tokens_decoder"]?.object ?? JSONObject() {
            guard let id = Int64(id), var token = token.object else { continue }
            token["id"] = .int(id)
            list.append(.object(token))
        }
        // tokenizer.json lists its own added tokens; where it does, they stand.
        if case .json = format, !parts.added.isEmpty { list = [] }
        if case .gguf = format { list = [] }
        try TokenizerJSON.readAdded(.array(list), into: &parts)
        for (content, id) in added.object ?? JSONObject() {
            guard let id = id.int, id >= 0, id < Limits.pieces, parts.id(content) == nil else { continue }
            try parts.add(AddedToken(content: Array(content.utf8), id: Int32(id)))
        }
    }

    /// The roles of a file that states none, by the names in use.
    private static func guess(_ parts: inout TokenizerParts) {
        let names = [
            "bos": ["<s>", "<bos>", "<|begin_of_text|>", "<|startoftext|>"],
            "eos": ["</s>", "<eos>", "<|end_of_text|>", "<|endoftext|>"],
            "unk": ["<unk>", "[UNK]"], "pad": ["<pad>", "[PAD]"], "cls": ["[CLS]"], "sep": ["[SEP]"],
            "mask": ["[MASK]"],
        ]
        let ids = Dictionary(parts.added.map { ($0.content, $0.id) }, uniquingKeysWith: { first, _ in first })
        for (role, candidates) in names {
            parts.specials[role] = candidates.lazy.compactMap { ids[Array($0.utf8)] }.first
        }
    }

    /// `add_bos_token` and `add_eos_token`, which the classes of the Llama line put above the post-processor.
    private static func beginAndEnd(_ config: JSON, _ format: TokenizerFormat, _ parts: inout TokenizerParts) {
        let tokenizerClass = config["tokenizer_class"]?.string ?? ""
        let rules = ["Llama", "CodeLlama", "Gemma", "Cohere"].contains { tokenizerClass.hasPrefix($0) }
        var listensToFlags = rules
        if case .sentencePiece = format { listensToFlags = true }
        guard listensToFlags else { return }
        if let adds = config["add_bos_token"]?.bool {
            parts.specials.prefix = adds ? [parts.specials["bos"]].compactMap { $0 } : []
        }
        if let adds = config["add_eos_token"]?.bool {
            parts.specials.suffix = adds ? [parts.specials["eos"]].compactMap { $0 } : []
        }
    }
}
