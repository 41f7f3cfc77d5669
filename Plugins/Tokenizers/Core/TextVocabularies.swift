import JSON
import TokenizerPatterns

/// Reads vocab.json with merges.txt, the older form of byte-level BPE (openai/gpt-2; CLIP's with `</w>`).
enum VocabularyAndMerges {
    static func read(_ files: TokenizerFiles, into parts: inout TokenizerParts) throws(TokenizerError) {
        guard let vocabulary = files["vocab.json"], let merges = files["merges.txt"] else {
            throw TokenizerError(.missingFile, "vocab.json and merges.txt are both needed", in: "tokenizer")
        }
        guard UTF8Text.isValid(vocabulary), UTF8Text.isValid(merges) else {
            throw TokenizerError(.malformed, "is not UTF-8", in: "vocab.json or merges.txt")
        }
        parts.piecesAreRaw = true
        parts.isByteAlphabet = true
        parts.units = .bytes
        parts.decoder = [.byteAlphabet]
        do {
            try VocabularyText.read(vocabulary, count: vocabulary.count / 20, into: &parts)
        } catch let error as JSONError {
            throw TokenizerError(error, in: "vocab.json")
        } catch let error as TokenizerError {
            throw error
        } catch {
            throw TokenizerError(.malformed, String(describing: error), in: "vocab.json")
        }
        let pairs = PairMerges(expecting: merges.count / 10)
        var builder = MergeBuilder(parts, pairs)
        var endings = 0
        for (number, line) in merges.split(separator: 0x0A).enumerated() {
            var line = line
            if line.last == 0x0D { line = line.dropLast() }
            if line.isEmpty || number == 0 && line.starts(with: "#version".utf8) { continue }
            if line.suffix(4).elementsEqual("</w>".utf8) { endings += 1 }
            try builder.addLine(UnsafeBufferPointer(rebasing: line))
        }
        parts.rules = .pairs(pairs)
        let isCLIP = endings > 0
        if isCLIP {
            try setCLIP(&parts)
        } else {
            let class2 = try files.document("tokenizer_config.json")?["tokenizer_class"]?.string ?? ""
            let pattern = class2.hasPrefix("Qwen2") ? SplitPatterns.qwen2 : SplitPatterns.gpt2
            if class2.hasPrefix("Qwen2") { parts.normalizer = .form(.nfc) }
            parts.preTokenizer = .byteLevel(
                addsSpace: try files.document("tokenizer_config.json")?["add_prefix_space"]?.bool ?? false,
                pattern: try Pattern(pattern, in: "merges.txt"), spells: false)
        }
        for name in ["<|endoftext|>", "<|startoftext|>", "<s>", "</s>", "<unk>", "<pad>", "<mask>"] {
            if let id = parts.id(name) {
                try parts.add(AddedToken(content: Array(name.utf8), id: id, isSpecial: true))
            }
        }
        if isCLIP {
            parts.specials.prefix = [parts.id("<|startoftext|>")].compactMap { $0 }
            parts.specials.suffix = [parts.id("<|endoftext|>")].compactMap { $0 }
        }
    }

    /// CLIP's tokenizer (openai/CLIP, simple_tokenizer.py): white space folded, lower case, words that end in `</w>`.
    private static func setCLIP(_ parts: inout TokenizerParts) throws(TokenizerError) {
        let file = "merges.txt"
        parts.bytePair.endSuffix = Array("</w>".utf8)
        parts.normalizer = .sequence([
            .form(.nfc), .replacePattern(try Pattern(#"\s+"#, in: file), with: [0x20]), .lowercase,
        ])
        let pattern = #"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"#
        parts.preTokenizer = .pattern(try Pattern(pattern, in: file), .removed, inverted: true)
        parts.decoder = [.wordEnd(Array("</w>".utf8))]
    }
}

/// Reads vocab.txt, WordPiece's list of pieces, one a line (google-research/bert).
enum WordVocabulary {
    static func read(_ files: TokenizerFiles, into parts: inout TokenizerParts) throws(TokenizerError) {
        guard let bytes = files["vocab.txt"] else {
            throw TokenizerError(.missingFile, "is not there", in: "vocab.txt")
        }
        guard UTF8Text.isValid(bytes) else { throw TokenizerError(.malformed, "is not UTF-8", in: "vocab.txt") }
        parts.kind = "WordPiece"
        parts.pieces = PieceTable(expecting: bytes.count / 8, bytes: bytes.count)
        var id = 0
        for line in bytes.split(separator: 0x0A, omittingEmptySubsequences: false) {
            var line = line
            while let last = line.last, last == 0x0D { line = line.dropLast() }
            // The last line's end makes no piece.
            if line.isEmpty, line.endIndex == bytes.count { break }
            try parts.pieces.set(UnsafeBufferPointer(rebasing: line), id: id)
            id += 1
        }
        let config = try files.document("tokenizer_config.json")
        let lowercases = config?["do_lower_case"]?.bool ?? true
        setBERT(lowercases: lowercases, stripsAccents: config?["strip_accents"]?.bool ?? lowercases, into: &parts)
        for (role, name) in [
            ("unk", "[UNK]"), ("cls", "[CLS]"), ("sep", "[SEP]"), ("pad", "[PAD]"), ("mask", "[MASK]"),
        ] {
            guard let id = parts.id(name) else { continue }
            parts.specials[role] = id
            try parts.add(AddedToken(content: Array(name.utf8), id: id, isSpecial: true))
        }
        parts.unknown = parts.specials["unk"]
        parts.specials.prefix = [parts.specials["cls"]].compactMap { $0 }
        parts.specials.suffix = [parts.specials["sep"]].compactMap { $0 }
        parts.specials.setBERTPair(cls: parts.specials["cls"], sep: parts.specials["sep"])
    }

    /// BERT's normalizer, pre-tokenizer and decoder.
    static func setBERT(lowercases: Bool, stripsAccents: Bool, into parts: inout TokenizerParts) {
        parts.normalizer = .bert(
            cleans: true, setsIdeographsApart: true, stripsAccents: stripsAccents, lowercases: lowercases)
        parts.preTokenizer = .sequence([
            .characters(.whitespace, .removed), .characters(.bertPunctuation, .isolated),
        ])
        parts.decoder = [.wordPiece(prefix: [0x23, 0x23], cleansUp: true)]
    }
}
