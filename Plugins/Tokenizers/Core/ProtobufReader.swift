/// Reads the fields of a protocol-buffers message, each length checked against what is left (protobuf.dev, "Encoding").
struct ProtobufReader {
    enum Value {
        case varint(UInt64)
        case fixed64(UInt64)
        case fixed32(UInt32)
        case bytes(Range<Int>)
    }
    let file: String
    private let bytes: UnsafeBufferPointer<UInt8>
    private var at = 0

    init(_ bytes: UnsafeBufferPointer<UInt8>, in file: String) {
        self.bytes = bytes
        self.file = file
    }

    /// The next field, or nil at the end.
    mutating func next() throws(TokenizerError) -> (number: Int, value: Value)? {
        guard at < bytes.count else { return nil }
        let key = try varint()
        let number = Int(truncatingIfNeeded: key >> 3)
        switch key & 7 {
        case 0: return (number, .varint(try varint()))
        case 1: return (number, .fixed64(try fixed(8)))
        case 5: return (number, .fixed32(UInt32(truncatingIfNeeded: try fixed(4))))
        case 2:
            let count = try varint()
            guard count <= UInt64(bytes.count - at) else { throw truncated() }
            let start = at
            at += Int(count)
            return (number, .bytes(start..<at))
        default:
            throw TokenizerError(.malformed, "wire type \(key & 7) at byte \(at) is none of protobuf's", in: file)
        }
    }

    func slice(_ range: Range<Int>) -> UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(rebasing: bytes[range]) }

    func message(_ range: Range<Int>) -> ProtobufReader { ProtobufReader(slice(range), in: file) }

    private func truncated() -> TokenizerError {
        TokenizerError(.malformed, "a field at byte \(at) reaches past the end of its message", in: file)
    }

    private mutating func varint() throws(TokenizerError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: 0, to: 70, by: 7) {
            guard at < bytes.count else { throw truncated() }
            let byte = bytes[at]
            at += 1
            if shift < 64 { value |= UInt64(byte & 0x7F) << UInt64(shift) }
            if byte < 0x80 { return value }
        }
        throw TokenizerError(.malformed, "a number at byte \(at) has more than ten bytes", in: file)
    }

    private mutating func fixed(_ count: Int) throws(TokenizerError) -> UInt64 {
        guard bytes.count - at >= count else { throw truncated() }
        var value: UInt64 = 0
        for index in 0..<count { value |= UInt64(bytes[at + index]) << UInt64(8 * index) }
        at += count
        return value
    }
}
