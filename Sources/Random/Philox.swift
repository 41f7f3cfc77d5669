/// Philox4x32-10: a counter-based generator (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3",
/// SC 2011). A pure function, so any element of a stream is found without the ones before it.
package enum Philox {
    /// Four words for a key and a counter of four words.
    @inlinable
    package static func philox(
        _ counter: (UInt32, UInt32, UInt32, UInt32), key: (UInt32, UInt32)
    ) -> (UInt32, UInt32, UInt32, UInt32) {
        var (c0, c1, c2, c3) = counter
        var (k0, k1) = key
        for _ in 0..<10 {
            let a = UInt64(0xD251_1F53) * UInt64(c0)
            let b = UInt64(0xCD9E_8D57) * UInt64(c2)
            (c0, c1, c2, c3) = (
                UInt32(truncatingIfNeeded: b >> 32) ^ c1 ^ k0, UInt32(truncatingIfNeeded: b),
                UInt32(truncatingIfNeeded: a >> 32) ^ c3 ^ k1, UInt32(truncatingIfNeeded: a)
            )
            k0 &+= 0x9E37_79B9
            k1 &+= 0xBB67_AE85
        }
        return (c0, c1, c2, c3)
    }

    /// Block `counter` of a stream: the seed is the key, counter and stream are the four counter words, low word first.
    @inlinable
    package static func block(seed: UInt64, stream: UInt64, counter: UInt64) -> (UInt32, UInt32, UInt32, UInt32) {
        func low(_ x: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: x) }
        func high(_ x: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: x >> 32) }
        return philox((low(counter), high(counter), low(stream), high(stream)), key: (low(seed), high(seed)))
    }
}
