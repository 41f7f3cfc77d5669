/// GPT-2's alphabet of 256 printable characters, one for each byte (openai/gpt-2, encoder.py, `bytes_to_unicode`):
/// the printable Latin-1 bytes stand for themselves, the other 68 for U+0100 onwards.
enum ByteAlphabet {
    /// The scalar that stands for each byte.
    static let scalars: [UInt32] = {
        var next: UInt32 = 256
        return (0..<256).map { byte in
            if (33...126).contains(byte) || (161...172).contains(byte) || (174...255).contains(byte) {
                return UInt32(byte)
            }
            defer { next += 1 }
            return next
        }
    }()

    /// The byte that each of the scalars 0..<324 stands for, or -1.
    private static let bytes: [Int16] = {
        var table = [Int16](repeating: -1, count: 256 + 68)
        for (byte, scalar) in scalars.enumerated() { table[Int(scalar)] = Int16(byte) }
        return table
    }()

    /// Appends the bytes that the characters of `text`, valid UTF-8, stand for; false, with nothing appended, where one of
    /// them is outside the alphabet.
    static func appendBytes(of text: UnsafeBufferPointer<UInt8>, to out: inout [UInt8]) -> Bool {
        var count = 0
        let start = out.count
        out.append(contentsOf: text)
        out.withUnsafeMutableBufferPointer { out in
            let room = UnsafeMutableBufferPointer(rebasing: out[start...])
            count = write(text, to: room)
        }
        out.removeSubrange((start + max(0, count))...)
        return count >= 0
    }

    /// Writes the bytes that the characters of `text` stand for and gives their number, which is no more than that of
    /// `text` itself; -1 where a character is outside the alphabet.
    @inline(__always)
    static func write(_ text: UnsafeBufferPointer<UInt8>, to out: UnsafeMutableBufferPointer<UInt8>) -> Int {
        bytes.withUnsafeBufferPointer { table in
            var count = 0
            var at = 0
            while at < text.count {
                let (scalar, length) = UTF8Text.scalar(text, at: at)
                guard scalar < 324, table[Int(scalar)] >= 0 else { return -1 }
                out[count] = UInt8(truncatingIfNeeded: table[Int(scalar)])
                count &+= 1
                at &+= length
            }
            return count
        }
    }

    /// `text` with each byte replaced by its character.
    static func spelled(_ text: some Sequence<UInt8>) -> [UInt8] {
        var out: [UInt8] = []
        for byte in text { UTF8Text.append(scalars[Int(byte)], to: &out) }
        return out
    }
}
