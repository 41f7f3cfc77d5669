import JSON

/// Vocabularies and merges as they stand in JSON and text files, read without a Swift string for each piece.
enum VocabularyText {
    /// Sets a piece from its spelling; where the pieces are held raw, one outside GPT-2's alphabet is kept as it is
    /// spelled and can be produced by no word.
    static func set(
        _ spelling: [UInt8], id: Int, _ raw: inout [UInt8], in parts: inout TokenizerParts
    ) throws(TokenizerError) {
        guard parts.piecesAreRaw, parts.isByteAlphabet else { return try parts.pieces.set(spelling, id: id) }
        raw.removeAll(keepingCapacity: true)
        if spelling.withUnsafeBufferPointer({ ByteAlphabet.appendBytes(of: $0, to: &raw) }) {
            try parts.pieces.set(raw, id: id)
        } else {
            try parts.pieces.set(spelling, id: id, found: false)
        }
    }

    /// `{"piece": id, …}`
    static func read(_ text: UnsafeBufferPointer<UInt8>, into parts: inout TokenizerParts) throws {
        // A vocabulary's entry takes some 20 bytes of JSON.
        parts.pieces = PieceTable(expecting: text.count / 18, bytes: text.count / 2)
        var parser = JSONParser(text)
        try parser.expect(UInt8(ascii: "{"), "an object of pieces and ids")
        if parser.take(UInt8(ascii: "}")) { return }
        var spelling: [UInt8] = []
        var raw: [UInt8] = []
        repeat {
            try parser.stringBytes(&spelling)
            try parser.expect(UInt8(ascii: ":"), "':' after a piece")
            let id = try parser.integer()
            try set(spelling, id: id, &raw, in: &parts)
        } while parser.take(UInt8(ascii: ","))
        try parser.expect(UInt8(ascii: "}"), "',' or '}'")
    }

    /// `[["piece", score], …]`, the id being the place.
    static func readScored(_ text: UnsafeBufferPointer<UInt8>, into parts: inout TokenizerParts) throws {
        parts.pieces = PieceTable(expecting: text.count / 24, bytes: text.count / 2)
        var parser = JSONParser(text)
        var spelling: [UInt8] = []
        var scores: [Double] = []
        try parser.walkArray { parser throws(JSONError) in
            try parser.expect(UInt8(ascii: "["), "a pair of piece and score")
            try parser.stringBytes(&spelling)
            try parser.expect(UInt8(ascii: ","), "','")
            guard let score = try parser.value().double, score.isFinite else {
                throw parser.error("a piece's score must be a finite number")
            }
            try parser.expect(UInt8(ascii: "]"), "']'")
            do throws(TokenizerError) {
                try parts.pieces.set(spelling, id: scores.count)
            } catch {
                throw parser.error(error.message)
            }
            scores.append(score)
        }
        parts.scores = scores
    }

    /// `["a b", …]` or `[["a", "b"], …]`, in order of rank.
    static func readMerges(
        _ text: UnsafeBufferPointer<UInt8>?, prefix: [UInt8], _ parts: TokenizerParts
    ) throws -> PairMerges {
        guard let text else { return PairMerges(expecting: 0) }
        let merges = PairMerges(expecting: text.count / 14)
        var builder = MergeBuilder(parts, prefix: prefix)
        var parser = JSONParser(text)
        var line: [UInt8] = []
        var right: [UInt8] = []
        var rank: UInt32 = 0
        try parser.walkArray { parser throws(JSONError) in
            if parser.peek() == UInt8(ascii: "[") {
                try parser.expect(UInt8(ascii: "["), "a pair of pieces")
                try parser.stringBytes(&line)
                try parser.expect(UInt8(ascii: ","), "','")
                try parser.stringBytes(&right)
                try parser.expect(UInt8(ascii: "]"), "']'")
                builder.add(line[...], right[...], rank, to: merges)
            } else {
                try parser.stringBytes(&line)
                builder.addLine(line[...], rank, to: merges)
            }
            rank += 1
        }
        return merges
    }
}

/// Turns spelled merges into merges of ids. A merge one of whose pieces is not in the vocabulary is left out: it can
/// never apply.
struct MergeBuilder {
    private let pieces: PieceTable
    private let isRaw: Bool
    private let prefix: [UInt8]
    private var joined: [UInt8] = []

    init(_ parts: TokenizerParts, prefix: [UInt8] = []) {
        pieces = parts.pieces
        isRaw = parts.piecesAreRaw && parts.isByteAlphabet
        self.prefix = prefix
    }

    /// A line "left right"; the space that parts them is the first that does not begin the line.
    mutating func addLine(_ line: ArraySlice<UInt8>, _ rank: UInt32, to merges: PairMerges) {
        guard let space = line.dropFirst().firstIndex(of: 0x20) else { return }
        add(line[..<space], line[(space + 1)...], rank, to: merges)
    }

    mutating func add(_ left: ArraySlice<UInt8>, _ right: ArraySlice<UInt8>, _ rank: UInt32, to merges: PairMerges) {
        joined.removeAll(keepingCapacity: true)
        guard append(left) else { return }
        let middle = joined.count
        guard append(right) else { return }
        let found: (Int32, Int32, Int32) = joined.withUnsafeMutableBufferPointer { bytes in
            guard let base = bytes.baseAddress else { return (-1, -1, -1) }
            let left = pieces.find(base, middle)
            let right = pieces.find(base + middle, bytes.count - middle)
            var count = bytes.count
            if !prefix.isEmpty, bytes[middle...].starts(with: prefix) {
                // The merged piece has the mark of continuation once.
                (base + middle).update(from: base + middle + prefix.count, count: count - middle - prefix.count)
                count -= prefix.count
            }
            return (left, right, pieces.find(base, count))
        }
        if found.0 >= 0, found.1 >= 0, found.2 >= 0 {
            merges.add(found.0, found.1, Merge(rank: rank, id: found.2))
        }
    }

    private mutating func append(_ piece: ArraySlice<UInt8>) -> Bool {
        if piece.isEmpty { return false }
        if isRaw { return piece.withUnsafeBufferPointer { ByteAlphabet.appendBytes(of: $0, to: &joined) } }
        joined.append(contentsOf: piece)
        return true
    }
}
