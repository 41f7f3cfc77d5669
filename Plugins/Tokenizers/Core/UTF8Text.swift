/// UTF-8 as the tokenizers handle it: checked once on the way in, then read without checks.
enum UTF8Text {
    /// The bytes themselves where they are valid UTF-8; otherwise with each maximal ill-formed part replaced by U+FFFD
    /// (the practice of the Unicode Standard, section 3.9, "U+FFFD Substitution of Maximal Subparts").
    static func repaired(_ bytes: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        isValid(bytes) ? Array(bytes) : Array(String(decoding: bytes, as: UTF8.self).utf8)
    }

    static func isValid(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        var at = 0
        while at < bytes.count {
            at = asciiEnd(bytes, from: at)
            if at == bytes.count { break }
            let length = sequenceLength(bytes, at: at)
            if length <= 0 { return false }
            at &+= length
        }
        return true
    }

    /// The first position from `start` on whose byte is not ASCII.
    @inline(__always)
    static func asciiEnd(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        var at = start
        let raw = UnsafeRawBufferPointer(bytes)
        while at &+ 8 <= bytes.count {
            let eight = raw.loadUnaligned(fromByteOffset: at, as: UInt64.self) & 0x8080_8080_8080_8080
            if eight != 0 { return at &+ eight.trailingZeroBitCount >> 3 }
            at &+= 8
        }
        while at < bytes.count, bytes[at] < 0x80 { at &+= 1 }
        return at
    }

    /// The length of the well-formed sequence at `at` (Unicode Standard, table 3-7); 0 where it is ill-formed, and
    /// minus the number of bytes still wanted where the buffer ends inside what is well formed so far.
    @inline(__always)
    static func sequenceLength(_ bytes: UnsafeBufferPointer<UInt8>, at: Int) -> Int {
        let first = bytes[at]
        if first < 0x80 { return 1 }
        let length = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0
        if length == 0 { return 0 }
        let left = bytes.count &- at
        if left == 1 { return 1 &- length }
        let second = bytes[at &+ 1]
        switch first {
        case 0xE0: if second < 0xA0 || second > 0xBF { return 0 }
        case 0xED: if second < 0x80 || second > 0x9F { return 0 }
        case 0xF0: if second < 0x90 || second > 0xBF { return 0 }
        case 0xF4: if second < 0x80 || second > 0x8F { return 0 }
        default: if second & 0xC0 != 0x80 { return 0 }
        }
        var index = 2
        while index < length {
            if index >= left { return index &- length }
            if bytes[at &+ index] & 0xC0 != 0x80 { return 0 }
            index &+= 1
        }
        return length
    }

    /// The scalar at `at` of valid UTF-8, and its length.
    @inline(__always)
    static func scalar(_ bytes: UnsafeBufferPointer<UInt8>, at: Int) -> (value: UInt32, length: Int) {
        let first = UInt32(bytes[at])
        if first < 0x80 { return (first, 1) }
        if first < 0xE0 { return ((first & 0x1F) << 6 | UInt32(bytes[at &+ 1] & 0x3F), 2) }
        let middle = UInt32(bytes[at &+ 1] & 0x3F) << 6 | UInt32(bytes[at &+ 2] & 0x3F)
        if first < 0xF0 { return ((first & 0x0F) << 12 | middle, 3) }
        return ((first & 0x07) << 18 | middle << 6 | UInt32(bytes[at &+ 3] & 0x3F), 4)
    }

    /// The length of the sequence that `first` begins in valid UTF-8.
    @inline(__always)
    static func length(_ first: UInt8) -> Int {
        first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
    }

    @inline(__always)
    static func append(_ scalar: UInt32, to out: inout [UInt8]) {
        switch scalar {
        case 0..<0x80:
            out.append(UInt8(truncatingIfNeeded: scalar))
        case 0x80..<0x800:
            out.append(UInt8(truncatingIfNeeded: 0xC0 | scalar >> 6))
            out.append(UInt8(truncatingIfNeeded: 0x80 | scalar & 0x3F))
        case 0x800..<0x10000:
            out.append(UInt8(truncatingIfNeeded: 0xE0 | scalar >> 12))
            out.append(UInt8(truncatingIfNeeded: 0x80 | scalar >> 6 & 0x3F))
            out.append(UInt8(truncatingIfNeeded: 0x80 | scalar & 0x3F))
        default:
            out.append(UInt8(truncatingIfNeeded: 0xF0 | scalar >> 18))
            out.append(UInt8(truncatingIfNeeded: 0x80 | scalar >> 12 & 0x3F))
            out.append(UInt8(truncatingIfNeeded: 0x80 | scalar >> 6 & 0x3F))
            out.append(UInt8(truncatingIfNeeded: 0x80 | scalar & 0x3F))
        }
    }

    /// Calls `body` with each scalar of valid UTF-8.
    @inline(__always)
    static func forEachScalar(_ bytes: [UInt8], _ body: (UInt32) -> Void) {
        bytes.withUnsafeBufferPointer { buffer in
            var at = 0
            while at < buffer.count {
                let (scalar, length) = scalar(buffer, at: at)
                body(scalar)
                at &+= length
            }
        }
    }

    /// U+FFFD, the replacement character.
    static let replacement: [UInt8] = [0xEF, 0xBF, 0xBD]
}
