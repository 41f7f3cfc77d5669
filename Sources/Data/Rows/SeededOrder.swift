import Random

/// Orders and draws that follow from a seed alone (Philox4x32-10, as everywhere in the toolkit).
package struct SeededOrder: Sendable {
    private let key: (UInt32, UInt32)
    private let stream: UInt32

    /// - Parameter stream: Tells uses of one seed apart, such as epochs or windows.
    package init(seed: UInt64, stream: Int) {
        key = (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
        self.stream = UInt32(truncatingIfNeeded: stream)
    }

    /// The `index`-th word of 64 random bits.
    package func word(_ index: Int) -> UInt64 {
        let low = UInt32(truncatingIfNeeded: index)
        let words = Philox.philox((low, UInt32(truncatingIfNeeded: index >> 32), stream, 0x6461_7461), key: key)
        return UInt64(words.0) << 32 | UInt64(words.1)
    }

    /// The `index`-th draw from 0 ..< 1.
    package func uniform(_ index: Int) -> Double { Double(word(index) >> 11) * 0x1p-53 }

    /// 0 ..< count in random order (Fisher and Yates).
    package func permutation(_ count: Int) -> [Int] {
        var order = Array(0..<count)
        guard count > 1 else { return order }
        for last in stride(from: count - 1, to: 0, by: -1) {
            // The high half of a 64 x 64 bit product: a bias below 2^-32 for any count that fits in memory.
            let pick = Int(word(last).multipliedFullWidth(by: UInt64(last + 1)).high)
            order.swapAt(last, pick)
        }
        return order
    }
}
