internal import JSON
internal import TokenizerPatterns

/// A GGUF vocabulary as tokenizer.json and tokenizer_config.json, for byte-level BPE and unigram models; nil for others, whose
/// gguf.json stays the only form.
struct PublishedTokenizer {
    let document: JSON
    let config: JSON

    /// Types of `tokenizer.ggml.token_type` (ggml, docs/gguf.md).
    private enum TokenType { static let unknown = 2, control = 3, userDefined = 4 }

    /// The file's `tokenizer.ggml.*`.
    private struct Entries {
        let document: JSON
        let pieces: [String]

        init?(_ document: JSON) {
            self.document = document
            guard let tokens = document["tokenizer.ggml.tokens"]?.array else { return nil }
            pieces = tokens.compactMap(\.string)
            if pieces.count != tokens.count { return nil }
        }

        subscript(_ name: String) -> JSON? { document["tokenizer.ggml." + name] }

        /// The piece whose id stands under `name`.
        func piece(_ name: String) -> JSON {
            guard let id = self[name]?.int, pieces.indices.contains(id) else { return .null }
            return .string(pieces[id])
        }

        /// tokenizer.json's "added_tokens".
        var added: [JSON] {
            let types = self["token_type"]?.array?.map { $0.int ?? 1 } ?? []
            return zip(pieces.indices, types).filter {
                [TokenType.unknown, TokenType.control, TokenType.userDefined].contains($1)
            }.map { id, type in
                [
                    "id": .int(Int64(id)), "content": .string(pieces[id]), "single_word": false, "lstrip": false,
                    "rstrip": false, "normalized": false, "special": .bool(type != TokenType.userDefined),
                ]
            }
        }
    }

    /// - Parameter document: The file's `tokenizer.ggml.*`.
    init?(_ document: JSON) {
        guard let entries = Entries(document) else { return nil }
        let parts: JSON?
        switch entries["model"]?.string {
        case "gpt2": parts = Self.byteLevelParts(entries)
        case "t5": parts = Self.unigramParts(entries)
        default: parts = nil
        }
        guard var members = parts?.object else { return nil }
        for (key, value) in [("version", "1.0"), ("truncation", nil), ("padding", nil)] as [(String, JSON)] {
            members[key] = value
        }
        members["added_tokens"] = .array(entries.added)
        self.document = .object(members)
        config = [
            "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": entries.piece("bos_token_id"),
            "eos_token": entries.piece("eos_token_id"), "unk_token": entries.piece("unknown_token_id"),
            "pad_token": entries.piece("padding_token_id"), "add_bos_token": entries["add_bos_token"] ?? false,
            "clean_up_tokenization_spaces": false,
        ]
    }

    // MARK: Byte-level BPE

    private static func byteLevelParts(_ entries: Entries) -> JSON? {
        let pre = entries["pre"]?.string ?? "default"
        guard let merges = entries["merges"], merges.array != nil, let patterns = SplitPatterns.named(pre) else {
            return nil
        }
        return [
            "normalizer": pre == "qwen2" ? ["type": "NFC"] : nil, "pre_tokenizer": preTokenizer(patterns),
            "post_processor": byteLevel(usesPattern: true), "decoder": byteLevel(usesPattern: true),
            "model": [
                "type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil,
                "end_of_word_suffix": nil, "fuse_unk": false, "byte_fallback": false,
                "ignore_merges": .bool(SplitPatterns.ignoresMerges(pre)),
                "vocab": .object(JSONObject(entries.pieces.enumerated().map { ($1, .int(Int64($0))) })),
                "merges": merges,
            ],
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

    // MARK: Unigram

    /// The parts that transformers makes of such a SentencePiece model (convert_slow_tokenizer.py, `SpmConverter`).
    private static func unigramParts(_ entries: Entries) -> JSON? {
        guard let scores = entries["scores"]?.array, scores.count == entries.pieces.count else { return nil }
        var steps: [JSON] = []
        if let map = entries["precompiled_charsmap"]?.array, !map.isEmpty {
            let bytes = map.map { UInt8(truncatingIfNeeded: $0.int ?? 0) }
            steps.append(["type": "Precompiled", "precompiled_charsmap": .string(Base64.encoded(bytes))])
        }
        if entries["remove_extra_whitespaces"]?.bool ?? true {
            steps.append(["type": "Strip", "strip_left": false, "strip_right": true])
            steps.append(["type": "Replace", "pattern": ["Regex": " {2,}"], "content": " "])
        }
        let space: JSON = [
            "type": "Metaspace", "replacement": "\u{2581}",
            "prepend_scheme": entries["add_space_prefix"]?.bool ?? true ? "always" : "never", "split": true,
        ]
        return [
            "normalizer": steps.isEmpty ? nil : ["type": "Sequence", "normalizers": .array(steps)],
            "pre_tokenizer": space, "decoder": space, "post_processor": frame(entries),
            "model": [
                "type": "Unigram", "unk_id": entries["unknown_token_id"] ?? nil, "byte_fallback": false,
                "vocab": .array(zip(entries.pieces, scores).map { [.string($0), $1] }),
            ],
        ]
    }

    /// What stands before and after a text.
    private static func frame(_ entries: Entries) -> JSON {
        func token(_ flag: String, _ name: String, _ fallback: Bool) -> String? {
            entries[flag]?.bool ?? fallback ? entries.piece(name).string : nil
        }
        let before = token("add_bos_token", "bos_token_id", false), after = token("add_eos_token", "eos_token_id", true)
        func part(_ piece: String) -> JSON { ["SpecialToken": ["id": .string(piece), "type_id": 0]] }
        func framed(_ sequence: String) -> [JSON] {
            (before.map { [part($0)] } ?? []) + [["Sequence": ["id": .string(sequence), "type_id": 0]]]
                + (after.map { [part($0)] } ?? [])
        }
        var specials = JSONObject()
        for (piece, name) in [(before, "bos_token_id"), (after, "eos_token_id")] {
            guard let piece else { continue }
            specials[piece] = ["id": .string(piece), "ids": [entries[name] ?? 0], "tokens": [.string(piece)]]
        }
        return [
            "type": "TemplateProcessing", "single": .array(framed("A")), "pair": .array(framed("A") + framed("B")),
            "special_tokens": .object(specials),
        ]
    }
}
