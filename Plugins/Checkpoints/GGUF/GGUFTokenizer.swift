import Files
import Glibc
import JSON

/// GGUF's tokenizer.* keys from the tokenizer files of a published checkpoint.
enum GGUFTokenizer {
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
        if let document, document["model"]?["type"]?.string == "Unigram" {
            let path = System.join(directory, "tokenizer.json")
            vocabulary.addScored(document)
            out = unigram(try UnigramText(document, path), vocabulary)
            if let id = document["model"]?["unk_id"]?.int {
                out.append(("tokenizer.ggml.unknown_token_id", .int(Int64(id))))
            }
        } else if let document, document["model"]?["type"]?.string == "BPE",
            document["model"]?["byte_fallback"]?.bool != true
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
            if pieces.isUnigram {
                out = unigram(try UnigramText(pieces, model), vocabulary)
                out += pieces.specialIDs.map { ("tokenizer.ggml.\($0)_token_id", .int(Int64($1))) }
            } else {
                out = [("tokenizer.ggml.model", "llama")] + vocabulary.keys(scores: true)
                out.append(("tokenizer.ggml.add_space_prefix", .bool(pieces.addsDummyPrefix)))
                out.append(("tokenizer.ggml.remove_extra_whitespaces", .bool(pieces.removesExtraSpaces)))
            }
        } else if let document, document["model"]?["byte_fallback"]?.bool == true {
            // The same pieces joined in the order of the merges: a piece's score is minus its merge's rank.
            vocabulary.add(document)
            vocabulary.rank((document["model"]?["merges"]?.array ?? []).map(merge))
            out = [("tokenizer.ggml.model", "llama")] + vocabulary.keys(scores: true)
        } else if let type = document?["model"]?["type"]?.string {
            throw FileError(
                System.join(directory, "tokenizer.json"), "model", found: FileError.quote(type),
                wanted: "byte-level BPE, BPE with bytes to fall back on, Unigram or WordPiece",
                fix: "Put the tokenizer.model beside it that it was made from, or write safetensors.")
        } else {
            return []
        }
        let frame = frame(document)
        // "seperator" is how the format spells it.
        for (key, member, framing) in [
            ("bos", "bos_token", frame?.before), ("eos", "eos_token", frame?.after), ("unknown", "unk_token", nil),
            ("padding", "pad_token", nil), ("cls", "cls_token", nil), ("seperator", "sep_token", nil),
            ("mask", "mask_token", nil),
        ] {
            let text = settings[member]?.string ?? settings[member]?["content"]?.string ?? framing
            let own = ["bos", "eos", "padding"].contains(key) ? config["\(member)_id"]?.int : nil
            if let id = text.flatMap({ vocabulary.ids[$0] }) ?? own {
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
        let normalizer = document["normalizer"] ?? .null
        guard normalizer["handle_chinese_chars"]?.bool ?? true, normalizer["clean_text"]?.bool ?? true else {
            throw FileError(
                path, "normalizer", found: normalizer.text(),
                wanted: "ideographs set apart and control characters removed",
                fix: "GGUF files cannot say otherwise; write safetensors.")
        }
        let lowercases = normalizer["lowercase"]?.bool ?? settings["do_lower_case"]?.bool ?? true
        let stripsAccents = normalizer["strip_accents"]?.bool ?? settings["strip_accents"]?.bool ?? lowercases
        var vocabulary = empty
        vocabulary.add(document)
        let plain = vocabulary.ids
        vocabulary.spellWords()
        var out: [(String, JSON)] = [("tokenizer.ggml.model", "bert"), ("tokenizer.ggml.pre", "default")]
        if !lowercases || !stripsAccents {
            // llama.cpp of before 2026 does both to every text.
            out.append(("tokenizer.ggml.normalizer.lowercase", .bool(lowercases)))
            out.append(("tokenizer.ggml.normalizer.strip_accents", .bool(stripsAccents)))
        }
        out += vocabulary.keys(scores: false)
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
    static func steps(_ step: JSON) -> [JSON] {
        (step["pretokenizers"] ?? step["processors"] ?? step["normalizers"])?.array?.flatMap(steps) ?? [step]
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
}
