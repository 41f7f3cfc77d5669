import Glibc

/// The vocabulary: pieces by id in one arena of bytes, and ids by piece in one flat hash table.
///
/// An id may have no piece (a gap in the numbering), and a piece may be stored without being found by its bytes
/// (a special token, which only the added-token matcher may produce).
package final class PieceTable: @unchecked Sendable {
    // Written only while the tokenizer is being built, by one thread; read-only ever after.
    private struct Storage {
        var arena: UnsafeMutablePointer<UInt8>
        var arenaCount = 0
        var arenaCapacity: Int
        /// Start (low half) and length (high half) of each id's bytes; `missing` marks a gap.
        var spans: UnsafeMutablePointer<UInt64>
        var spanCount = 0
        var spanCapacity: Int
        /// Low half: id + 1, or 0 when empty. High half: the upper bits of the hash.
        var slots: UnsafeMutablePointer<UInt64>
        var mask: Int
        var filled = 0
        /// Pieces that were set, or that are to come.
        var known: Int
    }
    private let storage: UnsafeMutablePointer<Storage>
    private let hash = ByteHash()
    private static let missing = UInt64.max
    private static let tagMask: UInt64 = 0xFFFF_FFFF_0000_0000

    /// - Parameters: the expected number of pieces, and of bytes in all of them.
    init(expecting pieces: Int = 1024, bytes: Int = 8192) {
        // Filled to three quarters at most, as it is when it grows.
        let wanted = max(16, min(pieces, Limits.pieces) * 4 / 3 + 1)
        let capacity = 1 << (Int.bitWidth - (wanted - 1).leadingZeroBitCount)
        let slots = UnsafeMutablePointer<UInt64>.allocate(capacity: capacity)
        slots.initialize(repeating: 0, count: capacity)
        let arenaCapacity = max(64, bytes)
        let spanCapacity = max(16, min(pieces, Limits.pieces))
        storage = .allocate(capacity: 1)
        storage.initialize(
            to: Storage(
                arena: .allocate(capacity: arenaCapacity), arenaCapacity: arenaCapacity,
                spans: .allocate(capacity: spanCapacity), spanCapacity: spanCapacity, slots: slots, mask: capacity - 1,
                known: pieces))
    }

    deinit {
        storage.pointee.arena.deallocate()
        storage.pointee.spans.deallocate()
        storage.pointee.slots.deallocate()
        storage.deallocate()
    }

    /// One more than the largest id.
    package var count: Int { storage.pointee.spanCount }
    /// Bytes of all pieces together: no trie of them has more nodes.
    var byteCount: Int { storage.pointee.arenaCount }

    /// The bytes of a piece; nil where the id has none. Valid as long as the table.
    package func bytes(_ id: Int) -> UnsafeBufferPointer<UInt8>? {
        guard id >= 0, id < storage.pointee.spanCount else { return nil }
        let span = storage.pointee.spans[id]
        if span == Self.missing { return nil }
        return UnsafeBufferPointer(start: storage.pointee.arena + Int(span & 0xFFFF_FFFF), count: Int(span >> 32))
    }

    /// The id of a piece, or nil.
    package func id(of piece: [UInt8]) -> Int? {
        piece.withUnsafeBufferPointer { find($0) }
    }

    package func find(_ piece: UnsafeBufferPointer<UInt8>) -> Int? {
        guard let base = piece.baseAddress else { return nil }
        let id = find(base, piece.count)
        return id < 0 ? nil : Int(id)
    }

    /// The id of the piece with these bytes, or -1.
    @inline(__always)
    func find(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Int32 {
        let hash = hash(bytes, count)
        let mask = storage.pointee.mask
        let slots = storage.pointee.slots
        var at = Int(truncatingIfNeeded: hash) & mask
        while true {
            let slot = slots[at]
            if slot == 0 { return -1 }
            if (slot ^ hash) & Self.tagMask == 0 {
                let id = Int(slot & ~Self.tagMask) &- 1
                let span = storage.pointee.spans[id]
                if Int(span >> 32) == count,
                    Self.same(storage.pointee.arena + Int(span & ~Self.tagMask), bytes, count)
                {
                    return Int32(truncatingIfNeeded: id)
                }
            }
            at = (at &+ 1) & mask
        }
    }

    /// Whether the piece of `id` has these bytes.
    @inline(__always)
    func holds(_ bytes: UnsafePointer<UInt8>, _ count: Int, at id: Int32) -> Bool {
        guard id >= 0, id < storage.pointee.spanCount else { return false }
        let span = storage.pointee.spans[Int(id)]
        // The length of a gap is that of no piece.
        return Int(span >> 32) == count && Self.same(storage.pointee.arena + Int(span & ~Self.tagMask), bytes, count)
    }

    /// Pieces are short: two overlapping words are compared instead of calling memcmp.
    @inline(__always)
    private static func same(_ a: UnsafePointer<UInt8>, _ b: UnsafePointer<UInt8>, _ count: Int) -> Bool {
        func differ<Word: FixedWidthInteger & BitwiseCopyable>(_ at: Int, as: Word.Type) -> Word {
            let (a, b) = (UnsafeRawPointer(a), UnsafeRawPointer(b))
            return a.loadUnaligned(fromByteOffset: at, as: Word.self)
                ^ b.loadUnaligned(fromByteOffset: at, as: Word.self)
        }
        if count > 16 { return memcmp(a, b, count) == 0 }
        if count >= 8 { return differ(0, as: UInt64.self) | differ(count &- 8, as: UInt64.self) == 0 }
        if count >= 4 { return differ(0, as: UInt32.self) | differ(count &- 4, as: UInt32.self) == 0 }
        var at = 0
        while at < count {
            if a[at] != b[at] { return false }
            at &+= 1
        }
        return true
    }

    /// Stores a piece under `id`, replacing what the id had.
    /// - Parameter found: whether `find` is to answer with it; where two ids share their bytes the first keeps them.
    func set(_ piece: UnsafeBufferPointer<UInt8>, id: Int, found: Bool = true) throws(TokenizerError) {
        guard id >= 0, id < Limits.pieces else {
            throw TokenizerError(.tooLarge, "id \(id) is outside 0..<\(Limits.pieces)", in: "vocabulary")
        }
        // A few bytes of a file must not make a table of millions of gaps.
        storage.pointee.known = max(storage.pointee.known, storage.pointee.filled + 1)
        guard id < Limits.gaps + 2 * storage.pointee.known else {
            throw TokenizerError(
                .tooLarge,
                "id \(id) leaves most numbers of a vocabulary of about \(storage.pointee.known) without a piece",
                in: "vocabulary")
        }
        guard piece.count <= Limits.pieceBytes, storage.pointee.arenaCount + piece.count < Int(UInt32.max) else {
            throw TokenizerError(
                .tooLarge, "the piece of id \(id) has \(piece.count) bytes; at most \(Limits.pieceBytes) are taken",
                in: "vocabulary")
        }
        reserve(spans: id + 1, bytes: storage.pointee.arenaCount + piece.count)
        let start = storage.pointee.arenaCount
        if let base = piece.baseAddress { (storage.pointee.arena + start).update(from: base, count: piece.count) }
        storage.pointee.arenaCount += piece.count
        while storage.pointee.spanCount <= id {
            storage.pointee.spans[storage.pointee.spanCount] = Self.missing
            storage.pointee.spanCount += 1
        }
        storage.pointee.spans[id] = UInt64(start) | UInt64(piece.count) << 32
        guard found, !piece.isEmpty, find(piece) == nil else { return }
        if storage.pointee.filled * 4 >= (storage.pointee.mask + 1) * 3 { growSlots() }
        insert(id)
    }

    func set(_ piece: [UInt8], id: Int, found: Bool = true) throws(TokenizerError) {
        let result = piece.withUnsafeBufferPointer { buffer in
            Result { () throws(TokenizerError) in try set(buffer, id: id, found: found) }
        }
        try result.get()
    }

    private func insert(_ id: Int) {
        let span = storage.pointee.spans[id]
        let hash = hash(storage.pointee.arena + Int(span & 0xFFFF_FFFF), Int(span >> 32))
        var at = Int(truncatingIfNeeded: hash) & storage.pointee.mask
        while storage.pointee.slots[at] != 0 { at = (at &+ 1) & storage.pointee.mask }
        storage.pointee.slots[at] = hash & Self.tagMask | UInt64(id + 1)
        storage.pointee.filled += 1
    }

    private func reserve(spans: Int, bytes: Int) {
        if bytes > storage.pointee.arenaCapacity {
            let capacity = max(bytes, storage.pointee.arenaCapacity * 2)
            storage.pointee.arena = Self.grown(storage.pointee.arena, storage.pointee.arenaCount, to: capacity)
            storage.pointee.arenaCapacity = capacity
        }
        if spans > storage.pointee.spanCapacity {
            let capacity = max(spans, storage.pointee.spanCapacity * 2)
            storage.pointee.spans = Self.grown(storage.pointee.spans, storage.pointee.spanCount, to: capacity)
            storage.pointee.spanCapacity = capacity
        }
    }

    private static func grown<T: BitwiseCopyable>(
        _ old: UnsafeMutablePointer<T>, _ count: Int, to capacity: Int
    ) -> UnsafeMutablePointer<T> {
        let new = UnsafeMutablePointer<T>.allocate(capacity: capacity)
        new.update(from: old, count: count)
        old.deallocate()
        return new
    }

    private func growSlots() {
        let old = UnsafeBufferPointer(start: storage.pointee.slots, count: storage.pointee.mask + 1)
        let capacity = old.count * 2
        storage.pointee.slots = .allocate(capacity: capacity)
        storage.pointee.slots.initialize(repeating: 0, count: capacity)
        storage.pointee.mask = capacity - 1
        storage.pointee.filled = 0
        for slot in old where slot != 0 { insert(Int(slot & 0xFFFF_FFFF) - 1) }
        old.deallocate()
    }
}
