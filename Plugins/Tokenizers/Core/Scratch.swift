import Synchronization

/// The working memory of one encoding thread, lent by a pool so that nothing is allocated for each word.
final class Scratch {
    let matcher: Matcher
    let cache = WordCache()
    /// Symbols of a short word: ids, where each starts, and the merge each could make with its right neighbour.
    var symbols = SymbolBuffer()
    /// The units of a word that had to be rewritten before merging.
    var word: [UInt8] = []
    var words = WordList()
    /// How many bytes have been merged here, and how they are merged once they are many.
    var mergedBytes = 0
    var pairwise: PairwiseEncoder?
    let pairs = PairMemory()

    init() throws(TokenizerError) { matcher = try Matcher() }
}

/// Scratches in wait. Taking one never blocks on another thread's encoding.
final class ScratchPool: Sendable {
    private struct Box: @unchecked Sendable { let scratch: Scratch }
    private let idle = Mutex<[Box]>([])
    private static let kept = 16

    func take() throws(TokenizerError) -> Scratch {
        if let box = idle.withLock({ $0.popLast() }) { return box.scratch }
        return try Scratch()
    }

    func give(_ scratch: Scratch) {
        scratch.words.shrink()
        let box = Box(scratch: scratch)
        idle.withLock { if $0.count < Self.kept { $0.append(box) } }
    }
}

/// Words as ranges of one buffer.
struct WordList {
    var text: [UInt8] = []
    var ranges: [Range<Int>] = []

    mutating func shrink() {
        if text.capacity > 1 << 20 { text = [] }
        if ranges.capacity > 1 << 16 { ranges = [] }
    }
}

/// A direct-mapped cache from short words to their ids. It is bounded by construction: a newcomer replaces what its
/// slot held.
final class WordCache {
    static let maximumBytes = 48
    static let maximumIDs = 12
    private static let slots = 1 << 13

    private struct Entry {
        var hash: UInt64 = 0
        var bytes: UInt8 = 0
        var ids: UInt8 = 0
    }
    private let entries: UnsafeMutablePointer<Entry>
    private let text: UnsafeMutablePointer<UInt8>
    private let ids: UnsafeMutablePointer<Int32>
    private let hash = ByteHash()

    init() {
        entries = .allocate(capacity: Self.slots)
        entries.initialize(repeating: Entry(), count: Self.slots)
        text = .allocate(capacity: Self.slots * Self.maximumBytes)
        ids = .allocate(capacity: Self.slots * Self.maximumIDs)
    }

    deinit {
        entries.deallocate()
        text.deallocate()
        ids.deallocate()
    }

    /// Appends the ids of `word` if it is held; otherwise gives the key to store them by.
    @inline(__always)
    func append(_ word: UnsafeBufferPointer<UInt8>, to out: inout [Int32]) -> UInt64? {
        guard let base = word.baseAddress else { return nil }
        let key = hash(base, word.count) | 1
        let slot = Int(key >> 40) & (Self.slots - 1)
        let entry = entries[slot]
        guard entry.hash == key, Int(entry.bytes) == word.count else { return key }
        let held = text + slot * Self.maximumBytes
        for index in 0..<word.count where held[index] != base[index] { return key }
        out.append(contentsOf: UnsafeBufferPointer(start: ids + slot * Self.maximumIDs, count: Int(entry.ids)))
        return nil
    }

    func store(_ key: UInt64, _ word: UnsafeBufferPointer<UInt8>, _ found: ArraySlice<Int32>) {
        guard word.count <= Self.maximumBytes, found.count <= Self.maximumIDs, let base = word.baseAddress else {
            return
        }
        let slot = Int(key >> 40) & (Self.slots - 1)
        entries[slot] = Entry(hash: key, bytes: UInt8(word.count), ids: UInt8(found.count))
        (text + slot * Self.maximumBytes).update(from: base, count: word.count)
        var at = slot * Self.maximumIDs
        for id in found {
            ids[at] = id
            at += 1
        }
    }
}

/// Growable parallel arrays for the symbols of one word.
final class SymbolBuffer {
    private(set) var capacity = 256
    private(set) var ids: UnsafeMutablePointer<Int32>
    /// Byte offset of each symbol, and of the end of the word after the last.
    private(set) var starts: UnsafeMutablePointer<Int32>
    private(set) var merges: UnsafeMutablePointer<UInt64>
    var count = 0

    init() {
        ids = .allocate(capacity: capacity)
        starts = .allocate(capacity: capacity + 1)
        merges = .allocate(capacity: capacity)
    }

    deinit {
        ids.deallocate()
        starts.deallocate()
        merges.deallocate()
    }

    func reserve(_ wanted: Int) {
        if wanted <= capacity { return }
        capacity = wanted
        ids.deallocate()
        starts.deallocate()
        merges.deallocate()
        ids = .allocate(capacity: capacity)
        starts = .allocate(capacity: capacity + 1)
        merges = .allocate(capacity: capacity)
    }
}
