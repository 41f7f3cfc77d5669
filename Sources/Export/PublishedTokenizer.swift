internal import JSON
internal import TokenizerPatterns

/// A GGUF vocabulary as tokenizer.json and tokenizer_config.json, for byte-level BPE; nil for others, whose gguf.json stays
/// the only form.
struct PublishedTokenizer {
    let document: JSON
    let config: JSON

    /// Types of `tokenizer.ggml.token_type` (ggml, docs/gguf.md).
    private enum TokenType { static let unknown = 2, control = 3, userDefined = 4 }

    /// - Parameter document: The file's `tokenizer.ggml.*`.
    init?(_ document: JSON) {
        func entry(_ name: String) -> JSON? { document["tokenizer.ggml." + name] }
        let pre = entry("pre")?.string ?? "default"
        guard entry("model")?.string == "gpt2", let tokens = entry("tokens")?.array,
            let merges = entry("merges")?.array,
            let patterns = SplitPatterns.named(pre)
        else { return nil }
        let types = entry("token_type")?.array?.map { $0.int ?? 1 } ?? []
        var vocabulary: [(String, JSON)] = []
        var added: [JSON] = []
        for (id, token) in tokens.enumerated() {
            guard let text = token.string else { return nil }
            vocabulary.append((text, .int(Int64(id))))
            let type = id < types.count ? types[id] : 1
            guard [TokenType.unknown, TokenType.control, TokenType.userDefined].contains(type) else { continue }
            added.append([
                "id": .int(Int64(id)), "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": .bool(type != TokenType.userDefined),
            ])
        }
        self.document = [
            "version": "1.0", "truncation": nil, "padding": nil, "added_tokens": .array(added),
            "normalizer": pre == "qwen2" ? ["type": "NFC"] : nil, "pre_tokenizer": Self.preTokenizer(patterns),
            "post_processor": Self.byteLevel(usesPattern: true), "decoder": Self.byteLevel(usesPattern: true),
            "model": [
                "type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil,
                "end_of_word_suffix": nil,
                "fuse_unk": false, "byte_fallback": false, "ignore_merges": .bool(SplitPatterns.ignoresMerges(pre)),
                "vocab": .object(JSONObject(vocabulary)), "merges": .array(merges),
            ],
        ]
        func piece(_ name: String) -> JSON {
            guard let id = entry(name)?.int, tokens.indices.contains(id) else { return .null }
            return tokens[id]
        }
        config = [
            "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": piece("bos_token_id"),
            "eos_token": piece("eos_token_id"),
            "unk_token": piece("unknown_token_id"), "pad_token": piece("padding_token_id"),
            "add_bos_token": entry("add_bos_token") ?? false, "clean_up_tokenization_spaces": false,
        ]
    }

    private static func byteLevel(usesPattern: Bool) -> JSON {
        ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": .bool(usesPattern)]
    }

    /// The cuts in the form in which published files have them.
    private static func preTokenizer(_ patterns: [String]) -> JSON {
        if patterns == [SplitPatterns.gpt2] { return byteLevel(usesPattern: true) }
        var steps: [JSON] = []
        if patterns == [#"\p{N}"#, SplitPatterns.gpt2] {
            steps = [["type": "Digits", "individual_digits": true], byteLevel(usesPattern: true)]
        } else {
            steps = patterns.map {
                ["type": "Split", "pattern": ["Regex": .string($0)], "behavior": "Isolated", "invert": false]
            }
            steps.append(byteLevel(usesPattern: false))
        }
        return ["type": "Sequence", "pretokenizers": .array(steps)]
    }
}
