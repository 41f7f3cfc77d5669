package import Graph

/// The values that every language model reads: `tokens` rows of `count` sequences, one after the other.
package struct SequenceInputs {
    /// i32 [tokens].
    package let ids, positions: Value
    /// i32 [count + 1]: where each sequence begins, and where the last ends.
    package let segments: Value
    /// i32 [tokens]: how long each token's sequence is as far as it is known. Rotations may depend on it.
    package let lengths: Value
    /// i32 [tokens]: which text of a pair each token is of; none for texts that stand alone.
    package let typeIDs: Value
    /// f32 [items, sizes…]: images or sound; none for models of text alone.
    package let features: Value

    package init(
        _ graph: Graph, tokens: Int, segments count: Int, features type: ValueType? = nil, hasTypes: Bool = false
    ) {
        func ints(_ name: String, _ size: Int) -> Value { graph.input(name, ValueType([size], .i32)) }
        ids = ints("ids", tokens)
        positions = ints("positions", tokens)
        segments = ints("segments", count + 1)
        lengths = ints("lengths", tokens)
        features = type.map { graph.input("features", $0) } ?? .none
        typeIDs = hasTypes ? ints("type_ids", tokens) : .none
    }

    private init() {
        (ids, positions, segments, lengths, typeIDs, features) = (.none, .none, .none, .none, .none, .none)
    }

    /// For parts that read no text.
    static var none: SequenceInputs { SequenceInputs() }

    /// The lengths of whole sequences within `segments`, for their tokens.
    package static func lengths(_ segments: [Int32]) -> [Int32] {
        zip(segments, segments.dropFirst()).flatMap { start, end in
            [Int32](repeating: end - start, count: max(0, Int(end - start)))
        }
    }
}
