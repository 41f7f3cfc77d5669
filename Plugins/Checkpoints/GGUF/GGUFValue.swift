import Files
import JSON

/// The types of GGUF's metadata values, by their number in the file.
enum GGUFValueType: UInt32, Sendable {
    case u8 = 0
    case i8, u16, i16, u32, i32, f32, bool, string, array, u64, i64, f64

    /// Bytes of one value, or nil where the length stands in the file.
    var size: Int? {
        switch self {
        case .u8, .i8, .bool: return 1
        case .u16, .i16: return 2
        case .u32, .i32, .f32: return 4
        case .u64, .i64, .f64: return 8
        case .string, .array: return nil
        }
    }
}

/// One metadata value by its place in the file, so that a parse allocates nothing for long arrays.
struct GGUFValue: Sendable {
    let type: GGUFValueType
    /// Elements of an array, and their type; a single value has one element of its own type.
    let count: Int
    let element: GGUFValueType
    let isArray: Bool
    /// The bytes of the elements.
    let range: Range<Int>

    /// Passes over the value that starts at the reader's position.
    init(_ reader: inout ByteReader, key: String) throws(FileError) {
        let what = "metadata \(FileError.quote(key))"
        let first = try Self.type(&reader, "\(what), type")
        isArray = first == .array
        type = first
        if isArray {
            element = try Self.type(&reader, "\(what), element type")
            guard element != .array else {
                throw FileError(
                    reader.path, at: reader.position - 4, "\(what), element type", found: "an array of arrays",
                    wanted: "an array of values")
            }
            let start = reader.position
            count = try reader.length("\(what), element count")
            guard count <= GGUFFile.maximumElements else {
                throw FileError(
                    reader.path, at: start, "\(what), element count", found: "\(count)",
                    wanted: "at most \(GGUFFile.maximumElements)")
            }
        } else {
            element = first
            count = 1
        }
        let start = reader.position
        if let size = element.size {
            try reader.skip(count * size, what)  // count ≤ 2^28 and size ≤ 8: no overflow
        } else {
            for _ in 0..<count { _ = try Self.text(&reader, what) }
        }
        range = start..<reader.position
        if element == .bool, let bad = reader.bytes[range].firstIndex(where: { $0 > 1 }) {
            throw FileError(reader.path, at: bad, what, found: "the byte \(reader.bytes[bad])", wanted: "0 or 1")
        }
    }

    private static func type(_ reader: inout ByteReader, _ field: String) throws(FileError) -> GGUFValueType {
        let start = reader.position
        let number = try reader.integer(UInt32.self, field)
        guard let type = GGUFValueType(rawValue: number) else {
            throw FileError(reader.path, at: start, field, found: "\(number)", wanted: "a type from 0 to 12")
        }
        return type
    }

    /// The bytes of the string at the reader's position.
    static func text(_ reader: inout ByteReader, _ field: @autoclosure () -> String) throws(FileError)
        -> UnsafeRawBufferPointer
    {
        let start = reader.position
        let length = try reader.length("\(field()), string length")
        guard length <= GGUFFile.maximumText else {
            throw FileError(
                reader.path, at: start, "\(field()), string length", found: "\(length)",
                wanted: "at most \(GGUFFile.maximumText)")
        }
        return try reader.take(length, field())
    }

    /// The value as JSON; invalid UTF-8 is repaired. Text of a vocabulary is kept whole.
    func json(_ bytes: UnsafeRawBufferPointer) -> JSON {
        if !isArray { return element == .string ? texts(bytes)[0] : single(bytes, range.lowerBound) }
        if element == .string { return .array(texts(bytes)) }
        let size = element.size ?? 1
        return .array((0..<count).map { single(bytes, range.lowerBound + $0 * size) })
    }

    private func texts(_ bytes: UnsafeRawBufferPointer) -> [JSON] {
        var out: [JSON] = []
        out.reserveCapacity(count)
        var at = range.lowerBound
        for _ in 0..<count {
            let length = Int(bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            out.append(.string(String(decoding: bytes[at + 8..<at + 8 + length], as: UTF8.self)))
            at += 8 + length
        }
        return out
    }

    private func single(_ bytes: UnsafeRawBufferPointer, _ at: Int) -> JSON {
        func load<T>(_ type: T.Type) -> T { bytes.loadUnaligned(fromByteOffset: at, as: type) }
        switch element {
        case .u8: return .int(Int64(load(UInt8.self)))
        case .i8: return .int(Int64(load(Int8.self)))
        case .u16: return .int(Int64(load(UInt16.self)))
        case .i16: return .int(Int64(load(Int16.self)))
        case .u32: return .int(Int64(load(UInt32.self)))
        case .i32: return .int(Int64(load(Int32.self)))
        case .i64: return .int(load(Int64.self))
        case .u64:
            let value = load(UInt64.self)
            return Int64(exactly: value).map { .int($0) } ?? .double(Double(value))
        case .f32: return .double(Double(load(Float.self)))
        case .f64: return .double(load(Double.self))
        case .bool: return .bool(load(UInt8.self) != 0)
        case .string, .array: return .null
        }
    }
}
