/// A trie over byte strings with an integer at some of its nodes; the edges lie in one flat hash table.
///
/// It answers "which of these strings begin here" in one walk: the unigram lattice, WordPiece's longest match and the
/// added tokens all ask that.
struct ByteTrie: Sendable {
    /// Edges: node << 8 | byte, or `empty`; and the node that each leads to.
    private var keys: [UInt32]
    private var targets: [UInt32]
    private var mask: Int
    private var edges = 0
    /// The value at each node, or -1. Node 0 is the root.
    private var values: [Int32] = [-1]
    private let hash = ByteHash()
    private static let empty = UInt32.max
    /// Node numbers have 24 bits beside the byte.
    private static let maximumNodes = 1 << 24 - 1

    init(expectingNodes nodes: Int = 64) {
        let wanted = max(64, min(nodes, Self.maximumNodes) * 2)
        let capacity = 1 << (Int.bitWidth - (wanted - 1).leadingZeroBitCount)
        keys = Array(repeating: Self.empty, count: capacity)
        targets = Array(repeating: 0, count: capacity)
        mask = capacity - 1
    }

    var isEmpty: Bool { edges == 0 }

    /// Stores `value` (0 or more) at `key`; a key that is stored twice keeps the later value.
    mutating func insert(_ key: some Sequence<UInt8>, _ value: Int32) throws(TokenizerError) {
        var node: UInt32 = 0
        for byte in key {
            if let next = child(node, byte) {
                node = next
                continue
            }
            guard values.count < Self.maximumNodes else {
                throw TokenizerError(
                    .tooLarge, "its pieces have more than 16 million distinct prefixes", in: "vocabulary")
            }
            if edges * 4 >= keys.count * 3 { grow() }
            let next = UInt32(values.count)
            values.append(-1)
            place(node << 8 | UInt32(byte), next)
            edges += 1
            node = next
        }
        values[Int(node)] = value
    }

    @inline(__always)
    func child(_ node: UInt32, _ byte: UInt8) -> UInt32? {
        let key = node << 8 | UInt32(byte)
        var at = Int(truncatingIfNeeded: hash(UInt64(key))) & mask
        while true {
            let found = keys[at]
            if found == key { return targets[at] }
            if found == Self.empty { return nil }
            at = (at &+ 1) & mask
        }
    }

    /// The value at a node, or -1.
    @inline(__always)
    func value(_ node: UInt32) -> Int32 { values[Int(node)] }

    /// The longest stored key that `text` has at `start`.
    @inline(__always)
    func longestMatch(_ text: UnsafeBufferPointer<UInt8>, from start: Int) -> (value: Int32, end: Int)? {
        var best: (Int32, Int)?
        var node: UInt32 = 0
        var at = start
        while at < text.count, let next = child(node, text[at]) {
            node = next
            at &+= 1
            let value = values[Int(node)]
            if value >= 0 { best = (value, at) }
        }
        return best
    }

    private mutating func place(_ key: UInt32, _ target: UInt32) {
        var at = Int(truncatingIfNeeded: hash(UInt64(key))) & mask
        while keys[at] != Self.empty { at = (at + 1) & mask }
        keys[at] = key
        targets[at] = target
    }

    private mutating func grow() {
        let oldKeys = keys
        let oldTargets = targets
        keys = Array(repeating: Self.empty, count: oldKeys.count * 2)
        targets = Array(repeating: 0, count: keys.count)
        mask = keys.count - 1
        for (key, target) in zip(oldKeys, oldTargets) where key != Self.empty { place(key, target) }
    }
}
