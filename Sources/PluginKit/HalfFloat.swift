/// The 16-bit floats: IEEE 754 binary16 and bfloat16, rounded to nearest even.
public enum HalfFloat {
    /// `value` as bfloat16.
    public static func bfloat(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        if value.isNaN { return UInt16(bits >> 16) | 0x40 }
        return UInt16((bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
    }

    /// A binary16 as a float.
    public static func float(_ half: UInt16) -> Float {
        let sign = UInt32(half & 0x8000) << 16
        let exponent = UInt32(half >> 10) & 31
        let fraction = UInt32(half & 1023)
        switch exponent {
        case 0: return (sign == 0 ? 1 : -1) * Float(fraction) * 0x1p-24
        case 31: return Float(bitPattern: sign | 0x7F80_0000 | fraction << 13)
        default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
        }
    }

    /// `value` as binary16.
    public static func half(_ value: Float) -> UInt16 {
        let sign = UInt16(value.bitPattern >> 16 & 0x8000)
        let size = value.magnitude
        if value.isNaN { return sign | 0x7E00 }
        if size >= 65520 { return sign | 0x7C00 }
        if size < 0x1p-14 { return sign | UInt16((size * 0x1p24).rounded(.toNearestOrEven)) }
        let bits = size.bitPattern
        return sign | UInt16((bits &+ 0xFFF &+ (bits >> 13 & 1) &- 0x3800_0000) >> 13)
    }
}
