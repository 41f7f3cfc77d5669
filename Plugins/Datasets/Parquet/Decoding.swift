import JSON

/// Runs of equal numbers and bit-packed groups of eight (Encodings.md, RLE/bit-packing hybrid).
enum HybridRuns {
    /// - Parameter width: bits a number, 0 ... 32.
    static func decode(_ bytes: UnsafeRawBufferPointer, width: Int, count: Int) throws -> [Int32] {
        guard (0...32).contains(width) else { throw ParquetFlaw("damaged page: numbers of \(width) bits") }
        var out: [Int32] = []
        if width == 0 { return Array(repeating: 0, count: count) }
        out.reserveCapacity(count)
        var at = 0
        while out.count < count {
            var head: UInt64 = 0
            var shift: UInt64 = 0
            repeat {
                guard at < bytes.count, shift < 35 else {
                    throw ParquetFlaw("damaged page: levels or indices cut short")
                }
                head |= UInt64(bytes[at] & 0x7F) << shift
                shift += 7
                at += 1
            } while bytes[at - 1] >= 0x80
            if head & 1 == 0 {
                let size = (width + 7) / 8
                guard size <= bytes.count - at else { throw ParquetFlaw("damaged page: levels or indices cut short") }
                var value: UInt32 = 0
                for byte in 0..<size { value |= UInt32(bytes[at + byte]) << UInt32(8 * byte) }
                at += size
                let run = Int(min(head >> 1, UInt64(count - out.count)))
                if run == 0 { throw ParquetFlaw("damaged page: an empty run") }
                out.append(contentsOf: repeatElement(Int32(bitPattern: value), count: run))
            } else {
                let groups = Int(head >> 1)
                if groups == 0 { throw ParquetFlaw("damaged page: an empty run") }
                let wanted = min(groups.multipliedReportingOverflow(by: 8).partialValue, count - out.count)
                let mask = width == 32 ? UInt64(UInt32.max) : (1 << UInt64(width)) - 1
                for index in 0..<wanted {
                    let bit = index * width
                    let byte = at + bit / 8
                    guard byte + (bit % 8 + width + 7) / 8 <= bytes.count else {
                        throw ParquetFlaw("damaged page: levels or indices cut short")
                    }
                    var word: UInt64 = 0
                    for part in 0..<min(8, bytes.count - byte) {
                        word |= UInt64(bytes[byte + part]) << UInt64(8 * part)
                    }
                    out.append(Int32(truncatingIfNeeded: (word >> UInt64(bit % 8)) & mask))
                }
                let (size, overflow) = groups.multipliedReportingOverflow(by: width)
                at = overflow ? bytes.count : min(bytes.count, at + min(size, bytes.count))
            }
        }
        return out
    }
}

/// Values written one after the other (Encodings.md, PLAIN).
enum PlainValues {
    static func decode(_ bytes: UnsafeRawBufferPointer, _ node: SchemaNode, count: Int) throws -> [JSON] {
        let short = ParquetFlaw("damaged page: values of \"\(node.name)\" cut short")
        func fixed(_ size: Int) throws {
            guard count <= bytes.count / size else { throw short }
        }
        switch node.physical {
        case .boolean:
            guard count <= bytes.count * 8 else { throw short }
            return (0..<count).map { .bool(bytes[$0 / 8] >> UInt8($0 % 8) & 1 == 1) }
        case .int32:
            try fixed(4)
            return (0..<count).map { index in
                let raw = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self))
                if case .unsigned = node.meaning { return .int(Int64(raw)) }
                return scaled(Int64(Int32(bitPattern: raw)), node)
            }
        case .int64:
            try fixed(8)
            return (0..<count).map { index in
                let raw = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self))
                if case .unsigned = node.meaning, raw > UInt64(Int64.max) { return .double(Double(raw)) }
                return scaled(Int64(bitPattern: raw), node)
            }
        case .float:
            try fixed(4)
            return (0..<count).map {
                .double(
                    Double(
                        Float(
                            bitPattern: UInt32(
                                littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)))))
            }
        case .double:
            try fixed(8)
            return (0..<count).map {
                .double(
                    Double(
                        bitPattern: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8 * $0, as: UInt64.self))))
            }
        case .byteArray:
            var out: [JSON] = []
            out.reserveCapacity(min(count, bytes.count / 4))
            var at = 0
            for _ in 0..<count {
                guard bytes.count - at >= 4 else { throw short }
                let length = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)))
                at += 4
                guard length <= bytes.count - at else { throw short }
                out.append(text(UnsafeRawBufferPointer(rebasing: bytes[at..<at + length]), node))
                at += length
            }
            return out
        case .fixed:
            try fixed(node.typeLength)
            return (0..<count).map {
                text(UnsafeRawBufferPointer(rebasing: bytes[$0 * node.typeLength..<($0 + 1) * node.typeLength]), node)
            }
        case .int96, nil: throw ParquetFlaw("not supported: values of 96 bits in \"\(node.name)\"")
        }
    }

    private static func scaled(_ value: Int64, _ node: SchemaNode) -> JSON {
        guard case .decimal(let scale) = node.meaning, (1...18).contains(scale) else { return .int(value) }
        return .double(Double(value) / (0..<scale).reduce(1.0) { power, _ in power * 10 })
    }

    /// Text, or base64 (RFC 4648) of bytes that are none.
    private static func text(_ bytes: UnsafeRawBufferPointer, _ node: SchemaNode) -> JSON {
        if let text = String(validating: bytes, as: UTF8.self) { return .string(text) }
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var out: [UInt8] = []
        out.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let left = min(3, bytes.count - start)
            var word = 0
            for index in 0..<3 { word = word << 8 | (index < left ? Int(bytes[start + index]) : 0) }
            for index in 0..<4 {
                out.append(index <= left ? alphabet[word >> (18 - 6 * index) & 63] : UInt8(ascii: "="))
            }
        }
        return .string(String(decoding: out, as: UTF8.self))
    }
}
