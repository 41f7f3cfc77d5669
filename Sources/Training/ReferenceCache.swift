internal import Data

/// Log-probabilities that the reference model gave sequences, by what the sequences are made of: each is computed once
/// in a run, however many epochs and evaluations there are.
struct ReferenceCache {
    /// 128 bits of a sequence's ids and labels.
    struct Key: Hashable, Comparable {
        let high, low: UInt64

        static func < (one: Key, other: Key) -> Bool { (one.high, one.low) < (other.high, other.low) }
    }

    /// Sequences that are kept, at about 32 bytes each; the values of any others are computed anew.
    static let limit = 4_000_000

    private var known: [Key: Float] = [:]

    var count: Int { known.count }

    /// The keys of a batch's sequences in their order.
    static func keys(_ batch: Batch) -> [Key] {
        batch.rows.indices.map { row in
            let range = Int(batch.segments[row])..<Int(batch.segments[row + 1])
            let numbers = Array(batch.ids[range]) + Array(batch.labels[range])
            let hash = numbers.withUnsafeBytes { ContentHash.of(Array($0)) }
            return Key(high: hash.0, low: hash.1)
        }
    }

    /// The values of these sequences, where all are known.
    func values(_ keys: [Key]) -> [Float]? {
        var values: [Float] = []
        for key in keys {
            guard let value = known[key] else { return nil }
            values.append(value)
        }
        return values
    }

    /// Keeps values that were computed, and gives back what holds from now on: a sequence that was known keeps its value,
    /// which another batch's rounding may have made.
    mutating func keep(_ keys: [Key], _ values: [Float]) -> [Float] {
        zip(keys, values).map { key, value in
            if let known = known[key] { return known }
            if known.count < Self.limit { known[key] = value }
            return value
        }
    }

    // MARK: In checkpoints

    /// In the order of the keys: their 16 bytes each, and the values.
    var content: (keys: [UInt8], values: [Float]) {
        let sorted = known.sorted { $0.key < $1.key }
        let words = sorted.flatMap { [$0.key.high.littleEndian, $0.key.low.littleEndian] }
        return (words.withUnsafeBytes { Array($0) }, sorted.map(\.value))
    }

    init() {}

    init(keys: UnsafeRawBufferPointer, values: UnsafeRawBufferPointer) {
        for i in 0..<min(keys.count / 16, values.count / 4) {
            func word(_ at: Int) -> UInt64 {
                UInt64(littleEndian: keys.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            }
            known[Key(high: word(16 * i), low: word(16 * i + 8))] =
                values.loadUnaligned(fromByteOffset: 4 * i, as: Float.self)
        }
    }
}
