import JSON
import TokenizerPatterns

/// Reads the normalizer, pre-tokenizer, decoder and post-processor of a tokenizer.json.
struct TokenizerJSONParts {
    let file: String

    func read(_ settings: JSONObject, into parts: inout TokenizerParts) throws(TokenizerError) {
        if let value = settings["normalizer"], !value.isNull { parts.normalizer = try normalizer(value, 0) }
        if let value = settings["pre_tokenizer"], !value.isNull {
            let isLast = endsInByteLevel(value, 0)
            parts.piecesAreRaw = isLast
            parts.isByteAlphabet = isLast
            parts.preTokenizer = try preTokenizer(value, 0, spells: !isLast)
        }
        if let value = settings["decoder"], !value.isNull {
            parts.decoder = try decoder(value, 0)
        } else {
            parts.decoder = [.spaced]
        }
    }

    private func malformed(_ message: String) -> TokenizerError { TokenizerError(.malformed, message, in: file) }

    private func steps(_ value: JSON, _ key: String, _ depth: Int) throws(TokenizerError) -> [JSON] {
        guard let list = value[key]?.array else { throw malformed("a Sequence has no list \(key.debugDescription)") }
        guard depth < Limits.nesting, list.count <= Limits.steps else {
            throw TokenizerError(.tooLarge, "its Sequences are nested or long beyond all use", in: file)
        }
        return list
    }

    private func unknown(_ what: String, _ value: JSON) -> TokenizerError {
        TokenizerError(
            .unsupported, "the \(what) type \(value["type"]?.text() ?? "(none)") is not known here", in: file)
    }

    /// A pattern that is either `{"String": …}` or `{"Regex": …}`, or plain text.
    private func pattern(_ value: JSON?) throws(TokenizerError) -> (literal: [UInt8]?, pattern: Pattern?) {
        if let text = value?["Regex"]?.string { return (nil, try Pattern(text, in: file)) }
        if let text = value?["String"]?.string ?? value?.string { return (Array(text.utf8), nil) }
        throw malformed("a pattern must be {\"String\": …} or {\"Regex\": …}")
    }

    private func character(_ value: JSON?, _ fallback: String) -> [UInt8] {
        Array((value?.string ?? fallback).utf8)
    }

    // MARK: Normalizers

    private func normalizer(_ value: JSON, _ depth: Int) throws(TokenizerError) -> Normalizer {
        func flag(_ key: String, _ fallback: Bool = true) -> Bool { value[key]?.bool ?? fallback }
        switch value["type"]?.string {
        case "Sequence":
            var list: [Normalizer] = []
            for step in try steps(value, "normalizers", depth) { list.append(try normalizer(step, depth + 1)) }
            return .sequence(list)
        case "NFC": return .form(.nfc)
        case "NFD": return .form(.nfd)
        case "NFKC": return .form(.nfkc)
        case "NFKD": return .form(.nfkd)
        case "Lowercase": return .lowercase
        case "StripAccents": return .stripAccents
        case "Strip": return .strip(left: flag("strip_left"), right: flag("strip_right"))
        case "Prepend": return .prepend(character(value["prepend"], ""))
        case "Nmt": return .nmt
        case "ByteLevel": return .byteAlphabet
        case "Replace":
            let content = character(value["content"], "")
            let (literal, regex) = try pattern(value["pattern"])
            if let regex { return .replacePattern(regex, with: content) }
            return .replace(literal ?? [], with: content)
        case "Precompiled":
            guard let blob = Base64.decoded((value["precompiled_charsmap"]?.string ?? "").utf8) else {
                throw malformed("normalizer.precompiled_charsmap is not base64")
            }
            return blob.isEmpty ? .sequence([]) : .precompiled(try CharsMap(blob, in: file))
        case "BertNormalizer":
            let lowercases = flag("lowercase")
            return .bert(
                cleans: flag("clean_text"), setsIdeographsApart: flag("handle_chinese_chars"),
                stripsAccents: value["strip_accents"]?.bool ?? lowercases, lowercases: lowercases)
        default: throw unknown("normalizer", value)
        }
    }

    // MARK: Pre-tokenizers

    /// Whether the last step spells the words in GPT-2's alphabet, and no other does.
    private func endsInByteLevel(_ value: JSON, _ depth: Int) -> Bool {
        if value["type"]?.string == "ByteLevel" { return true }
        guard value["type"]?.string == "Sequence", depth < 4, let list = value["pretokenizers"]?.array,
            let last = list.last
        else { return false }
        return endsInByteLevel(last, depth + 1) && !list.dropLast().contains { endsInByteLevel($0, depth + 1) }
    }

    private func preTokenizer(_ value: JSON, _ depth: Int, spells: Bool) throws(TokenizerError) -> PreTokenizer {
        func behavior(_ fallback: PreTokenizer.Behavior) -> PreTokenizer.Behavior {
            value["behavior"]?.string.flatMap(PreTokenizer.Behavior.init) ?? fallback
        }
        switch value["type"]?.string {
        case "Sequence":
            var list: [PreTokenizer] = []
            for step in try steps(value, "pretokenizers", depth) {
                list.append(try preTokenizer(step, depth + 1, spells: spells))
            }
            return .sequence(list)
        case "ByteLevel":
            let usesPattern = value["use_regex"]?.bool ?? true
            return .byteLevel(
                addsSpace: value["add_prefix_space"]?.bool ?? true,
                pattern: usesPattern ? try Pattern(SplitPatterns.gpt2, in: file) : nil, spells: spells)
        case "Split":
            let inverted = value["invert"]?.bool ?? false
            let (literal, regex) = try pattern(value["pattern"])
            if let regex { return .pattern(regex, behavior(.isolated), inverted: inverted) }
            return .literal(literal ?? [], behavior(.isolated), inverted: inverted)
        case "Digits":
            return .characters(.numeric, value["individual_digits"]?.bool ?? false ? .isolated : .contiguous)
        case "Whitespace": return .words
        case "WhitespaceSplit": return .characters(.whitespace, .removed)
        case "Punctuation": return .characters(.punctuation, behavior(.isolated))
        case "BertPreTokenizer":
            return .sequence([.characters(.whitespace, .removed), .characters(.bertPunctuation, .isolated)])
        case "CharDelimiterSplit":
            return .literal(character(value["delimiter"], " "), .removed, inverted: false)
        case "FixedLength": return .fixedLength(max(1, value["length"]?.int ?? 5))
        case "Metaspace":
            var prepend = value["prepend_scheme"]?.string.flatMap(PreTokenizer.Prepend.init) ?? .always
            if value["prepend_scheme"] == nil, value["add_prefix_space"]?.bool == false { prepend = .never }
            return .metaspace(
                character(value["replacement"], "\u{2581}"), prepend, splits: value["split"]?.bool ?? true)
        default: throw unknown("pre-tokenizer", value)
        }
    }

    // MARK: Decoders

    private func decoder(_ value: JSON, _ depth: Int) throws(TokenizerError) -> [DecodeStep] {
        switch value["type"]?.string {
        case "Sequence":
            var list: [DecodeStep] = []
            for step in try steps(value, "decoders", depth) { list += try decoder(step, depth + 1) }
            return list
        case "ByteLevel": return [.byteAlphabet]
        case "ByteFallback": return [.byteFallback]
        case "Fuse": return [.fuse]
        case "Replace":
            guard let literal = try pattern(value["pattern"]).literal else {
                throw TokenizerError(
                    .unsupported, "a decoder that replaces a regular expression is not known here", in: file)
            }
            return [.replace(literal, with: character(value["content"], ""))]
        case "Strip":
            return [
                .strip(
                    character(value["content"], " "), start: min(1 << 20, max(0, value["start"]?.int ?? 0)),
                    stop: min(1 << 20, max(0, value["stop"]?.int ?? 0)))
            ]
        case "Metaspace":
            let never = value["prepend_scheme"]?.string == "never" || value["add_prefix_space"]?.bool == false
            return [.metaspace(character(value["replacement"], "\u{2581}"), dropsFirst: !never)]
        case "WordPiece":
            return [
                .wordPiece(prefix: character(value["prefix"], "##"), cleansUp: value["cleanup"]?.bool ?? true)
            ]
        case "BPEDecoder": return [.wordEnd(character(value["suffix"], "</w>"))]
        case "CTC":
            return [
                .ctc(
                    pad: character(value["pad_token"], "<pad>"),
                    delimiter: character(value["word_delimiter_token"], "|"), cleansUp: value["cleanup"]?.bool ?? true)
            ]
        default: throw unknown("decoder", value)
        }
    }

    // MARK: Post-processors

    /// What is written before and after one text, and around two.
    func readPostProcessor(
        _ value: JSON, depth: Int, into parts: inout TokenizerParts
    ) throws(TokenizerError) {
        if value.isNull { return }
        switch value["type"]?.string {
        case "Sequence":
            for step in try steps(value, "processors", depth) {
                try readPostProcessor(step, depth: depth + 1, into: &parts)
            }
        case "ByteLevel": return
        case "BertProcessing", "RobertaProcessing":
            func id(_ key: String) throws(TokenizerError) -> Int32 {
                guard let id = value[key]?[1]?.int, id >= 0, id < Limits.pieces else {
                    throw malformed("post_processor.\(key) must be a pair of token and id")
                }
                return Int32(id)
            }
            let (cls, sep) = (try id("cls"), try id("sep"))
            parts.specials.prefix = [cls]
            parts.specials.suffix = [sep]
            if value["type"]?.string == "BertProcessing" {
                parts.specials.setBERTPair(cls: cls, sep: sep)
            } else {
                // RoBERTa's: <s> A </s></s> B </s>, without types.
                parts.specials.pair = [
                    .token(cls, type: 0), .text(0, type: 0), .token(sep, type: 0), .token(sep, type: 0),
                    .text(1, type: 0), .token(sep, type: 0),
                ]
            }
        case "TemplateProcessing":
            let single = try templateParts("single", value)
            let text = single.firstIndex { if case .text = $0 { true } else { false } } ?? single.count
            func ids(_ parts: some Sequence<SpecialTokens.PairPart>) -> [Int32] {
                parts.compactMap { if case .token(let id, _) = $0 { id } else { nil } }
            }
            parts.specials.prefix = ids(single[..<text])
            parts.specials.suffix = ids(single[text...])
            parts.specials.pair = try templateParts("pair", value)
        default: throw unknown("post-processor", value)
        }
    }

    /// The texts and tokens of a template, in order.
    private func templateParts(_ key: String, _ value: JSON) throws(TokenizerError) -> [SpecialTokens.PairPart] {
        var parts: [SpecialTokens.PairPart] = []
        for item in value[key]?.array ?? [] {
            let type = (item["Sequence"] ?? item["SpecialToken"])?["type_id"]?.int ?? 0
            guard let name = item["SpecialToken"]?["id"]?.string else {
                parts.append(.text(item["Sequence"]?["id"]?.string == "B" ? 1 : 0, type: type))
                continue
            }
            for id in value["special_tokens"]?[name]?["ids"]?.array ?? [] {
                guard let id = id.int, id >= 0, id < Limits.pieces else {
                    throw malformed("post_processor.special_tokens.\(name).ids must be ids")
                }
                parts.append(.token(Int32(id), type: type))
            }
        }
        return parts
    }
}
