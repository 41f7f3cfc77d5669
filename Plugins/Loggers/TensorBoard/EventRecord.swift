/// Records of an event file: TFRecord frames (length, masked CRC-32C of it, data, masked CRC-32C of that) around
/// protocol-buffer messages of tensorflow/core/util/event.proto and framework/summary.proto.
enum EventRecord {
    /// The first record of a file.
    static func version(time: Double) -> [UInt8] {
        frame(event(time: time, step: 0) { $0.bytes(3, Array("brain.Event:2".utf8)) })
    }

    static func scalars(_ values: [(tag: String, value: Float)], step: Int, time: Double) -> [UInt8] {
        frame(
            event(time: time, step: step) { event in
                event.message(5) { summary in
                    for value in values {
                        summary.message(1) {
                            $0.bytes(1, Array(value.tag.utf8))
                            $0.fixed32(2, value.value.bitPattern)
                        }
                    }
                }
            })
    }

    /// A text for TensorBoard's text page: a string tensor, with the name of the plugin that shows it.
    static func text(_ tag: String, _ text: String, time: Double) -> [UInt8] {
        frame(
            event(time: time, step: 0) { event in
                event.message(5) { summary in
                    summary.message(1) { value in
                        value.bytes(1, Array(tag.utf8))
                        value.message(9) { $0.message(1) { $0.bytes(1, Array("text".utf8)) } }
                        // TensorProto: dtype DT_STRING, shape [1], string_val.
                        value.message(8) { tensor in
                            tensor.varint(1, 7)
                            tensor.message(2) { $0.message(2) { $0.varint(1, 1) } }
                            tensor.bytes(8, Array("<pre>\(text)</pre>".utf8))
                        }
                    }
                }
            })
    }

    private static func event(time: Double, step: Int, _ body: (inout Message) -> Void) -> [UInt8] {
        var message = Message()
        message.fixed64(1, time.bitPattern)
        if step != 0 { message.varint(2, UInt64(bitPattern: Int64(step))) }
        body(&message)
        return message.content
    }

    static func frame(_ data: [UInt8]) -> [UInt8] {
        func littleEndian<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
            withUnsafeBytes(of: value.littleEndian, Array.init)
        }
        let length = littleEndian(UInt64(data.count))
        return length + littleEndian(CRC32C.masked(length)) + data + littleEndian(CRC32C.masked(data))
    }
}

/// A protocol-buffer message in the making (developers.google.com/protocol-buffers/docs/encoding).
private struct Message {
    private(set) var content: [UInt8] = []

    private mutating func append(varint value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            content.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        content.append(UInt8(rest))
    }

    private mutating func key(_ field: Int, _ wireType: Int) { append(varint: UInt64(field << 3 | wireType)) }

    mutating func varint(_ field: Int, _ value: UInt64) {
        key(field, 0)
        append(varint: value)
    }

    mutating func fixed64(_ field: Int, _ value: UInt64) {
        key(field, 1)
        withUnsafeBytes(of: value.littleEndian) { content.append(contentsOf: $0) }
    }

    mutating func fixed32(_ field: Int, _ value: UInt32) {
        key(field, 5)
        withUnsafeBytes(of: value.littleEndian) { content.append(contentsOf: $0) }
    }

    mutating func bytes(_ field: Int, _ value: [UInt8]) {
        key(field, 2)
        append(varint: UInt64(value.count))
        content += value
    }

    mutating func message(_ field: Int, _ body: (inout Message) -> Void) {
        var inner = Message()
        body(&inner)
        bytes(field, inner.content)
    }
}

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4), masked as TFRecord does so that a CRC of data with CRCs in it is no weaker.
enum CRC32C {
    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { crc, _ in crc & 1 != 0 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
    }

    static func of(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(~0) { crc, byte in table[Int((crc ^ UInt32(byte)) & 0xFF)] ^ crc >> 8 }
    }

    static func masked(_ bytes: [UInt8]) -> UInt32 {
        let crc = of(bytes)
        return (crc >> 15 | crc << 17) &+ 0xA282_EAD8
    }
}
