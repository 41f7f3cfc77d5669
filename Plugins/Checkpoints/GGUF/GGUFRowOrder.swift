import JSON

/// The order in which GGUF has the rows of projections to queries and keys, and what one packed projection becomes.
struct GGUFRowOrder {
    private let heads, keyHeads: Int
    private let permutes: Bool
    /// Groups of queries with their key and value (InternLM2's `wqkv`).
    private let cutsGroups: Bool
    private let firstPosition: Int

    init(_ config: JSON, _ architecture: GGUFArchitecture) {
        heads = config["num_attention_heads"]?.int ?? 0
        keyHeads = config["num_key_value_heads"]?.int ?? heads
        permutes = architecture.permutes
        cutsGroups = architecture.id == "internlm2"
        firstPosition = GGUFArchitecture.firstPosition(config)
    }

    /// The tensors that one of `rows` rows becomes, with their rows; nil rows stand as they are. Nil for rows that make no whole
    /// heads, or no position.
    func pieces(_ name: String, rows: Int) -> [(name: String, rows: [Int]?)]? {
        if firstPosition > 0, name.hasPrefix("position_embd.") {
            return rows > firstPosition ? [(name, Array(firstPosition..<rows))] : nil
        }
        if cutsGroups, name.contains(".attn_qkv.") { return groups(name, rows: rows) }
        let isQuery = name.contains(".attn_q."), isKey = name.contains(".attn_k.")
        guard permutes, isQuery || isKey else { return [(name, nil)] }
        return [(name, Self.interleaved(Array(0..<rows), heads: isQuery ? heads : keyHeads))]
    }

    private func groups(_ name: String, rows: Int) -> [(name: String, rows: [Int]?)]? {
        guard keyHeads > 0, heads >= keyHeads, heads % keyHeads == 0 else { return nil }
        let share = heads / keyHeads
        guard rows > 0, rows % (keyHeads * (share + 2)) == 0 else { return nil }
        let width = rows / (keyHeads * (share + 2))
        func taken(_ parts: Range<Int>) -> [Int] {
            (0..<keyHeads).flatMap { group in
                let start = group * (share + 2) * width
                return Array(start + parts.lowerBound * width..<start + parts.upperBound * width)
            }
        }
        return [
            (name.replacing("_qkv", with: "_q"), Self.interleaved(taken(0..<share), heads: heads)),
            (name.replacing("_qkv", with: "_k"), Self.interleaved(taken(share..<share + 1), heads: keyHeads)),
            (name.replacing("_qkv", with: "_v"), taken(share + 1..<share + 2)),
        ]
    }

    /// Pairs that are two halves of a head, as neighbours.
    private static func interleaved(_ rows: [Int], heads: Int) -> [Int] {
        guard heads > 0, rows.count % (2 * heads) == 0 else { return rows }
        let width = rows.count / heads
        return rows.indices.map { row in
            let inner = row % width
            return rows[row - inner + inner % 2 * (width / 2) + inner / 2]
        }
    }
}
