import JSON

/// Reads tokenizer.json (huggingface/tokenizers): the settings as a document, the vocabulary and merges by walking the
/// text, since they make up nearly all of it.
enum TokenizerJSON {
    private static let file = "tokenizer.json"

    /// The model's kind, from as little of the text as tells it.
    static func glance(_ bytes: UnsafeBufferPointer<UInt8>) -> TokenizerFormat? {
        var usesBytes = false
        var model: String?
        var parser = JSONParser(bytes)
        struct Found: Error {}
        func note(_ value: JSON?) {
            if let value, mentionsByteLevel(value, depth: 0) { usesBytes = true }
        }
        do throws(JSONError) {
            try parser.walkObject { parser, key throws(JSONError) in
                switch key {
                case "pre_tokenizer", "decoder", "normalizer": note(try parser.value())
                case "model":
                    var keys: [String] = []
                    try parser.walkObject { parser, key throws(JSONError) in
                        keys.append(key)
                        if key == "type" {
                            model = try parser.value().string
                            throw parser.error("found")
                        }
                        _ = try parser.skipValue()
                    }
                    model = keys.contains("merges") ? "BPE" : keys.contains("unk_id") ? "Unigram" : "WordPiece"
                default: _ = try parser.skipValue()
                }
            }
        } catch {
            // Left early with the model's kind in hand, or the text is no JSON, which the reader will report.
        }
        guard let model else { return nil }
        return .json(model: model, usesBytes: usesBytes)
    }

    private static func mentionsByteLevel(_ value: JSON, depth: Int) -> Bool {
        if value["type"]?.string == "ByteLevel" { return true }
        guard depth < 3 else { return false }
        return ["pretokenizers", "decoders", "normalizers"].contains { key in
            value[key]?.array?.contains { mentionsByteLevel($0, depth: depth + 1) } ?? false
        }
    }

    static func read(_ files: TokenizerFiles, into parts: inout TokenizerParts) throws(TokenizerError) {
        guard let bytes = files[file] else { throw TokenizerError(.missingFile, "is not there", in: file) }
        guard UTF8Text.isValid(bytes) else { throw TokenizerError(.malformed, "is not UTF-8", in: file) }
        var settings = JSONObject()
        var vocabulary: Range<Int>?
        var merges: Range<Int>?
        var pieceStrings = 0
        var mergeStrings = 0
        do throws(JSONError) {
            var parser = JSONParser(bytes)
            try parser.walkObject { parser, key throws(JSONError) in
                guard key == "model" else {
                    settings[key] = try parser.value()
                    return
                }
                var model = JSONObject()
                try parser.walkObject { parser, key throws(JSONError) in
                    switch key {
                    case "vocab": vocabulary = try parser.skipValue(countingStrings: &pieceStrings)
                    case "merges": merges = try parser.skipValue(countingStrings: &mergeStrings)
                    default: model[key] = try parser.value()
                    }
                }
                settings[key] = .object(model)
            }
        } catch {
            throw TokenizerError(error, in: file)
        }
        let model = settings["model"] ?? .null
        let kind = model["type"]?.string ?? (merges != nil ? "BPE" : model["unk_id"] != nil ? "Unigram" : "WordPiece")
        parts.kind = kind
        try TokenizerJSONParts(file: file).read(settings, into: &parts)
        guard let vocabulary else { throw TokenizerError(.malformed, "model.vocab is missing", in: file) }
        let text = UnsafeBufferPointer(rebasing: bytes[vocabulary])
        let mergeText = merges.map { UnsafeBufferPointer(rebasing: bytes[$0]) }
        do {
            switch kind {
            case "Unigram": try VocabularyText.readScored(text, count: pieceStrings, into: &parts)
            case "BPE", "WordPiece", "WordLevel": try VocabularyText.read(text, count: pieceStrings, into: &parts)
            default:
                throw TokenizerError(
                    .unsupported, "model.type is \(kind.debugDescription); wanted BPE, Unigram, WordPiece or WordLevel",
                    in: file)
            }
            try readModel(model, kind, merges: mergeText, strings: mergeStrings, into: &parts)
        } catch let error as JSONError {
            // Lines and columns count from the list's own beginning.
            throw TokenizerError(.malformed, "model: \(error.message)", in: file)
        } catch let error as TokenizerError {
            throw error
        } catch {
            throw TokenizerError(.malformed, String(describing: error), in: file)
        }
        try readAdded(settings["added_tokens"] ?? .null, into: &parts)
        try TokenizerJSONParts(file: file).readPostProcessor(
            settings["post_processor"] ?? .null, depth: 0, into: &parts)
    }

    private static func readModel(
        _ model: JSON, _ kind: String, merges: UnsafeBufferPointer<UInt8>?, strings: Int,
        into parts: inout TokenizerParts
    ) throws {
        let unknown = model["unk_token"]?.string
        switch kind {
        case "Unigram":
            let id = model["unk_id"]?.int
            if let id, id < 0 || id >= parts.pieces.count {
                throw TokenizerError(
                    .malformed, "model.unk_id is \(id), outside the vocabulary of \(parts.pieces.count)", in: file)
            }
            parts.unigram.unknown = id.map(Int32.init)
            parts.unigram.byteFallback = model["byte_fallback"]?.bool ?? false
        case "BPE":
            parts.bytePair.continuationPrefix = Array((model["continuing_subword_prefix"]?.string ?? "").utf8)
            parts.bytePair.endSuffix = Array((model["end_of_word_suffix"]?.string ?? "").utf8)
            parts.bytePair.byteFallback = model["byte_fallback"]?.bool ?? false
            parts.bytePair.fusesUnknown = model["fuse_unk"]?.bool ?? false
            parts.bytePair.ignoresMerges = model["ignore_merges"]?.bool ?? false
            parts.units = parts.piecesAreRaw && parts.isByteAlphabet ? .bytes : .scalars
            parts.unknown = unknown.flatMap { parts.id($0) }
            parts.rules = .pairs(
                try VocabularyText.readMerges(
                    merges, strings: strings, prefix: parts.bytePair.continuationPrefix, parts))
        default:
            parts.unknown = parts.id(unknown ?? "[UNK]")
            parts.continuationPrefix = Array((model["continuing_subword_prefix"]?.string ?? "##").utf8)
            parts.maximumWordCharacters = max(1, model["max_input_chars_per_word"]?.int ?? 100)
        }
    }

    /// Reads `added_tokens`, or `added_tokens_decoder` of tokenizer_config.json turned into that form.
    static func readAdded(_ list: JSON, into parts: inout TokenizerParts) throws(TokenizerError) {
        for token in list.array ?? [] {
            guard let content = token["content"]?.string, let id = token["id"]?.int, id >= 0, id < Limits.pieces else {
                throw TokenizerError(
                    .malformed, "an added token needs content and an id below \(Limits.pieces); found \(token.text())",
                    in: file)
            }
            func flag(_ key: String) -> Bool { token[key]?.bool ?? false }
            try parts.add(
                AddedToken(
                    content: Array(content.utf8), id: Int32(id), isSpecial: flag("special"), stripsLeft: flag("lstrip"),
                    stripsRight: flag("rstrip"), isSingleWord: flag("single_word"), isNormalized: flag("normalized")))
            // A unigram model would make it of text that only spells it.
            if parts.kind == "Unigram", flag("special") { parts.unused.insert(id) }
        }
    }
}
