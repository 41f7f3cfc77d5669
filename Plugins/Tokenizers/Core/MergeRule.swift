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
final class PairMerges: MergeRule, @unchecked Sendable {
    // Written while the tokenizer is built, read-only after.
    private struct Slot {
        var pair: UInt64
        var merge: Merge
    }
    private struct Storage {
        var slots: UnsafeMutablePointer<Slot>
        var mask: Int
        var count = 0
    }
    private let storage: UnsafeMutablePointer<Storage>
    private let hash = ByteHash()
    private static let empty = UInt64.max

    init(expecting count: Int) {
        let wanted = max(16, min(count, Limits.pieces) * 3 / 2)
        let capacity = 1 << (Int.bitWidth - (wanted - 1).leadingZeroBitCount)
        storage = .allocate(capacity: 1)
        storage.initialize(to: Storage(slots: Self.allocate(capacity), mask: capacity - 1))
    }

    deinit {
        storage.pointee.slots.deallocate()
        storage.deallocate()
    }

    private static func allocate(_ capacity: Int) -> UnsafeMutablePointer<Slot> {
        let slots = UnsafeMutablePointer<Slot>.allocate(capacity: capacity)
        slots.initialize(repeating: Slot(pair: empty, merge: .none), count: capacity)
        return slots
    }

    var count: Int { storage.pointee.count }

    /// Adds a merge; a pair that was added before takes the new rank.
    func add(_ left: Int32, _ right: Int32, _ merge: Merge) {
        if storage.pointee.count * 4 >= (storage.pointee.mask + 1) * 3 { grow() }
        let pair = Self.key(left, right)
        let at = position(pair)
        if storage.pointee.slots[at].pair == Self.empty { storage.pointee.count += 1 }
        storage.pointee.slots[at] = Slot(pair: pair, merge: merge)
    }

    @inline(__always)
    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    @inline(__always)
    private func position(_ pair: UInt64) -> Int {
        let slots = storage.pointee.slots
        let mask = storage.pointee.mask
        var at = Int(truncatingIfNeeded: hash(pair)) & mask
        while slots[at].pair != pair, slots[at].pair != Self.empty { at = (at &+ 1) & mask }
        return at
    }

    @inline(__always)
    func merge(_ left: Int32, _ right: Int32, _ span: UnsafePointer<UInt8>, _ count: Int) -> Merge {
        // An empty slot holds `.none`.
        storage.pointee.slots[position(Self.key(left, right))].merge
    }

    private func grow() {
        let old = UnsafeBufferPointer(start: storage.pointee.slots, count: storage.pointee.mask + 1)
        storage.pointee.slots = Self.allocate(old.count * 2)
        storage.pointee.mask = old.count * 2 - 1
        for slot in old where slot.pair != Self.empty { storage.pointee.slots[position(slot.pair)] = slot }
        old.deallocate()
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

    @inline(__always)
    func merge(_ left: Int32, _ right: Int32, _ span: UnsafePointer<UInt8>, _ count: Int) -> Merge {
        let id = pieces.find(span, count)
        if id < 0 { return .none }
        let rank = ranks[Int(id)]
        return rank == .max ? .none : Merge(rank: rank, id: id)
    }
}
