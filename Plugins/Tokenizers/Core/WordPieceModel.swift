/// WordPiece: the longest piece that begins the word, then the longest continuation piece, and so on; a word that
/// cannot be covered is one unknown token (google-research/bert, tokenization.py).
final class WordPieceModel: Sendable {
    private let initial: ByteTrie
    private let continuing: ByteTrie
    private let unknown: Int32?
    private let maximumCharacters: Int

    /// - Parameter prefix: what marks a piece that continues a word, "##".
    init(_ pieces: PieceTable, prefix: [UInt8], unknown: Int32?, maximumCharacters: Int) throws(TokenizerError) {
        var initial = ByteTrie(expectingNodes: min(pieces.count * 3, pieces.byteCount))
        var continuing = ByteTrie(expectingNodes: min(pieces.count, pieces.byteCount))
        for id in 0..<pieces.count {
            guard let bytes = pieces.bytes(id), !bytes.isEmpty else { continue }
            try initial.insert(bytes, Int32(id))
            if bytes.count > prefix.count, bytes.starts(with: prefix) {
                try continuing.insert(bytes.dropFirst(prefix.count), Int32(id))
            }
        }
        self.initial = initial
        self.continuing = continuing
        self.unknown = unknown
        self.maximumCharacters = maximumCharacters
    }

    func encode(_ word: UnsafeBufferPointer<UInt8>, into out: inout [Int32]) {
        let first = out.count
        var at = 0
        let isLong = word.count > maximumCharacters && word.count { $0 & 0xC0 != 0x80 } > maximumCharacters
        while !isLong, at < word.count {
            guard let found = (at == 0 ? initial : continuing).longestMatch(word, from: at) else { break }
            out.append(found.value)
            at = found.end
        }
        if at == word.count { return }
        out.removeSubrange(first...)
        if let unknown { out.append(unknown) }
    }
}

/// A vocabulary of whole words.
final class WordLevelModel: Sendable {
    private let pieces: PieceTable
    private let unknown: Int32?

    init(_ pieces: PieceTable, unknown: Int32?) {
        self.pieces = pieces
        self.unknown = unknown
    }

    func encode(_ word: UnsafeBufferPointer<UInt8>, into out: inout [Int32]) {
        if let id = pieces.find(word).map(Int32.init) ?? unknown { out.append(id) }
    }
}
