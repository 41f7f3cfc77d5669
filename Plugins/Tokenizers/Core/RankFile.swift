import JSON
import TokenizerPatterns

/// Reads tiktoken's rank files: a line holds a piece in base64 and its rank, which is its id (openai/tiktoken, load.py).
/// The file names no pattern and no special tokens; a known vocabulary is told by its size.
enum RankFile {
    /// Whether a file named tokenizer.model is a rank file: its first line is base64, a space and a number.
    static func looksLikeOne(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        let line = bytes.prefix(400).prefix { $0 != 0x0A }
        guard line.count < 400, let space = line.lastIndex(of: 0x20), space > line.startIndex else { return false }
        return Base64.decoded(line[..<space]) != nil
            && line[(space + 1)...].allSatisfy { $0 &- 0x30 < 10 || $0 == 0x0D }
    }

    static func read(_ name: String, _ files: TokenizerFiles, into parts: inout TokenizerParts) throws(TokenizerError) {
        guard let bytes = files[name] else { throw TokenizerError(.missingFile, "is not there", in: name) }
        parts.pieces = PieceTable(expecting: bytes.count / 14, bytes: bytes.count / 2)
        var at = 0
        var line = 0
        var piece: [UInt8] = []
        while at < bytes.count {
            line += 1
            var end = at
            while end < bytes.count, bytes[end] != 0x0A { end += 1 }
            defer { at = end + 1 }
            var text = bytes[at..<end]
            if text.last == 0x0D { text = text.dropLast() }
            if text.isEmpty { continue }
            guard let space = text.lastIndex(of: 0x20) else { throw malformed(name, line) }
            var id = 0
            for digit in text[(space + 1)...] {
                guard digit &- 0x30 < 10, id < Limits.pieces else { throw malformed(name, line) }
                id = id * 10 + Int(digit - 0x30)
            }
            piece.removeAll(keepingCapacity: true)
            guard space + 1 < text.endIndex, Base64.append(text[..<space], to: &piece) else {
                throw malformed(name, line)
            }
            try parts.pieces.set(piece, id: id)
        }
        let count = parts.pieces.count
        parts.piecesAreRaw = true
        parts.units = .bytes
        parts.rules = .spans(SpanMerges(parts.pieces, ranks: (0..<count).map(UInt32.init)))
        parts.bytePair.ignoresMerges = true
        let known = try KnownRanks(count, name, files)
        parts.preTokenizer = try SplitPatterns.preTokenizer([known.pattern], in: name)
        if known.composes { parts.normalizer = .form(.nfc) }
        for (offset, content) in known.specials.enumerated() where !content.isEmpty {
            try parts.add(AddedToken(content: Array(content.utf8), id: Int32(count + offset), isSpecial: true))
        }
        for (role, content) in known.roles { parts.specials[role] = parts.id(content) }
        if known.addsBOS, let bos = parts.specials["bos"] { parts.specials.prefix = [bos] }
    }

    private static func malformed(_ name: String, _ line: Int) -> TokenizerError {
        TokenizerError(
            .malformed, "a line must hold a piece in base64, a space and its rank", in: "\(name), line \(line)")
    }
}

/// What goes with a rank file of a known size, or with the `pattern` that tokenizer_config.json gives.
private struct KnownRanks {
    var pattern = SplitPatterns.cl100k
    var composes = false
    var addsBOS = false
    var specials: [String] = []
    var roles: [String: String] = [:]

    init(_ count: Int, _ name: String, _ files: TokenizerFiles) throws(TokenizerError) {
        switch count {
        case 50256, 50257:
            pattern = SplitPatterns.gpt2
            specials = count == 50256 ? ["<|endoftext|>"] : ["<|endoftext|>", "<|startoftranscript|>"]
            roles = ["eos": "<|endoftext|>", "bos": "<|endoftext|>"]
        case 100_256:
            specials = ["", "<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"]
            roles = ["eos": "<|endoftext|>"]
        case 151_643:
            pattern = SplitPatterns.qwen2
            composes = true
            specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
            roles = ["eos": "<|im_end|>", "pad": "<|endoftext|>", "eot": "<|im_end|>"]
        case 248_044:
            pattern = SplitPatterns.qwen3Next
            composes = true
            specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
            roles = ["eos": "<|im_end|>", "pad": "<|endoftext|>", "eot": "<|im_end|>"]
        case 128_000:
            pattern = SplitPatterns.llama3
            addsBOS = true
            specials =
                [
                    "<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>",
                    "<|reserved_special_token_1|>", "<|finetune_right_pad_id|>", "<|step_id|>", "<|start_header_id|>",
                    "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>", "<|python_tag|>",
                ] + (2..<247).map { "<|reserved_special_token_\($0)|>" }
            roles = ["bos": "<|begin_of_text|>", "eos": "<|end_of_text|>", "eot": "<|eot_id|>"]
        case 200_000:
            pattern = SplitPatterns.o200k
            addsBOS = true
            specials = [
                "<|begin_of_text|>", "<|end_of_text|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>",
                "<|header_start|>", "<|header_end|>", "<|eom|>", "<|eot|>",
            ]
            roles = ["bos": "<|begin_of_text|>", "eos": "<|end_of_text|>", "eot": "<|eot|>"]
        case 199_998:
            pattern = SplitPatterns.o200k
            specials = ["", "<|endoftext|>"]
            roles = ["eos": "<|endoftext|>"]
        default:
            if name.contains("multilingual") || name.contains("gpt2") { pattern = SplitPatterns.gpt2 }
        }
        let config = try files.document("tokenizer_config.json")
        if let given = config?["pattern"]?.string ?? config?["pat_str"]?.string { pattern = given }
    }
}

/// Reads Mistral's tekken.json: ranks in base64 after a block of special tokens (mistral-common, tekken.py).
enum TekkenFile {
    static func read(_ name: String, _ files: TokenizerFiles, into parts: inout TokenizerParts) throws(TokenizerError) {
        guard let bytes = files[name] else { throw TokenizerError(.missingFile, "is not there", in: name) }
        var config = JSON.null
        var listed: [JSON] = []
        var vocabulary: Range<Int>?
        do throws(JSONError) {
            var parser = JSONParser(bytes)
            try parser.walkObject { parser, key throws(JSONError) in
                switch key {
                case "config": config = try parser.value()
                case "special_tokens": listed = try parser.value().array ?? []
                case "vocab": vocabulary = try parser.skipValue()
                default: _ = try parser.skipValue()
                }
            }
            guard let vocabulary else { throw parser.error("vocab is missing") }
            let specialCount = config["default_num_special_tokens"]?.int ?? 1000
            let size = config["default_vocab_size"]?.int ?? Limits.pieces
            guard (0...100_000).contains(specialCount), (specialCount...Limits.pieces).contains(size) else {
                throw parser.error("config.default_vocab_size \(size) does not hold \(specialCount) special tokens")
            }
            try readRanks(
                UnsafeBufferPointer(rebasing: bytes[vocabulary]), specialCount, limit: size - specialCount, &parts)
            try setSpecials(listed, specialCount, &parts)
        } catch {
            throw TokenizerError(error, in: name)
        }
        parts.piecesAreRaw = true
        parts.units = .bytes
        parts.rules = .spans(SpanMerges(parts.pieces, ranks: (0..<parts.pieces.count).map(UInt32.init)))
        parts.bytePair.ignoresMerges = true
        parts.preTokenizer = try SplitPatterns.preTokenizer(
            [config["pattern"]?.string ?? SplitPatterns.tekken], in: name)
        parts.specials["bos"] = parts.id("<s>")
        parts.specials["eos"] = parts.id("</s>")
        parts.specials["unk"] = parts.id("<unk>")
        parts.specials["pad"] = parts.id("<pad>")
        parts.specials.prefix = [parts.specials["bos"]].compactMap { $0 }
    }

    private static func readRanks(
        _ text: UnsafeBufferPointer<UInt8>, _ specialCount: Int, limit: Int, _ parts: inout TokenizerParts
    ) throws(JSONError) {
        parts.pieces = PieceTable(expecting: min(limit + specialCount, text.count / 20), bytes: text.count / 8)
        var parser = JSONParser(text)
        var encoded: [UInt8] = []
        var piece: [UInt8] = []
        try parser.walkArray { parser throws(JSONError) in
            var rank = -1
            try parser.walkObject { parser, key throws(JSONError) in
                switch key {
                case "rank": rank = try parser.integer()
                case "token_bytes": try parser.stringBytes(&encoded)
                default: _ = try parser.skipValue()
                }
            }
            if rank >= limit { return }
            piece.removeAll(keepingCapacity: true)
            guard rank >= 0, Base64.append(encoded, to: &piece) else {
                throw parser.error("an entry of vocab needs a rank and token_bytes in base64")
            }
            do throws(TokenizerError) {
                try parts.pieces.set(piece, id: rank + specialCount)
            } catch {
                throw parser.error(error.message)
            }
        }
    }

    /// The names of the first special tokens where the file lists none (tekken files before version 7).
    private static let usualSpecials = [
        "<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]",
        "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]",
        "[SUFFIX]",
    ]

    private static func setSpecials(
        _ listed: [JSON], _ count: Int, _ parts: inout TokenizerParts
    ) throws(JSONError) {
        var names = (0..<count).map { $0 < usualSpecials.count ? usualSpecials[$0] : "<SPECIAL_\($0)>" }
        for token in listed {
            if let rank = token["rank"]?.int, names.indices.contains(rank), let text = token["token_str"]?.string {
                names[rank] = text
            }
        }
        for (id, text) in names.enumerated() where !text.isEmpty {
            do throws(TokenizerError) {
                try parts.add(AddedToken(content: Array(text.utf8), id: Int32(id), isSpecial: true))
            } catch {
                throw JSONError(message: error.message, line: 1, column: 1)
            }
        }
    }
}
