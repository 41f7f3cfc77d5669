/// A value of Thrift's compact protocol (thrift-compact-protocol.md); structs by field id.
enum Thrift {
    case bool(Bool)
    case int(Int)
    case double(Double)
    case bytes([UInt8])
    case list([Thrift])
    case structure([Int: Thrift])

    subscript(field: Int) -> Thrift? {
        if case .structure(let fields) = self { return fields[field] }
        return nil
    }
    var int: Int? { if case .int(let value) = self { value } else { nil } }
    var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    var list: [Thrift]? { if case .list(let value) = self { value } else { nil } }
    var text: String? {
        if case .bytes(let value) = self { return String(validating: value, as: UTF8.self) }
        return nil
    }
}

/// What is wrong with a file's bytes.
struct ParquetFlaw: Error {
    let cause: String
    init(_ cause: String) { self.cause = cause }
}

/// Reads Thrift values from bytes that are not trusted.
struct ThriftReader {
    private let bytes: UnsafeRawBufferPointer
    private(set) var position = 0
    private var nodes = 0
    private static let maximumDepth = 16
    /// Values in one document: a footer of a million columns and row groups is refused.
    private static let maximumNodes = 1 << 24

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    mutating func structure(depth: Int = 0) throws -> Thrift {
        guard depth < Self.maximumDepth else { throw ParquetFlaw("damaged metadata: nested too deeply") }
        var fields: [Int: Thrift] = [:]
        var last = 0
        while true {
            let head = try byte()
            if head == 0 { return .structure(fields) }
            let delta = Int(head >> 4)
            last = delta == 0 ? try zigzag() : last + delta
            guard (0...Int(Int16.max)).contains(last) else { throw ParquetFlaw("damaged metadata: a field's number") }
            fields[last] = try value(head & 15, depth: depth, isElement: false)
        }
    }

    private mutating func value(_ type: UInt8, depth: Int, isElement: Bool) throws -> Thrift {
        nodes += 1
        guard nodes <= Self.maximumNodes else { throw ParquetFlaw("damaged metadata: too many values") }
        switch type {
        case 1, 2: return .bool(isElement ? try byte() == 1 : type == 1)
        case 3: return .int(Int(Int8(bitPattern: try byte())))
        case 4, 5, 6: return .int(try zigzag())
        case 7:
            guard bytes.count - position >= 8 else { throw ParquetFlaw("damaged metadata: cut short") }
            defer { position += 8 }
            let bits = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self))
            return .double(Double(bitPattern: bits))
        case 8:
            let count = try varint()
            guard count <= UInt64(bytes.count - position) else { throw ParquetFlaw("damaged metadata: cut short") }
            defer { position += Int(count) }
            return .bytes(Array(bytes[position..<position + Int(count)]))
        case 9, 10:
            let head = try byte()
            let count = head >> 4 == 15 ? try varint() : UInt64(head >> 4)
            guard count <= UInt64(bytes.count - position) else { throw ParquetFlaw("damaged metadata: cut short") }
            var list: [Thrift] = []
            list.reserveCapacity(Int(count))
            for _ in 0..<Int(count) { list.append(try value(head & 15, depth: depth + 1, isElement: true)) }
            return .list(list)
        case 12: return try structure(depth: depth + 1)
        default: throw ParquetFlaw("damaged metadata: unknown type \(type)")
        }
    }

    private mutating func byte() throws -> UInt8 {
        guard position < bytes.count else { throw ParquetFlaw("damaged metadata: cut short") }
        defer { position += 1 }
        return bytes[position]
    }

    private mutating func varint() throws -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: 0, to: 64, by: 7) {
            let byte = try byte()
            value |= UInt64(byte & 0x7F) << UInt64(shift)
            if byte < 0x80 { return value }
        }
        throw ParquetFlaw("damaged metadata: a number of more than 64 bits")
    }

    private mutating func zigzag() throws -> Int {
        let value = try varint()
        return Int(bitPattern: UInt(value >> 1)) ^ -Int(value & 1)
    }
}
