import JSON

/// Vocabularies and merges as they stand in JSON and text files, read without a Swift string for each piece.
enum VocabularyText {
    /// Sets a piece from its spelling; where the pieces are held raw, one outside GPT-2's alphabet is kept as it is
    /// spelled and can be produced by no word.
    static func set(
        _ spelling: UnsafeBufferPointer<UInt8>, id: Int, isSpelled: Bool, _ raw: inout [UInt8], in pieces: PieceTable
    ) throws(TokenizerError) {
        guard isSpelled else { return try pieces.set(spelling, id: id) }
        if raw.count < spelling.count { raw = Array(repeating: 0, count: 2 * spelling.count) }
        let result = raw.withUnsafeMutableBufferPointer { raw in
            let count = ByteAlphabet.write(spelling, to: raw)
            let piece = count < 0 ? spelling : UnsafeBufferPointer(rebasing: raw[..<count])
            return Result { () throws(TokenizerError) in try pieces.set(piece, id: id, found: count >= 0) }
        }
        try result.get()
    }

    /// `{"piece": id, …}`
    /// - Parameter count: the number of pieces, as near as it is known.
    static func read(_ text: UnsafeBufferPointer<UInt8>, count: Int, into parts: inout TokenizerParts) throws {
        let pieces = PieceTable(expecting: count, bytes: text.count / 2)
        parts.pieces = pieces
        let isSpelled = parts.piecesAreRaw && parts.isByteAlphabet
        var raw: [UInt8] = []
        var parser = JSONParser(text)
        var failure: TokenizerError?
        do throws(JSONError) {
            try parser.walkIntegerMembers { spelling, id throws(JSONError) in
                do throws(TokenizerError) {
                    try set(spelling, id: id, isSpelled: isSpelled, &raw, in: pieces)
                } catch {
                    failure = error
                    throw JSONError(message: error.message, line: 0, column: 0)
                }
            }
        } catch {
            if let failure { throw failure }
            throw error
        }
    }

    /// `[["piece", score], …]`, the id being the place.
    static func readScored(
        _ text: UnsafeBufferPointer<UInt8>, count: Int, into parts: inout TokenizerParts
    ) throws {
        parts.pieces = PieceTable(expecting: count, bytes: text.count / 2)
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
    /// - Parameter strings: the number of strings in `text`.
    static func readMerges(
        _ text: UnsafeBufferPointer<UInt8>?, strings: Int, prefix: [UInt8], _ parts: TokenizerParts
    ) throws -> PairMerges {
        guard let text else { return PairMerges(expecting: 0) }
        var parser = JSONParser(text)
        var start = parser
        try start.expect(UInt8(ascii: "["), "an array of merges")
        let arePairs = start.peek() == UInt8(ascii: "[")
        let merges = PairMerges(expecting: arePairs ? strings / 2 : strings)
        var builder = MergeBuilder(parts, prefix: prefix, merges)
        var failure: TokenizerError?
        func building(_ body: () throws(TokenizerError) -> Void) throws(JSONError) {
            do throws(TokenizerError) {
                try body()
            } catch {
                failure = error
                throw JSONError(message: error.message, line: 0, column: 0)
            }
        }
        do throws(JSONError) {
            if arePairs {
                try parser.walkArray { parser throws(JSONError) in
                    var count = 0
                    try parser.walkStrings { piece throws(JSONError) in
                        count += 1
                        try building { () throws(TokenizerError) in
                            if count == 1 { builder.begin(piece) } else if count == 2 { try builder.end(piece) }
                        }
                    }
                    if count != 2 { throw parser.error("a merge must be a pair of pieces; found \(count)") }
                }
            } else {
                try parser.walkStrings { line throws(JSONError) in
                    try building { () throws(TokenizerError) in try builder.addLine(line) }
                }
            }
        } catch {
            if let failure { throw failure }
            throw error
        }
        return merges
    }
}

/// Turns spelled merges, in order of rank, into merges of ids. A merge one of whose pieces is not in the vocabulary is
/// left out: it can never apply.
struct MergeBuilder {
    private let pieces: PieceTable
    private let merges: PairMerges
    private let isRaw: Bool
    private let prefix: [UInt8]
    private var rank: UInt32 = 0
    /// The bytes of the two pieces, and how many of them are the left one's; -1 where that one cannot be found.
    private var joined: [UInt8] = []
    private var middle = -1
    /// Trained vocabularies number their pieces in the order of the merges: this id is tried first.
    private var expected: Int32 = 0

    init(_ parts: TokenizerParts, prefix: [UInt8] = [], _ merges: PairMerges) {
        pieces = parts.pieces
        isRaw = parts.piecesAreRaw && parts.isByteAlphabet
        self.prefix = prefix
        self.merges = merges
    }

    /// A line "left right"; the space that parts them is the first that does not begin the line.
    mutating func addLine(_ line: UnsafeBufferPointer<UInt8>) throws(TokenizerError) {
        var space = 1
        while space < line.count, line[space] != 0x20 { space &+= 1 }
        if space >= line.count {
            rank += 1
            return
        }
        begin(UnsafeBufferPointer(rebasing: line[..<space]))
        try end(UnsafeBufferPointer(rebasing: line[(space + 1)...]))
    }

    /// Takes the left piece of the next merge.
    mutating func begin(_ left: UnsafeBufferPointer<UInt8>) {
        middle = write(left, at: 0)
    }

    /// Takes the right piece, and adds the merge.
    mutating func end(_ right: UnsafeBufferPointer<UInt8>) throws(TokenizerError) {
        let rank = rank
        self.rank += 1
        guard middle > 0 else { return }
        var count = write(right, at: middle)
        guard count > 0 else { return }
        count += middle
        let found: (left: Int32, right: Int32, merged: Int32) = joined.withUnsafeMutableBufferPointer { bytes in
            guard let base = bytes.baseAddress else { return (-1, -1, -1) }
            let left = pieces.find(base, middle)
            let right = pieces.find(base + middle, count - middle)
            if !prefix.isEmpty, bytes[middle..<count].starts(with: prefix) {
                // The merged piece has the mark of continuation once.
                (base + middle).update(from: base + middle + prefix.count, count: count - middle - prefix.count)
                count -= prefix.count
            }
            if pieces.holds(base, count, at: expected) { return (left, right, expected) }
            return (left, right, pieces.find(base, count))
        }
        guard found.left >= 0, found.right >= 0, found.merged >= 0 else { return }
        expected = found.merged &+ 1
        try merges.add(found.left, found.right, Merge(rank: rank, id: found.merged))
    }

    /// Writes a piece's bytes at `start` of `joined` and gives their number; -1 where it has none.
    private mutating func write(_ piece: UnsafeBufferPointer<UInt8>, at start: Int) -> Int {
        if piece.isEmpty { return -1 }
        let wanted = start + piece.count
        if joined.count < wanted { joined += Array(repeating: 0, count: 2 * wanted) }
        return joined.withUnsafeMutableBufferPointer { joined in
            let room = UnsafeMutableBufferPointer(rebasing: joined[start...])
            if isRaw { return ByteAlphabet.write(piece, to: room) }
            _ = room.update(fromContentsOf: piece)
            return piece.count
        }
    }
}
