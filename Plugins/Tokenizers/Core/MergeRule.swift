/// A merge of two neighbouring symbols: rank in the high half, id of the result in the low half. A smaller value is
/// merged earlier; `none` is larger than all.
typealias Merge = UInt64

extension Merge {
    static let none = UInt64.max
    @inline(__always)
    init(rank: UInt32, id: Int32) { self = UInt64(rank) << 32 | UInt64(UInt32(bitPattern: id)) }
    @inline(__always)
    var rank: UInt32 { UInt32(truncatingIfNeeded: self >> 32) }
    @inline(__always)
    var mergedID: Int32 { Int32(truncatingIfNeeded: self) }
}

/// Which neighbours merge, and in what order.
protocol MergeRule {
    /// The merge of `left` and `right`, whose bytes together are `span`.
    func merge(_ left: Int32, _ right: Int32, _ span: UnsafePointer<UInt8>, _ count: Int) -> Merge
}

/// An explicit list of pairs in order of rank: merges.txt, tokenizer.json, GGUF's gpt2.
///
/// A slot is one word, left id (22 bits), right id (22) and rank (20), so that the table of a large vocabulary stays near
/// the core; the merged ids stand by rank in a list of their own.
final class PairMerges: MergeRule, @unchecked Sendable {
    // Written while the tokenizer is built, read-only after.
    private struct Storage {
        var slots: UnsafeMutablePointer<UInt64>
        var mask: Int
        var count = 0
        /// The id that the merge of each rank gives, or -1.
        var merged: UnsafeMutablePointer<Int32>
        var mergedCapacity: Int
    }
    private let storage: UnsafeMutablePointer<Storage>
    private let hash = ByteHash()
    private static let empty = UInt64.max
    private static let rankBits = 20
    private static let rankMask = UInt64(1) << rankBits - 1

    init(expecting count: Int) {
        let count = max(16, min(count, Int(Self.rankMask)))
        let capacity = 1 << (Int.bitWidth - (count * 4 / 3).leadingZeroBitCount)
        storage = .allocate(capacity: 1)
        storage.initialize(
            to: Storage(
                slots: Self.allocate(capacity), mask: capacity - 1, merged: .allocate(capacity: count),
                mergedCapacity: count))
        storage.pointee.merged.initialize(repeating: -1, count: count)
    }

    deinit {
        storage.pointee.slots.deallocate()
        storage.pointee.merged.deallocate()
        storage.deallocate()
    }

    private static func allocate(_ capacity: Int) -> UnsafeMutablePointer<UInt64> {
        let slots = UnsafeMutablePointer<UInt64>.allocate(capacity: capacity)
        slots.initialize(repeating: empty, count: capacity)
        return slots
    }

    var count: Int { storage.pointee.count }

    /// Adds a merge; a pair that was added before takes the new rank.
    func add(_ left: Int32, _ right: Int32, _ merge: Merge) throws(TokenizerError) {
        guard merge.rank < Self.rankMask, max(left, right) < Limits.pieces, min(left, right) >= 0 else {
            throw TokenizerError(.tooLarge, "has more than \(Self.rankMask) merges", in: "merges")
        }
        if storage.pointee.count * 4 >= (storage.pointee.mask + 1) * 3 { grow() }
        let rank = Int(merge.rank)
        if rank >= storage.pointee.mergedCapacity { growMerged(to: rank + 1) }
        storage.pointee.merged[rank] = merge.mergedID
        let pair = Self.key(left, right)
        let at = position(pair)
        if storage.pointee.slots[at] == Self.empty { storage.pointee.count += 1 }
        storage.pointee.slots[at] = pair | UInt64(rank)
    }

    @inline(__always)
    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 42 | UInt64(UInt32(bitPattern: right)) << 20
    }

    @inline(__always)
    private func position(_ pair: UInt64) -> Int {
        let slots = storage.pointee.slots
        let mask = storage.pointee.mask
        var at = Int(truncatingIfNeeded: hash(pair)) & mask
        while slots[at] ^ pair > Self.rankMask, slots[at] != Self.empty { at = (at &+ 1) & mask }
        return at
    }

    /// Calls `body` with each merge, in no order.
    func forEach(_ body: (Int32, Int32, Merge) -> Void) {
        for slot in UnsafeBufferPointer(start: storage.pointee.slots, count: storage.pointee.mask + 1)
        where slot != Self.empty {
            let rank = Int(slot & Self.rankMask)
            body(
                Int32(truncatingIfNeeded: slot >> 42), Int32(truncatingIfNeeded: slot >> 20 & (1 << 22 - 1)),
                Merge(rank: UInt32(rank), id: storage.pointee.merged[rank]))
        }
    }

    @inline(__always)
    func merge(_ left: Int32, _ right: Int32, _ span: UnsafePointer<UInt8>, _ count: Int) -> Merge {
        merge(left, right)
    }

    @inline(__always)
    func merge(_ left: Int32, _ right: Int32) -> Merge {
        if left | right < 0 { return .none }
        let slot = storage.pointee.slots[position(Self.key(left, right))]
        if slot == Self.empty { return .none }
        let rank = Int(slot & Self.rankMask)
        return Merge(rank: UInt32(rank), id: storage.pointee.merged[rank])
    }

    private func grow() {
        let old = UnsafeBufferPointer(start: storage.pointee.slots, count: storage.pointee.mask + 1)
        storage.pointee.slots = Self.allocate(old.count * 2)
        storage.pointee.mask = old.count * 2 - 1
        for slot in old where slot != Self.empty { storage.pointee.slots[position(slot & ~Self.rankMask)] = slot }
        old.deallocate()
    }

    private func growMerged(to count: Int) {
        let capacity = max(count, storage.pointee.mergedCapacity * 2)
        let new = UnsafeMutablePointer<Int32>.allocate(capacity: capacity)
        new.update(from: storage.pointee.merged, count: storage.pointee.mergedCapacity)
        (new + storage.pointee.mergedCapacity).initialize(
            repeating: -1, count: capacity - storage.pointee.mergedCapacity)
        storage.pointee.merged.deallocate()
        storage.pointee.merged = new
        storage.pointee.mergedCapacity = capacity
    }
}

/// Any two neighbours whose bytes together are a piece merge, in the order of the pieces' ranks: tiktoken's rank
/// files, and SentencePiece, where the rank is the place of the piece's score.
final class SpanMerges: MergeRule, @unchecked Sendable {
    // All is immutable after init.
    private let pieces: PieceTable
    /// The rank of each id; `UInt32.max` for a piece that merging may not produce.
    private let ranks: UnsafeMutableBufferPointer<UInt32>

    init(_ pieces: PieceTable, ranks: [UInt32]) {
        self.pieces = pieces
        self.ranks = .allocate(capacity: max(ranks.count, pieces.count))
        self.ranks.initialize(repeating: .max)
        for (id, rank) in ranks.enumerated() { self.ranks[id] = rank }
    }

    deinit { ranks.deallocate() }

    /// The rank of the piece `id`; `UInt32.max` where merging may not give it.
    func rank(_ id: Int) -> UInt32 { id < ranks.count ? ranks[id] : .max }

    @inline(__always)
    func merge(_ left: Int32, _ right: Int32, _ span: UnsafePointer<UInt8>, _ count: Int) -> Merge {
        let id = pieces.find(span, count)
        if id < 0 { return .none }
        let rank = ranks[Int(id)]
        return rank == .max ? .none : Merge(rank: rank, id: id)
    }
}
