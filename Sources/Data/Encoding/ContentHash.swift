/// MurmurHash3 x64 128 (Appleby, public domain description in smhasher's wiki): 128 bits by which equal content is
/// found. It guards against accidents and not against attackers: a cache is the user's own.
package enum ContentHash {
    package static func of(_ bytes: [UInt8]) -> (UInt64, UInt64) {
        let c1: UInt64 = 0x87C3_7B91_1142_53D5
        let c2: UInt64 = 0x4CF5_AD43_2745_937F
        var h1: UInt64 = 0
        var h2: UInt64 = 0
        func rotated(_ value: UInt64, _ by: UInt64) -> UInt64 { value << by | value >> (64 - by) }
        func mixed1(_ k: UInt64) -> UInt64 { rotated(k &* c1, 31) &* c2 }
        func mixed2(_ k: UInt64) -> UInt64 { rotated(k &* c2, 33) &* c1 }
        func finished(_ value: UInt64) -> UInt64 {
            var k = value
            k ^= k >> 33
            k &*= 0xFF51_AFD7_ED55_8CCD
            k ^= k >> 33
            k &*= 0xC4CE_B9FE_1A85_EC53
            return k ^ k >> 33
        }
        bytes.withUnsafeBytes { buffer in
            let blocks = buffer.count / 16
            for block in 0..<blocks {
                let k1 = UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: 16 * block, as: UInt64.self))
                let k2 = UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: 16 * block + 8, as: UInt64.self))
                h1 = (rotated(h1 ^ mixed1(k1), 27) &+ h2) &* 5 &+ 0x52DC_E729
                h2 = (rotated(h2 ^ mixed2(k2), 31) &+ h1) &* 5 &+ 0x3849_5AB5
            }
            var tail: (UInt64, UInt64) = (0, 0)
            for (place, byte) in buffer[(16 * blocks)...].enumerated() {
                if place < 8 {
                    tail.0 |= UInt64(byte) << (8 * place)
                } else {
                    tail.1 |= UInt64(byte) << (8 * (place - 8))
                }
            }
            h2 ^= mixed2(tail.1)
            h1 ^= mixed1(tail.0)
        }
        h1 ^= UInt64(bytes.count)
        h2 ^= UInt64(bytes.count)
        h1 &+= h2
        h2 &+= h1
        h1 = finished(h1)
        h2 = finished(h2)
        h1 &+= h2
        h2 &+= h1
        return (h1, h2)
    }
}
