/// Byte-pair encoding by longest matches, for vocabularies whose merges come in the order of their making.
///
/// A list of pieces is the encoding of a text exactly when every two neighbours are the encoding of what they spell
/// together (A. Neubeck, H. van Antwerpen, "So many tokens, so little time", GitHub, 2024). So the longest piece is taken
/// that fits what stands before it; where none fits, the last one is taken back and a shorter one tried. No position is
/// given up twice, so the time grows with the text alone. The pieces are those that merging gives, several times sooner.
final class PairwiseEncoder: @unchecked Sendable {
    // All is written in init and read-only after.
    private let merges: PairMerges
    private let matches: PieceTrie
    /// By id: its merge's rank (-1 for a byte, `unmade` for a piece that no merging gives), its two parts, the longest
    /// piece that it begins with (-1: none), and its length.
    private let steps: UnsafeMutableBufferPointer<Step>
    private static let unmade = Int32.max

    private struct Step {
        var rank = PairwiseEncoder.unmade
        var left: Int32 = -1
        var right: Int32 = -1
        var prefix: Int32 = -1
        var length: Int32 = 0
    }

    /// - Parameter bytes: the id of each byte's own piece.
    /// - Returns: nil where the vocabulary is not of that kind; it must be encoded by merging.
    init?(_ pieces: PieceTable, bytes: [Int32], _ rules: BytePairModel.Rules) {
        guard bytes.count == 256, bytes.allSatisfy({ $0 >= 0 }), Set(bytes).count == 256 else { return nil }
        var steps = [Step](repeating: Step(), count: pieces.count)
        for id in bytes { steps[Int(id)] = Step(rank: -1, length: 1) }
        let made: PairMerges?
        switch rules {
        case .pairs(let pairs): made = Self.takePairs(pairs, pieces, &steps) ? pairs : nil
        case .spans(let spans): made = Self.findPairs(spans, pieces, &steps)
        }
        guard let made else { return nil }
        var expectedNodes = 0
        for step in steps where step.rank != Self.unmade { expectedNodes += Int(step.length) }
        let matches = PieceTrie(expecting: expectedNodes / 2)
        // Ranks ascend from part to whole, so a piece's beginning is known to be made before the piece is looked at.
        for id in steps.indices where steps[id].rank != Self.unmade {
            let step = steps[id]
            if step.rank >= 0, !Self.fit(step.left, step.right, before: step.rank, made, steps) { continue }
            guard let bytes = pieces.bytes(id), matches.insert(bytes, Int32(id)) else { return nil }
        }
        for id in steps.indices where steps[id].rank != Self.unmade {
            if let bytes = pieces.bytes(id) { steps[id].prefix = matches.longestProperPrefix(bytes) }
        }
        merges = made
        self.matches = matches
        self.steps = .allocate(capacity: max(1, steps.count))
        _ = self.steps.initialize(from: steps)
    }

    deinit { steps.deallocate() }

    /// Notes each pair by the piece that it makes; false where a piece is made twice or before its parts.
    private static func takePairs(_ pairs: PairMerges, _ pieces: PieceTable, _ steps: inout [Step]) -> Bool {
        var inOrder = true
        pairs.forEach { left, right, merge in
            let id = Int(merge.mergedID)
            guard inOrder, steps.indices.contains(id), steps[id].rank == unmade, let bytes = pieces.bytes(id),
                let rank = Int32(exactly: merge.rank)
            else {
                inOrder = false
                return
            }
            steps[id] = Step(rank: rank, left: left, right: right, length: Int32(bytes.count))
        }
        return inOrder
            && steps.allSatisfy { step in
                step.rank < 0 || step.rank == unmade
                    || steps[Int(step.left)].rank < step.rank && steps[Int(step.right)].rank < step.rank
            }
    }

    /// Finds the pair that makes each piece of a rank file: the two pieces that all earlier merges leave of it. Nil where
    /// some piece has none, or where more than the merges' table takes.
    private static func findPairs(_ spans: SpanMerges, _ pieces: PieceTable, _ steps: inout [Step]) -> PairMerges? {
        let order = steps.indices.filter { steps[$0].rank == unmade && spans.rank($0) != .max }
            .sorted { spans.rank($0) < spans.rank($1) }
        let pairs = PairMerges(expecting: order.count)
        var last = UInt32.max
        for id in order {
            guard let bytes = pieces.bytes(id), let base = bytes.baseAddress, spans.rank(id) != last,
                let rank = Int32(exactly: spans.rank(id))
            else { return nil }
            last = spans.rank(id)
            var cut = 1
            while cut < bytes.count {
                let left = pieces.find(base, cut)
                let right = pieces.find(base + cut, bytes.count - cut)
                if left >= 0, right >= 0, steps[Int(left)].rank < rank, steps[Int(right)].rank < rank,
                    fit(left, right, before: rank, pairs, steps)
                {
                    steps[id] = Step(rank: rank, left: left, right: right, length: Int32(bytes.count))
                    guard (try? pairs.add(left, right, Merge(rank: UInt32(rank), id: Int32(id)))) != nil else {
                        return nil
                    }
                    break
                }
                cut += 1
            }
            if cut == bytes.count { return nil }
        }
        return pairs
    }

    /// Whether no merge before rank `end` joins anything across the place where `left` and `right` meet.
    ///
    /// The merges of both are undone, the latest first: between two of them the pieces that touch the place stay the same,
    /// and they would have merged if their pair comes before the next thing that happened to either of them. Of equal
    /// ranks the one on the left is merged first.
    @inline(__always)
    private static func fit(
        _ left: Int32, _ right: Int32, before end: Int32, _ merges: PairMerges, _ step: (Int32) -> Step
    ) -> Bool {
        var (left, right, end) = (left, right, UInt64(UInt32(bitPattern: end)))
        while true {
            let merge = merges.merge(left, right)
            if merge != .none, UInt64(merge.rank) < end { return false }
            let (a, b) = (step(left), step(right))
            if a.rank < 0, b.rank < 0 { return true }
            if a.rank > b.rank {
                end = UInt64(a.rank)
                left = a.right
            } else {
                end = UInt64(b.rank) + 1
                right = b.left
            }
        }
    }

    private static func fit(
        _ left: Int32, _ right: Int32, before end: Int32, _ merges: PairMerges, _ steps: [Step]
    ) -> Bool {
        steps.withUnsafeBufferPointer { steps in
            fit(left, right, before: end, merges) { steps[Int($0)] }
        }
    }

    /// Appends the pieces of `word`; false, with nothing appended, where it has no encoding.
    func encode(_ word: UnsafeBufferPointer<UInt8>, _ memory: PairMemory, into out: inout [Int32]) -> Bool {
        let first = out.count
        memory.begin(positions: word.count + 1)
        var at = 0
        var piece = matches.longestMatch(word, from: 0)
        while true {
            let end = at &+ Int(steps[Int(piece)].length)
            if !memory.isGivenUp(end), out.count == first || fits(out[out.count &- 1], piece, memory) {
                out.append(piece)
                at = end
                if at == word.count { return true }
                piece = matches.longestMatch(word, from: at)
                continue
            }
            let shorter = steps[Int(piece)].prefix
            if shorter >= 0 {
                piece = shorter
                continue
            }
            guard out.count > first else { return false }
            memory.giveUp(at)
            piece = out.removeLast()
            at &-= Int(steps[Int(piece)].length)
        }
    }

    @inline(__always)
    private func fits(_ left: Int32, _ right: Int32, _ memory: PairMemory) -> Bool {
        if let known = memory.known(left, right) { return known }
        let fits = Self.fit(left, right, before: .max, merges) { steps[Int($0)] }
        memory.remember(left, right, fits)
        return fits
    }
}

/// What one thread remembers while it encodes: positions that lead nowhere, and pairs that it has looked at.
final class PairMemory {
    private var given: [UInt64] = []
    private var count = 0
    private let pairs: UnsafeMutablePointer<UInt64>
    private static let slots = 1 << 14

    init() {
        pairs = .allocate(capacity: Self.slots)
        pairs.initialize(repeating: .max, count: Self.slots)
    }

    deinit { pairs.deallocate() }

    func begin(positions: Int) {
        let words = positions >> 6 + 1
        if given.count < words { given = Array(repeating: 0, count: words) }
        for index in 0..<min(words, count) { given[index] = 0 }
        count = 0
    }

    @inline(__always)
    func isGivenUp(_ position: Int) -> Bool {
        position >> 6 < count && given[position >> 6] >> UInt64(position & 63) & 1 != 0
    }

    func giveUp(_ position: Int) {
        let word = position >> 6
        while count <= word {
            given[count] = 0
            count += 1
        }
        given[word] |= 1 << UInt64(position & 63)
    }

    /// Ids have 22 bits: the two of them and the answer are one word.
    @inline(__always)
    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right)) << 1
    }

    @inline(__always)
    private static func slot(_ key: UInt64) -> Int {
        Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> 50)
    }

    @inline(__always)
    func known(_ left: Int32, _ right: Int32) -> Bool? {
        let key = Self.key(left, right)
        let held = pairs[Self.slot(key)]
        return held & ~1 == key ? held & 1 != 0 : nil
    }

    @inline(__always)
    func remember(_ left: Int32, _ right: Int32, _ fits: Bool) {
        let key = Self.key(left, right)
        pairs[Self.slot(key)] = key | (fits ? 1 : 0)
    }
}
