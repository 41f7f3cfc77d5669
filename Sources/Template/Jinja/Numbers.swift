import Glibc

/// Numbers as Python writes and reads them.
enum Numbers {
    /// Python's `repr(float)`: the shortest digits that read back, with an exponent below 1e-4 and from 1e16 on.
    static func representation(_ value: Double) -> String {
        if value.isNaN { return "nan" }
        if value.isInfinite { return value < 0 ? "-inf" : "inf" }
        // Swift's description has the same shortest digits; only the place of the point differs.
        var text = value.magnitude.description[...]
        var exponent = 0
        if let at = text.firstIndex(of: "e") {
            exponent = Int(text[text.index(after: at)...]) ?? 0
            text = text[..<at]
        }
        let parts = text.split(separator: ".", maxSplits: 1)
        let fraction = parts.count > 1 && parts[1] != "0" ? String(parts[1]) : ""
        var digits = String(parts[0]) + fraction
        var point = parts[0].count + exponent
        let leading = digits.prefix(while: { $0 == "0" }).count
        digits.removeFirst(leading)
        point -= leading
        while digits.last == "0" { digits.removeLast() }
        let sign = value.sign == .minus ? "-" : ""
        if digits.isEmpty { return sign + "0.0" }
        if point > 16 || point < -3 {
            let power = point - 1
            let tail = digits.count > 1 ? "." + digits.dropFirst() : ""
            let width = Swift.abs(power) < 10 ? "0" : ""
            return sign + digits.prefix(1) + tail + "e" + (power < 0 ? "-" : "+") + width + String(Swift.abs(power))
        }
        if point <= 0 { return sign + "0." + String(repeating: "0", count: -point) + digits }
        if digits.count <= point {
            return sign + digits + String(repeating: "0", count: point - digits.count) + ".0"
        }
        return sign + digits.prefix(point) + "." + digits.dropFirst(point)
    }

    /// C's `%.*f`, `%.*e` or `%.*g` (with `#` where `keepsPoint`). The precision is bounded by the caller.
    static func formatted(_ value: Double, _ conversion: Character, precision: Int, keepsPoint: Bool = false) -> String
    {
        if value.isNaN { return "nan" }
        if value.isInfinite { return value < 0 ? "-inf" : "inf" }
        let format = "%" + (keepsPoint ? "#" : "") + ".*" + String(conversion)
        let capacity = 330 + precision
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: capacity) { buffer in
            let count = withVaList([Int32(precision), value]) { vsnprintf(buffer.baseAddress, capacity, format, $0) }
            let bytes = buffer.prefix(Swift.max(0, Swift.min(Int(count), capacity - 1))).map { UInt8(bitPattern: $0) }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    /// Python's `int(text, base)`; nil if it is not one.
    static func integer(_ text: String, base: Int = 10) -> Int? {
        var digits = Text.strip(text)[...]
        var negative = false
        if let first = digits.first, first == "-" || first == "+" {
            negative = first == "-"
            digits.removeFirst()
        }
        var radix = base
        for (prefix, value) in [("0x", 16), ("0o", 8), ("0b", 2)] where base == value || base == 0 {
            if digits.lowercased().hasPrefix(prefix) {
                digits.removeFirst(2)
                radix = value
                if digits.first == "_" { digits.removeFirst() }
                break
            }
        }
        if radix == 0 { radix = 10 }
        guard (2...36).contains(radix), let plain = withoutUnderscores(digits) else { return nil }
        guard plain.utf8.first != UInt8(ascii: "-"), plain.utf8.first != UInt8(ascii: "+") else { return nil }
        return Int((negative ? "-" : "") + plain, radix: radix)
    }

    /// Python's `float(text)`; nil if it is not one.
    static func double(_ text: String) -> Double? {
        guard let plain = withoutUnderscores(Text.strip(text)[...]) else { return nil }
        let lower = plain.lowercased()
        let unsigned = lower.drop { $0 == "-" || $0 == "+" }
        let sign: Double = lower.first == "-" ? -1 : 1
        if lower.count - unsigned.count <= 1 {
            if unsigned == "inf" || unsigned == "infinity" { return sign * .infinity }
            if unsigned == "nan" { return .nan }
        }
        guard lower.utf8.allSatisfy({ "0123456789+-.e".utf8.contains($0) }) else { return nil }
        var padded = lower
        // Swift wants digits on both sides of the point.
        if unsigned.first == "." { padded = (sign < 0 ? "-0" : "0") + unsigned }
        if let at = padded.firstIndex(of: "."), at == padded.index(before: padded.endIndex) { padded += "0" }
        padded = padded.split(separator: "e", maxSplits: 1, omittingEmptySubsequences: false)
            .enumerated().map { $0 == 0 && $1.last == "." ? $1 + "0" : $1 }.joined(separator: "e")
        return Double(padded)
    }

    /// Digits less the single underscores between them.
    private static func withoutUnderscores(_ text: Substring) -> String? {
        if !text.utf8.contains(UInt8(ascii: "_")) { return String(text) }
        let parts = text.split(separator: "_", omittingEmptySubsequences: false)
        return parts.contains(where: \.isEmpty) ? nil : parts.joined()
    }

    /// Python's `round`: half to even on the decimal value that the float stands for.
    static func rounded(_ value: Double, places: Int) -> Double {
        guard value.isFinite else { return value }
        if places > 300 { return value }
        if places < -308 { return 0 }
        if places >= 0 { return Double(formatted(value, "f", precision: places)) ?? value }
        let unit = pow(10, Double(-places))
        return (value / unit).rounded(.toNearestOrEven) * unit
    }
}

extension Numbers {
    static func power(ofTen exponent: Int) -> Double { pow(10, Double(exponent)) }
}
