/// The most probable segmentation under a unigram model (Kudo 2018, arXiv:1804.10959), found by Viterbi over the
/// pieces that begin at each character.
final class UnigramModel: Sendable {
    struct Options {
        var unknown: Int32?
        var byteFallback = false
        /// Consecutive unknown characters make one unknown token.
        var fusesUnknown = true
        /// Scores are summed in 32 bits, as SentencePiece does, instead of 64, as `tokenizers` does.
        var singlePrecision = false
    }
    private let trie: ByteTrie
    private let scores: [Double]
    private let unknownScore: Double
    private let options: Options
    private let fallbackIDs: [Int32]
    /// The penalty of an unknown character below the least score (sentencepiece, unigram_model.cc, `kUnkPenalty`).
    private static let unknownPenalty = 10.0

    /// - Parameters:
    ///   - scores: the log-probability of each id.
    ///   - isUsed: whether a piece may stand in a segmentation.
    init(
        _ pieces: PieceTable, scores: [Double], isUsed: (Int) -> Bool, userDefined: Set<Int> = [], _ options: Options
    ) throws(TokenizerError) {
        var scores = scores
        var least = Double.infinity
        var greatest = -Double.infinity
        for id in scores.indices where isUsed(id) && !userDefined.contains(id) {
            least = min(least, scores[id])
            greatest = max(greatest, scores[id])
        }
        if !least.isFinite { least = 0 }
        if !greatest.isFinite { greatest = 0 }
        var trie = ByteTrie(expectingNodes: min(pieces.count * 4, pieces.byteCount))
        for id in 0..<pieces.count where id < scores.count && isUsed(id) {
            guard let bytes = pieces.bytes(id), !bytes.isEmpty else { continue }
            try trie.insert(bytes, Int32(id))
            if userDefined.contains(id) {
                // A user-defined piece's score is its length in bytes times the greatest score, less a little.
                scores[id] = Double(bytes.count) * greatest - 0.1
            }
        }
        self.trie = trie
        self.scores = scores
        self.options = options
        unknownScore = least - Self.unknownPenalty
        fallbackIDs = (0..<256).map { pieces.id(of: ByteFallback.piece(UInt8($0))).map(Int32.init) ?? -1 }
    }

    /// The best path to a position: its score, and the token that ends it.
    private struct Node {
        var score = 0.0
        var start: Int32 = -1
        var id: Int32 = -1
    }

    func encode(_ word: UnsafeBufferPointer<UInt8>, into out: inout [Int32]) {
        if word.isEmpty { return }
        var best = [Node](repeating: Node(), count: word.count + 1)
        @inline(__always)
        func offer(_ start: Int, _ end: Int, _ id: Int32, _ score: Double) {
            var total = best[start].score + score
            if options.singlePrecision { total = Double(Float(total)) }
            if best[end].start < 0 || total > best[end].score {
                best[end] = Node(score: total, start: Int32(truncatingIfNeeded: start), id: id)
            }
        }
        var start = 0
        while start < word.count {
            let length = UTF8Text.length(word[start])
            var hasSingle = false
            var node: UInt32 = 0
            var at = start
            while at < word.count, let next = trie.child(node, word[at]) {
                node = next
                at &+= 1
                let id = trie.value(node)
                if id >= 0 {
                    offer(start, at, id, scores[Int(id)])
                    if at == start &+ length { hasSingle = true }
                }
            }
            if !hasSingle { offer(start, start &+ length, -1, unknownScore) }
            start &+= length
        }
        emit(best, word, into: &out)
    }

    private func emit(_ best: [Node], _ word: UnsafeBufferPointer<UInt8>, into out: inout [Int32]) {
        var path: [(id: Int32, range: Range<Int>)] = []
        var end = word.count
        while end > 0 {
            let node = best[end]
            guard node.start >= 0, Int(node.start) < end else { return }
            path.append((node.id, Int(node.start)..<end))
            end = Int(node.start)
        }
        // A run of unknown characters is one unknown token; with byte fallback it is spelled out.
        var lastWasUnknown = false
        for (id, range) in path.reversed() {
            if id >= 0, id != options.unknown {
                out.append(id)
                lastWasUnknown = false
            } else if options.byteFallback, word[range].allSatisfy({ fallbackIDs[Int($0)] >= 0 }) {
                for byte in word[range] { out.append(fallbackIDs[Int(byte)]) }
                lastWasUnknown = false
            } else if let unknown = options.unknown {
                if !(lastWasUnknown && options.fusesUnknown) { out.append(unknown) }
                lastWasUnknown = true
            }
        }
    }
}
