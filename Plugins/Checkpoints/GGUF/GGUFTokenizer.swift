import Files
import Glibc
import JSON

/// GGUF's tokenizer.* keys from the tokenizer files of a published checkpoint.
enum GGUFTokenizer {
    /// llama.h, `enum llama_token_type`.
    private enum Kind: Int64 { case normal = 1, unknown, control, userDefined, unused, byte }

    /// The keys, or none when the directory has no tokenizer that GGUF can hold.
    static func keys(_ directory: String, config: JSON) throws(FileError) -> [(String, JSON)] {
        let settings = try read(directory, "tokenizer_config.json") ?? .null
        let document = try read(directory, "tokenizer.json")
        let model = System.join(directory, "tokenizer.model")
        var out: [(String, JSON)] = []
        var vocabulary = Vocabulary(count: config["vocab_size"]?.int ?? 0)
        if let document, document["model"]?["type"]?.string == "WordPiece" {
            return try wordPiece(document, vocabulary, settings, System.join(directory, "tokenizer.json"))
        }
        if let document, document["model"]?["type"]?.string == "BPE", document["model"]?["byte_fallback"]?.bool != true
        {
            guard let pre = pre(document, config) else {
                throw FileError(
                    System.join(directory, "tokenizer.json"), "pre_tokenizer",
                    found: String((document["pre_tokenizer"]?.text() ?? "nothing").prefix(120)),
                    wanted: "a cut into words that llama.cpp has a name for",
                    fix: "GGUF files cannot hold this tokenizer; write safetensors.")
            }
            vocabulary.add(document)
            out = [("tokenizer.ggml.model", "gpt2"), ("tokenizer.ggml.pre", .string(pre))]
            out += vocabulary.keys(scores: false)
            out.append(("tokenizer.ggml.merges", .array((document["model"]?["merges"]?.array ?? []).map(merge))))
        } else if System.kind(of: model) == .file {
            let pieces = try SentencePieces(model)
            vocabulary.add(pieces)
            if let document { vocabulary.addSpecials(document) }
            guard !pieces.isUnigram else {
                throw FileError(
                    model, "trainer_spec.model_type", found: "unigram", wanted: "BPE",
                    fix: "GGUF files with such pieces are not written; write safetensors.")
            }
            out = [("tokenizer.ggml.model", "llama")] + vocabulary.keys(scores: true)
            out.append(("tokenizer.ggml.add_space_prefix", .bool(pieces.addsDummyPrefix)))
            out.append(("tokenizer.ggml.remove_extra_whitespaces", .bool(pieces.removesExtraSpaces)))
        } else if let document, document["model"]?["byte_fallback"]?.bool == true {
            // The same pieces joined in the order of the merges: a piece's score is minus its merge's rank.
            vocabulary.add(document)
            vocabulary.rank((document["model"]?["merges"]?.array ?? []).map(merge))
            out = [("tokenizer.ggml.model", "llama")] + vocabulary.keys(scores: true)
        } else if let type = document?["model"]?["type"]?.string {
            throw FileError(
                System.join(directory, "tokenizer.json"), "model", found: FileError.quote(type),
                wanted: "byte-level BPE, BPE with bytes to fall back on, or WordPiece",
                fix: "Put the tokenizer.model beside it that it was made from, or write safetensors.")
        } else {
            return []
        }
        let frame = frame(document)
        for (key, member, framing) in [
            ("bos", "bos_token", frame?.before), ("eos", "eos_token", frame?.after), ("unknown", "unk_token", nil),
            ("padding", "pad_token", nil),
        ] {
            let text = settings[member]?.string ?? settings[member]?["content"]?.string ?? framing
            if let id = text.flatMap({ vocabulary.ids[$0] }) ?? (key == "unknown" ? nil : config["\(member)_id"]?.int) {
                out.append(("tokenizer.ggml.\(key)_token_id", .int(Int64(id))))
            }
        }
        let before = settings["add_bos_token"]?.bool ?? frame.map { $0.before != nil } ?? (out[0].1 == "llama")
        let after = settings["add_eos_token"]?.bool ?? frame.map { $0.after != nil } ?? false
        out.append(("tokenizer.ggml.add_bos_token", .bool(before)))
        out.append(("tokenizer.ggml.add_eos_token", .bool(after)))
        return out
    }

    /// BERT's: pieces that begin a word have U+2581 before them, those that go on stand without "##"
    /// (conversion/bert.py of llama.cpp).
    private static func wordPiece(
        _ document: JSON, _ empty: Vocabulary, _ settings: JSON, _ path: String
    ) throws(FileError) -> [(String, JSON)] {
        guard document["normalizer"]?["lowercase"]?.bool ?? settings["do_lower_case"]?.bool ?? true else {
            throw FileError(
                path, "normalizer", found: "letters as they are", wanted: "lower case",
                fix: "llama.cpp lowers the case of every text of such a vocabulary; write safetensors.")
        }
        var vocabulary = empty
        vocabulary.add(document)
        let plain = vocabulary.ids
        vocabulary.spellWords()
        var out: [(String, JSON)] = [("tokenizer.ggml.model", "bert"), ("tokenizer.ggml.pre", "default")]
        out += vocabulary.keys(scores: false)
        // "seperator" is how the format spells it.
        for (key, member, usual) in [
            ("bos", "cls_token", "[CLS]"), ("cls", "cls_token", "[CLS]"), ("seperator", "sep_token", "[SEP]"),
            ("unknown", "unk_token", "[UNK]"), ("padding", "pad_token", "[PAD]"), ("mask", "mask_token", "[MASK]"),
        ] {
            let text = settings[member]?.string ?? settings[member]?["content"]?.string ?? usual
            if let id = plain[text] { out.append(("tokenizer.ggml.\(key)_token_id", .int(Int64(id)))) }
        }
        return out
    }

    /// "a b" of a merge, which newer files write as a pair.
    private static func merge(_ value: JSON) -> JSON {
        guard let pair = value.array else { return value }
        return .string(pair.compactMap(\.string).joined(separator: " "))
    }

    /// llama.cpp's name of the way in which text is cut into words (llama-vocab.cpp), or nil where it has none.
    private static func pre(_ document: JSON, _ config: JSON) -> String? {
        let letters = #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"#
        let rest = #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
        let steps = steps(document["pre_tokenizer"] ?? .null)
        let patterns = steps.compactMap { $0["pattern"]?["Regex"]?.string }
        let types = Set(steps.compactMap { $0["type"]?.string })
        switch patterns.first {
        case letters + #"\p{N}"# + rest: return "qwen2"
        case letters + #"\p{N}{1,3}"# + rest: return "llama-bpe"
        case #"\p{N}{1,3}"# where patterns.count == 3: return "deepseek-v3"
        case nil where types == ["Digits", "ByteLevel"]:
            return config["model_type"]?.string == "cohere" ? "command-r" : "smollm"
        case nil where types == ["ByteLevel"]: return "gpt-2"
        default: return nil
        }
    }

    /// The parts of a sequence, or the one step itself.
    private static func steps(_ step: JSON) -> [JSON] {
        (step["pretokenizers"] ?? step["processors"])?.array?.flatMap(steps) ?? [step]
    }

    /// The special tokens that tokenizer.json puts before and after a text.
    private static func frame(_ document: JSON?) -> (before: String?, after: String?)? {
        let template = steps(document?["post_processor"] ?? .null).first { $0["type"]?.string == "TemplateProcessing" }
        guard let single = template?["single"]?.array else { return nil }
        return (single.first?["SpecialToken"]?["id"]?.string, single.last?["SpecialToken"]?["id"]?.string)
    }

    private static func read(_ directory: String, _ name: String) throws(FileError) -> JSON? {
        let path = System.join(directory, name)
        guard System.kind(of: path) == .file else { return nil }
        let file = try MappedFile(path)
        do {
            return try withExtendedLifetime(file) { () throws(JSONError) in
                try JSON(parsing: file.bytes.bindMemory(to: UInt8.self))
            }
        } catch {
            throw FileError(path, "content", found: "no JSON (\(error))", wanted: "a JSON object")
        }
    }

    /// Pieces by id.
    private struct Vocabulary {
        var pieces: [String?]
        var kinds: [Kind]
        var scores: [Double]
        var ids: [String: Int] = [:]

        init(count: Int) {
            let count = min(max(0, count), 1 << 22)
            pieces = Array(repeating: nil, count: count)
            kinds = Array(repeating: .unused, count: count)
            scores = Array(repeating: 0, count: count)
        }

        private mutating func set(_ id: Int, _ piece: String, _ kind: Kind, score: Double = 0) {
            guard id >= 0, id < 1 << 22 else { return }
            while pieces.count <= id {
                pieces.append(nil)
                kinds.append(.unused)
                scores.append(0)
            }
            (pieces[id], kinds[id], scores[id]) = (piece, kind, score)
            ids[piece] = id
        }

        mutating func add(_ document: JSON) {
            for (piece, id) in document["model"]?["vocab"]?.object ?? JSONObject() {
                let isByte = piece.utf8.count == 6 && piece.hasPrefix("<0x") && piece.hasSuffix(">")
                if let id = id.int { set(id, piece, isByte ? .byte : .normal) }
            }
            addSpecials(document)
        }

        mutating func addSpecials(_ document: JSON) {
            for added in document["added_tokens"]?.array ?? [] {
                guard let id = added["id"]?.int, let piece = added["content"]?.string else { continue }
                set(id, piece, added["special"]?.bool == true ? .control : .userDefined)
            }
        }

        mutating func add(_ model: SentencePieces) {
            for (id, piece) in model.pieces.enumerated() {
                set(id, piece.text, Kind(rawValue: Int64(piece.type)) ?? .normal, score: Double(piece.score))
            }
        }

        mutating func rank(_ merges: [JSON]) {
            for (rank, merge) in merges.enumerated() {
                let joined = (merge.string ?? "").replacing(" ", with: "")
                if let id = ids[joined] { scores[id] = -Double(rank + 1) }
            }
        }

        mutating func spellWords() {
            for (id, kind) in kinds.enumerated() where kind == .normal {
                guard let piece = pieces[id] else { continue }
                pieces[id] = piece.hasPrefix("##") ? String(piece.dropFirst(2)) : "\u{2581}" + piece
            }
        }

        func keys(scores wanted: Bool) -> [(String, JSON)] {
            var out: [(String, JSON)] = [
                ("tokenizer.ggml.tokens", .array(pieces.enumerated().map { .string($1 ?? "[PAD\($0)]") })),
                ("tokenizer.ggml.token_type", .array(kinds.map { .int($0.rawValue) })),
            ]
            if wanted { out.append(("tokenizer.ggml.scores", .array(scores.map(JSON.double)))) }
            return out
        }
    }
}
