/// A keyed hash of short byte strings: two folded multiplications for up to 16 bytes, one more for each further 8.
///
/// The key is drawn anew for each table, so that a vocabulary cannot be made whose entries all collide.
struct ByteHash: Sendable {
    let key: UInt64

    init() {
        var generator = SystemRandomNumberGenerator()
        key = generator.next()
    }

    @inline(__always)
    static func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let product = a.multipliedFullWidth(by: b)
        return product.high ^ product.low
    }

    @inline(__always)
    func callAsFunction(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> UInt64 {
        let raw = UnsafeRawPointer(bytes)
        let odd: UInt64 = 0x9E37_79B9_7F4A_7C15
        var state = key ^ UInt64(truncatingIfNeeded: count) &* odd
        var first: UInt64 = 0
        var last: UInt64 = 0
        if count >= 8 {
            var at = 0
            while at &+ 16 < count {
                state = Self.fold(state ^ raw.loadUnaligned(fromByteOffset: at, as: UInt64.self), odd)
                at &+= 8
            }
            first = raw.loadUnaligned(fromByteOffset: count > 16 ? at : 0, as: UInt64.self)
            last = raw.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
        } else if count >= 4 {
            first = UInt64(raw.loadUnaligned(as: UInt32.self))
            last = UInt64(raw.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self))
        } else if count > 0 {
            first = UInt64(bytes[0])
            last = UInt64(bytes[count >> 1]) << 8 | UInt64(bytes[count &- 1])
        }
        return Self.fold(Self.fold(state ^ first, odd) ^ last, 0xE703_7ED1_A0B4_28DB ^ key)
    }

    @inline(__always)
    func callAsFunction(_ value: UInt64) -> UInt64 {
        Self.fold(value ^ key, 0x9E37_79B9_7F4A_7C15)
    }
}
