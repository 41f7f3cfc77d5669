import CUTF8Proc

/// The four normal forms of Unicode Standard Annex 15.
///
/// Only runs that a form may change are decomposed, ordered and composed; all else is copied. utf8proc gives the
/// mappings; the ordering is done here because its own is quadratic in a run of combining marks.
enum NormalForm: Sendable {
    case nfc, nfd, nfkc, nfkd

    private var composes: Bool { self == .nfc || self == .nfkc }
    private var isCompatible: Bool { self == .nfkc || self == .nfkd }

    private var decompositionOptions: utf8proc_option_t {
        utf8proc_option_t(rawValue: UTF8PROC_DECOMPOSE.rawValue | (isCompatible ? UTF8PROC_COMPAT.rawValue : 0))
    }

    /// Code points that the form may change, or that may combine with what stands before them; one bit each.
    private var unstable: [UInt64] {
        switch self {
        case .nfc: Self.nfcUnstable
        case .nfd: Self.nfdUnstable
        case .nfkc: Self.nfkcUnstable
        case .nfkd: Self.nfkdUnstable
        }
    }
    private static let nfcUnstable = nfc.buildUnstable()
    private static let nfdUnstable = nfd.buildUnstable()
    private static let nfkcUnstable = nfkc.buildUnstable()
    private static let nfkdUnstable = nfkd.buildUnstable()

    /// Nothing at or above this code point decomposes or combines.
    private static let scanned: UInt32 = 0x30000

    private func buildUnstable() -> [UInt64] {
        var bits = [UInt64](repeating: 0, count: Int(Self.scanned) / 64)
        var buffer = [Int32](repeating: 0, count: 32)
        for scalar in 0xA0..<Self.scanned where !(0xD800..<0xE000).contains(scalar) && mayChange(scalar, &buffer) {
            bits[Int(scalar >> 6)] |= 1 << UInt64(scalar & 63)
        }
        return bits
    }

    private func mayChange(_ scalar: UInt32, _ buffer: inout [Int32]) -> Bool {
        let isHangulSyllable = (0xAC00..<0xD7A4).contains(scalar)
        if isHangulSyllable { return !composes }
        guard let property = utf8proc_get_property(Int32(bitPattern: scalar))?.pointee else { return false }
        if property.combining_class != 0 { return true }
        if composes {
            // comb_index has its top bit set for the second character of a composition (utf8proc.c, 2.8).
            if property.comb_index != UInt16.max, property.comb_index >= 0x8000 { return true }
            if (0x1161..<0x1176).contains(scalar) || (0x11A8..<0x11C3).contains(scalar) { return true }
        }
        var count = decompose(scalar, &buffer)
        if count == 1, buffer[0] == Int32(bitPattern: scalar) { return false }
        guard composes else { return true }
        count = Int(utf8proc_normalize_utf32(&buffer, count, Self.composition))
        return !(count == 1 && buffer[0] == Int32(bitPattern: scalar))
    }

    private static var composition: utf8proc_option_t {
        utf8proc_option_t(rawValue: UTF8PROC_STABLE.rawValue | UTF8PROC_COMPOSE.rawValue)
    }

    private func decompose(_ scalar: UInt32, _ buffer: inout [Int32]) -> Int {
        var boundary: Int32 = 0
        let count = utf8proc_decompose_char(
            Int32(bitPattern: scalar), &buffer, buffer.count, decompositionOptions, &boundary)
        return max(0, min(count, buffer.count))
    }

    /// Brings valid UTF-8 into the form.
    func apply(_ text: inout [UInt8]) {
        let unstable = unstable
        let result: [UInt8]? = text.withUnsafeBufferPointer { bytes in
            unstable.withUnsafeBufferPointer { bits in rewritten(bytes, bits) }
        }
        if let result { text = result }
    }

    @inline(__always)
    private static func isUnstable(_ scalar: UInt32, _ bits: UnsafeBufferPointer<UInt64>) -> Bool {
        scalar < scanned && bits[Int(scalar >> 6)] & (1 << UInt64(scalar & 63)) != 0
    }

    /// The text in the form, or nil where it is so already.
    private func rewritten(_ bytes: UnsafeBufferPointer<UInt8>, _ bits: UnsafeBufferPointer<UInt64>) -> [UInt8]? {
        var out: [UInt8] = []
        var copied = 0
        var at = 0
        var previous = 0
        while at < bytes.count {
            let ascii = UTF8Text.asciiEnd(bytes, from: at)
            if ascii > at {
                previous = ascii - 1
                at = ascii
                if at == bytes.count { break }
            }
            let (scalar, length) = UTF8Text.scalar(bytes, at: at)
            guard Self.isUnstable(scalar, bits) else {
                previous = at
                at &+= length
                continue
            }
            // The run reaches back to the stable character before it, which may be the base of a composition.
            let start = max(previous, copied)
            var end = at &+ length
            while end < bytes.count {
                let (next, length) = UTF8Text.scalar(bytes, at: end)
                if !Self.isUnstable(next, bits) { break }
                end &+= length
            }
            out.append(contentsOf: bytes[copied..<start])
            appendNormalized(bytes, start..<end, to: &out)
            copied = end
            previous = end
            at = end
        }
        if copied == 0 { return nil }
        out.append(contentsOf: bytes[copied...])
        return out
    }

    private func appendNormalized(_ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, to out: inout [UInt8]) {
        var scalars: [Int32] = []
        var buffer = [Int32](repeating: 0, count: 32)
        var at = range.lowerBound
        while at < range.upperBound {
            let (scalar, length) = UTF8Text.scalar(bytes, at: at)
            let count = decompose(scalar, &buffer)
            scalars.append(contentsOf: buffer[..<count])
            at += length
        }
        order(&scalars)
        if composes {
            let count = Int(utf8proc_normalize_utf32(&scalars, scalars.count, Self.composition))
            scalars.removeSubrange(max(0, min(count, scalars.count))...)
        }
        for scalar in scalars { UTF8Text.append(UInt32(bitPattern: scalar), to: &out) }
    }

    /// The canonical ordering: within each run of characters of non-zero combining class, by class, stably.
    private func order(_ scalars: inout [Int32]) {
        var start = 0
        while start < scalars.count {
            guard Self.combiningClass(scalars[start]) != 0 else {
                start += 1
                continue
            }
            var end = start + 1
            while end < scalars.count, Self.combiningClass(scalars[end]) != 0 { end += 1 }
            if end - start > 1 {
                // Class above position in one key makes any sort stable.
                let keys = (start..<end).map {
                    UInt64(Self.combiningClass(scalars[$0])) << 32 | UInt64($0 - start)
                }.sorted()
                let run = Array(scalars[start..<end])
                for (offset, key) in keys.enumerated() { scalars[start + offset] = run[Int(key & 0xFFFF_FFFF)] }
            }
            start = end
        }
    }

    private static func combiningClass(_ scalar: Int32) -> Int16 {
        utf8proc_get_property(scalar)?.pointee.combining_class ?? 0
    }
}
