/// A trie over the pieces of a large vocabulary, read far more often than it is made: an edge, the node that it leads to
/// and that node's piece lie in one slot, so that a step costs one access to memory.
final class PieceTrie: @unchecked Sendable {
    // Written while it is made, by one thread; read-only after.
    private struct Edge {
        /// Node << 8 | byte, or `empty`.
        var key: UInt32
        var target: UInt32
        /// The piece that ends at the target, or -1.
        var piece: Int32
        var padding: UInt32 = 0
    }
    private var edges: UnsafeMutablePointer<Edge>
    private var mask: Int
    private var nodes: UInt32 = 1
    private let hash = ByteHash()
    private static let empty = UInt32.max
    private static let maximumNodes = UInt32(1) << 24 - 1

    init(expecting nodes: Int) {
        let wanted = max(64, min(nodes, Int(Self.maximumNodes)) * 4 / 3)
        let capacity = 1 << (Int.bitWidth - (wanted - 1).leadingZeroBitCount)
        edges = Self.allocate(capacity)
        mask = capacity - 1
    }

    deinit { edges.deallocate() }

    private static func allocate(_ capacity: Int) -> UnsafeMutablePointer<Edge> {
        let edges = UnsafeMutablePointer<Edge>.allocate(capacity: capacity)
        edges.initialize(repeating: Edge(key: empty, target: 0, piece: -1), count: capacity)
        return edges
    }

    /// The slot of an edge, or the empty one where it would stand.
    @inline(__always)
    private func slot(_ key: UInt32) -> Int {
        var at = Int(truncatingIfNeeded: hash(UInt64(key))) & mask
        while edges[at].key != key, edges[at].key != Self.empty { at = (at &+ 1) & mask }
        return at
    }

    /// False where there are more nodes than their numbers allow.
    func insert(_ bytes: UnsafeBufferPointer<UInt8>, _ piece: Int32) -> Bool {
        var node: UInt32 = 0
        for (index, byte) in bytes.enumerated() {
            let key = node << 8 | UInt32(byte)
            var at = slot(key)
            if edges[at].key == Self.empty {
                guard nodes < Self.maximumNodes else { return false }
                if Int(nodes) * 4 >= (mask + 1) * 3 {
                    grow()
                    at = slot(key)
                }
                edges[at] = Edge(key: key, target: nodes, piece: -1)
                nodes += 1
            }
            if index == bytes.count - 1 { edges[at].piece = piece }
            node = edges[at].target
        }
        return true
    }

    private func grow() {
        let old = UnsafeBufferPointer(start: edges, count: mask + 1)
        edges = Self.allocate(old.count * 2)
        mask = old.count * 2 - 1
        for edge in old where edge.key != Self.empty { edges[slot(edge.key)] = edge }
        old.deallocate()
    }

    /// The longest piece that `text` has at `start`, or -1.
    @inline(__always)
    func longestMatch(_ text: UnsafeBufferPointer<UInt8>, from start: Int) -> Int32 {
        var best: Int32 = -1
        var node: UInt32 = 0
        var at = start
        while at < text.count {
            let edge = edges[slot(node << 8 | UInt32(text[at]))]
            if edge.key == Self.empty { break }
            if edge.piece >= 0 { best = edge.piece }
            node = edge.target
            at &+= 1
        }
        return best
    }

    /// The longest piece that these bytes begin with, not counting all of them; or -1.
    func longestProperPrefix(_ bytes: UnsafeBufferPointer<UInt8>) -> Int32 {
        bytes.isEmpty ? -1 : longestMatch(UnsafeBufferPointer(rebasing: bytes.dropLast()), from: 0)
    }
}
