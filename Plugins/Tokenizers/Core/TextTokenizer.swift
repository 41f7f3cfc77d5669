/// A tokenizer: added tokens, normalizer, pre-tokenizer, model, post-processor and decoder over one vocabulary.
///
/// It is immutable; any number of threads may use it at once.
package final class TextTokenizer: Sendable {
    enum Model: Sendable {
        case bytePair(BytePairModel)
        case unigram(UnigramModel)
        case wordPiece(WordPieceModel)
        case wordLevel(WordLevelModel)
    }

    package let specials: SpecialTokens
    let decoder: [DecodeStep]
    let decodesPlainly: Bool
    private let pieces: PieceTable
    private let model: Model
    let normalizer: Normalizer?
    let preTokenizer: PreTokenizer?
    private let rawTokens: AddedTokens
    private let normalizedTokens: AddedTokens
    private let addedIDs: [[UInt8]: Int32]
    private let addedContents: [Int32: [UInt8]]
    private let specialIDs: Set<Int32>
    private let spellsPieces: Bool
    private let kind: String
    private let pool = ScratchPool()

    init(_ parts: TokenizerParts) throws(TokenizerError) {
        model = try parts.makeModel()
        pieces = parts.pieces
        kind = parts.kind
        normalizer = parts.normalizer
        preTokenizer = parts.preTokenizer
        decoder = parts.piecesAreRaw ? parts.decoder.filter { $0 != .byteAlphabet } : parts.decoder
        decodesPlainly = decoder.isEmpty
        spellsPieces = parts.piecesAreRaw && parts.isByteAlphabet
        specials = parts.specials
        var raw = AddedTokens()
        var normalized = AddedTokens()
        var ids: [[UInt8]: Int32] = [:]
        var contents: [Int32: [UInt8]] = [:]
        var special = Set(parts.specials.hidden)
        let matcher = try Matcher()
        for token in parts.added {
            ids[token.content] = token.id
            contents[token.id] = token.content
            if token.isSpecial { special.insert(token.id) }
            guard parts.looksForAdded else { continue }
            if token.isNormalized, let normalizer = parts.normalizer {
                var content = token.content
                try normalizer.apply(&content, matcher)
                try normalized.add(token, spelled: content)
                // Decoding gives what was found in the text, as `tokenizers` does.
                if content != token.content { try pieces.set(content, id: Int(token.id), found: false) }
            } else {
                try raw.add(token, spelled: token.content)
            }
        }
        rawTokens = raw
        normalizedTokens = normalized
        addedIDs = ids
        addedContents = contents
        specialIDs = special
    }

    // MARK: Encoding

    /// The ids of `text`; bytes that are no UTF-8 count as U+FFFD.
    package func encode(
        _ text: UnsafeBufferPointer<UInt8>, addsSpecial: Bool, parsesSpecial: Bool
    ) throws(TokenizerError) -> [Int32] {
        guard text.count <= Limits.textBytes else {
            throw TokenizerError(
                .tooLarge, "the text has \(text.count) bytes; at most \(Limits.textBytes) are encoded at once",
                in: "text")
        }
        let scratch = try pool.take()
        defer { pool.give(scratch) }
        let whole = UTF8Text.repaired(text)
        var ids: [Int32] = []
        ids.reserveCapacity(whole.count / 3 + 8)
        if addsSpecial { ids.append(contentsOf: specials.prefix) }
        for segment in rawTokens.segments(whole, parsesSpecial: parsesSpecial) {
            switch segment {
            case .token(let id): ids.append(id)
            case .text(let range):
                let part = range.count == whole.count ? whole : Array(whole[range])
                try encode(part, isFirst: range.lowerBound == 0, parsesSpecial, scratch, into: &ids)
            }
        }
        if addsSpecial { ids.append(contentsOf: specials.suffix) }
        return ids
    }

    private func encode(
        _ part: [UInt8], isFirst: Bool, _ parsesSpecial: Bool, _ scratch: Scratch, into ids: inout [Int32]
    ) throws(TokenizerError) {
        var text = part
        scratch.matcher.limit(forTextOf: text.count)
        if let normalizer { try normalizer.apply(&text, scratch.matcher) }
        if normalizedTokens.isEmpty { return try encodeWords(text, isFirst: isFirst, scratch, into: &ids) }
        for segment in normalizedTokens.segments(text, parsesSpecial: parsesSpecial) {
            switch segment {
            case .token(let id): ids.append(id)
            case .text(let range):
                try encodeWords(Array(text[range]), isFirst: isFirst && range.lowerBound == 0, scratch, into: &ids)
            }
        }
    }

    private func encodeWords(
        _ text: [UInt8], isFirst: Bool, _ scratch: Scratch, into ids: inout [Int32]
    ) throws(TokenizerError) {
        if text.isEmpty { return }
        scratch.words.text = text
        scratch.words.ranges.removeAll(keepingCapacity: true)
        scratch.words.ranges.append(0..<text.count)
        scratch.matcher.limit(forTextOf: text.count)
        if let preTokenizer { try preTokenizer.apply(&scratch.words, isFirst: isFirst, scratch.matcher) }
        scratch.words.text.withUnsafeBufferPointer { bytes in
            scratch.words.ranges.withUnsafeBufferPointer { ranges in
                for range in ranges {
                    let word = UnsafeBufferPointer(rebasing: bytes[range])
                    switch model {
                    case .bytePair(let model): model.encode(word, scratch, into: &ids)
                    case .unigram(let model): model.encode(word, into: &ids)
                    case .wordPiece(let model): model.encode(word, into: &ids)
                    case .wordLevel(let model): model.encode(word, into: &ids)
                    }
                }
            }
        }
    }

    // MARK: Decoding

    /// The text of `ids`, valid UTF-8.
    package func decode(_ ids: UnsafeBufferPointer<Int32>, skipsSpecial: Bool) -> [UInt8] {
        let decoder = StreamDecoder(self, skipsSpecial: skipsSpecial)
        var out: [UInt8] = []
        out.reserveCapacity(ids.count * 4)
        for id in ids { decoder.push(id, to: &out) }
        decoder.finish(to: &out)
        return out
    }

    func isSpecial(_ id: Int32) -> Bool { specialIDs.contains(id) }

    /// The bytes of a piece or added token, in the form in which the table holds them.
    func rawPiece(_ id: Int32) -> UnsafeBufferPointer<UInt8>? { pieces.bytes(Int(id)) }

    // MARK: Vocabulary

    /// One more than the largest id.
    package var vocabularySize: Int { pieces.count }

    /// The piece as it stands in the vocabulary's file.
    package func piece(_ id: Int32) -> [UInt8]? {
        if let content = addedContents[id] { return content }
        guard let bytes = pieces.bytes(Int(id)) else { return nil }
        return spellsPieces && pieces.find(bytes) == Int(id) ? ByteAlphabet.spelled(bytes) : Array(bytes)
    }

    package func id(of piece: UnsafeBufferPointer<UInt8>) -> Int32? {
        let bytes = UTF8Text.repaired(piece)
        if let id = addedIDs[bytes] ?? addedIDs[Array(piece)] { return id }
        if spellsPieces {
            var raw: [UInt8] = []
            guard bytes.withUnsafeBufferPointer({ ByteAlphabet.appendBytes(of: $0, to: &raw) }) else { return nil }
            return pieces.id(of: raw).map(Int32.init)
        }
        return pieces.find(piece).map(Int32.init)
    }

    /// The description document of the tokenizer kind, as JSON text.
    package func describe() -> String {
        specials.description(type: kind, vocabularySize: vocabularySize, special: specialIDs.sorted()).text()
    }
}
