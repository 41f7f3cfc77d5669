import JSON
import TokenizerPatterns

/// Reads the `tokenizer.ggml.*` entries of a GGUF file, given as one JSON object (ggml, docs/gguf.md).
enum GGUFVocabulary {
    private static let file = "gguf.json"

    /// Token types of `tokenizer.ggml.token_type`.
    private enum TokenType { static let unknown = 2, control = 3, userDefined = 4, unused = 5, byte = 6 }

    static func model(_ bytes: UnsafeBufferPointer<UInt8>) -> String? {
        var parser = JSONParser(bytes)
        var model: String?
        try? parser.walkObject { parser, key throws(JSONError) in
            if key == "tokenizer.ggml.model" {
                model = try parser.value().string
                throw parser.error("found")
            }
            _ = try parser.skipValue()
        }
        return model
    }

    static func read(_ files: TokenizerFiles, into parts: inout TokenizerParts) throws(TokenizerError) {
        guard let bytes = files[file] else { throw TokenizerError(.missingFile, "is not there", in: file) }
        guard UTF8Text.isValid(bytes) else { throw TokenizerError(.malformed, "is not UTF-8", in: file) }
        var ranges: [String: Range<Int>] = [:]
        var strings: [String: Int] = [:]
        var keys: [String: JSON] = [:]
        do throws(JSONError) {
            var parser = JSONParser(bytes)
            try parser.walkObject { parser, key throws(JSONError) in
                guard key.hasPrefix("tokenizer.ggml.") else {
                    _ = try parser.skipValue()
                    return
                }
                let name = String(key.dropFirst("tokenizer.ggml.".count))
                if ["tokens", "merges", "scores", "token_type", "precompiled_charsmap"].contains(name) {
                    ranges[name] = try parser.skipValue(countingStrings: &strings[name, default: 0])
                } else {
                    keys[name] = try parser.value()
                }
            }
        } catch {
            throw TokenizerError(error, in: file)
        }
        let reader = Reader(bytes: bytes, ranges: ranges, strings: strings, keys: keys)
        do {
            try reader.read(into: &parts)
        } catch let error as TokenizerError {
            throw error
        } catch let error as JSONError {
            throw TokenizerError(.malformed, error.message, in: file)
        } catch {
            throw TokenizerError(.malformed, String(describing: error), in: file)
        }
    }

    private struct Reader {
        let bytes: UnsafeBufferPointer<UInt8>
        let ranges: [String: Range<Int>]
        /// The number of strings in each of the ranges.
        let strings: [String: Int]
        let keys: [String: JSON]

        func text(_ name: String) -> UnsafeBufferPointer<UInt8>? {
            ranges[name].map { UnsafeBufferPointer(rebasing: bytes[$0]) }
        }

        func read(into parts: inout TokenizerParts) throws {
            let types = try integers("token_type")
            let model = keys["model"]?.string ?? ""
            switch model {
            case "gpt2":
                parts.piecesAreRaw = true
                parts.isByteAlphabet = true
                parts.units = .bytes
                parts.decoder = [.byteAlphabet]
                let pre = keys["pre"]?.string ?? "default"
                guard let patterns = SplitPatterns.named(pre) else {
                    throw TokenizerError(
                        .unsupported, "tokenizer.ggml.pre \(pre.debugDescription) names no pattern that is known here",
                        in: file)
                }
                parts.preTokenizer = try SplitPatterns.preTokenizer(patterns, in: file)
                parts.bytePair.ignoresMerges = SplitPatterns.ignoresMerges(pre)
                // As the published tokenizers of that name do.
                if pre == "qwen2" { parts.normalizer = .form(.nfc) }
                try readTokens(types, into: &parts)
                parts.rules = .pairs(try readMerges(parts))
            case "gemma4":
                parts.normalizer = .replace([0x20], with: SentencePieceNormalizer.space)
                parts.bytePair.byteFallback = true
                parts.bytePair.fusesUnknown = true
                parts.decoder = [.replace(SentencePieceNormalizer.space, with: [0x20]), .byteFallback, .fuse]
                try readTokens(types, into: &parts)
                parts.rules = .pairs(try readMerges(parts))
            case "llama", "t5":
                try readTokens(types, into: &parts)
                try readSentencePiece(types, isUnigram: model == "t5", into: &parts)
            case "bert":
                try readWordPiece(types, into: &parts)
            default:
                throw TokenizerError(
                    .unsupported,
                    "tokenizer.ggml.model is \(model.debugDescription); wanted gpt2, llama, t5, bert or gemma4",
                    in: file)
            }
            try readSpecials(model, into: &parts)
        }

        private func readMerges(_ parts: TokenizerParts) throws -> PairMerges {
            try VocabularyText.readMerges(text("merges"), strings: strings["merges"] ?? 0, prefix: [], parts)
        }

        private func integers(_ name: String) throws -> [Int] {
            guard let text = text(name) else { return [] }
            var parser = JSONParser(text)
            var out: [Int] = []
            try parser.walkArray { parser throws(JSONError) in out.append(try parser.integer()) }
            return out
        }

        /// Reads the tokens, as pieces or, by their types, as added tokens.
        private func readTokens(
            _ types: [Int], into parts: inout TokenizerParts, _ rewrite: (inout [UInt8], Int) -> Void = { _, _ in }
        ) throws {
            guard let text = text("tokens") else {
                throw TokenizerError(.malformed, "tokenizer.ggml.tokens is missing", in: file)
            }
            parts.pieces = PieceTable(expecting: strings["tokens"] ?? 0, bytes: text.count)
            var parser = JSONParser(text)
            var spelling: [UInt8] = []
            var raw: [UInt8] = []
            var id = 0
            let isSpelled = parts.piecesAreRaw && parts.isByteAlphabet
            var failure: TokenizerError?
            try parser.walkArray { parser throws(JSONError) in
                try parser.stringBytes(&spelling)
                let type = types.indices.contains(id) ? types[id] : 1
                do throws(TokenizerError) {
                    switch type {
                    case TokenType.control, TokenType.userDefined, TokenType.unknown:
                        let token = AddedToken(
                            content: spelling, id: Int32(id), isSpecial: type != TokenType.userDefined)
                        if !spelling.isEmpty { try parts.add(token) }
                    case TokenType.unused:
                        try parts.pieces.set(spelling, id: id, found: false)
                        parts.unused.insert(id)
                    default:
                        rewrite(&spelling, id)
                        let result = spelling.withUnsafeBufferPointer { spelling in
                            Result { () throws(TokenizerError) in
                                try VocabularyText.set(spelling, id: id, isSpelled: isSpelled, &raw, in: parts.pieces)
                            }
                        }
                        try result.get()
                    }
                } catch {
                    failure = error
                    throw parser.error(error.message)
                }
                id += 1
            }
            if let failure { throw failure }
        }

        private func readSentencePiece(_ types: [Int], isUnigram: Bool, into parts: inout TokenizerParts) throws {
            var scores: [Double] = []
            if let text = text("scores") {
                var parser = JSONParser(text)
                try parser.walkArray { parser throws(JSONError) in scores.append(try parser.value().double ?? 0) }
            }
            let count = parts.pieces.count
            scores += Array(repeating: 0, count: max(0, count - scores.count))
            var normalizer = SentencePieceNormalizer()
            normalizer.addsDummyPrefix = keys["add_space_prefix"]?.bool ?? true
            normalizer.removesExtraSpaces = keys["remove_extra_whitespaces"]?.bool ?? isUnigram
            let map = try integers("precompiled_charsmap")
            if !map.isEmpty {
                normalizer.map = try CharsMap(map.map { UInt8(truncatingIfNeeded: $0) }, in: file)
            }
            parts.normalizer = .sentencePiece(normalizer)
            let reserved = Set(
                (0..<count).filter { id in
                    types.indices.contains(id) && types[id] != 1 && types[id] != TokenType.userDefined
                })
            parts.setSentencePiece(
                isUnigram: isUnigram, scores: Array(scores[..<count]), reserved: reserved, userDefined: [],
                addsDummyPrefix: normalizer.addsDummyPrefix)
            parts.unigram.byteFallback = false
        }

        private func readWordPiece(_ types: [Int], into parts: inout TokenizerParts) throws {
            parts.kind = "WordPiece"
            let space = SentencePieceNormalizer.space
            // Pieces that begin a word carry U+2581 there; those that continue one carry nothing.
            try readTokens(types, into: &parts) { spelling, _ in
                if spelling.starts(with: space) {
                    spelling.removeFirst(space.count)
                } else if !(spelling.first == 0x5B && spelling.last == 0x5D && spelling.count > 2) {
                    spelling.insert(contentsOf: [0x23, 0x23], at: 0)
                }
            }
            let lowercases = keys["normalizer.lowercase"]?.bool ?? true
            WordVocabulary.setBERT(
                lowercases: lowercases, stripsAccents: keys["normalizer.strip_accents"]?.bool ?? lowercases,
                into: &parts)
        }

        private func readSpecials(_ model: String, into parts: inout TokenizerParts) throws(TokenizerError) {
            let names = [
                "bos_token_id": "bos", "eos_token_id": "eos", "unknown_token_id": "unk", "padding_token_id": "pad",
                "seperator_token_id": "sep", "separator_token_id": "sep", "cls_token_id": "cls",
                "mask_token_id": "mask",
                "eot_token_id": "eot",
            ]
            for (key, role) in names {
                guard let id = keys[key]?.int else { continue }
                guard parts.pieces.bytes(id) != nil else {
                    throw TokenizerError(
                        .malformed, "tokenizer.ggml.\(key) is \(id), which no token has", in: file)
                }
                parts.specials[role] = Int32(id)
            }
            if parts.unknown == nil { parts.unknown = parts.specials["unk"] }
            if model == "bert" {
                parts.unknown = parts.specials["unk"] ?? parts.id("[UNK]")
                parts.specials.prefix = [parts.specials["cls"]].compactMap { $0 }
                parts.specials.suffix = [parts.specials["sep"]].compactMap { $0 }
                parts.specials.setBERTPair(cls: parts.specials["cls"], sep: parts.specials["sep"])
                return
            }
            parts.unigram.unknown = parts.unknown
            if keys["add_bos_token"]?.bool ?? (model == "llama"), let id = parts.specials["bos"] {
                parts.specials.prefix = [id]
            }
            if keys["add_eos_token"]?.bool ?? (model == "t5"), let id = parts.specials["eos"] {
                parts.specials.suffix = [id]
            }
        }
    }
}
