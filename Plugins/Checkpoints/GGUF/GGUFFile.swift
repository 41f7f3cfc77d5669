import CheckpointSupport
import Files
import JSON

/// The header of one GGUF file, read and checked: metadata, and where each tensor stands.
///
/// Format: github.com/ggml-org/ggml, docs/gguf.md, versions 2 and 3 (the same for little-endian files).
package struct GGUFFile: @unchecked Sendable {
    /// A tensor as the file describes it.
    struct Tensor {
        let name: String
        let layout: ElementLayout
        /// Outermost first: the reverse of the file's order.
        let shape: [Int]
        /// Bytes from the start of the file.
        let offset: Int
        let size: Int
    }

    private(set) var keys: [String] = []
    private(set) var values: [String: GGUFValue] = [:]
    private(set) var tensors: [Tensor] = []
    let bytes: UnsafeRawBufferPointer
    let path: String

    static let maximumKeys = 1 << 16
    static let maximumTensors = 1 << 16
    static let maximumElements = 1 << 28
    static let maximumText = 64 << 20
    static let maximumName = 1024
    static let maximumDimensions = 4

    /// Parses `bytes`, which must stay valid for as long as metadata is asked for.
    package init(_ bytes: UnsafeRawBufferPointer, path: String) throws(FileError) {
        self.bytes = bytes
        self.path = path
        var reader = ByteReader(bytes, path: path)
        try Self.magic(&reader)
        let tensorCount = try Self.count(&reader, "tensor count", limit: Self.maximumTensors, least: 24)
        let keyCount = try Self.count(&reader, "metadata count", limit: Self.maximumKeys, least: 13)
        for _ in 0..<keyCount { try readValue(&reader) }
        let alignment = try self.alignment()
        var infos: [(tensor: Tensor, at: Int)] = []
        var names: Set<String> = []
        for _ in 0..<tensorCount {
            let at = reader.position
            let tensor = try Self.info(&reader)
            guard names.insert(tensor.name).inserted else {
                throw FileError(
                    path, at: at, "tensor \(FileError.quote(tensor.name))", found: "the name twice",
                    wanted: "each tensor once")
            }
            infos.append((tensor, at))
        }
        try place(infos, end: reader.position, alignment)
    }

    package var tensorCount: Int { tensors.count }

    /// The metadata value of `key` as JSON.
    func value(_ key: String) -> JSON? { values[key]?.json(bytes) }

    private static func magic(_ reader: inout ByteReader) throws(FileError) {
        let magic = try reader.take(4, "magic")
        guard magic.elementsEqual("GGUF".utf8) else {
            throw FileError(
                reader.path, at: 0, "magic", found: "the bytes \(Array(magic))", wanted: "\"GGUF\"",
                fix: "This is no GGUF file.")
        }
        let version = try reader.integer(UInt32.self, "version")
        switch version {
        case 2, 3: return
        case 1:
            throw FileError(
                reader.path, at: 4, "version", found: "1", wanted: "2 or 3",
                fix: "Version 1 was replaced in 2023; fetch a newer conversion of the model.")
        case let swapped where swapped.byteSwapped <= 3:
            throw FileError(
                reader.path, at: 4, "version", found: "a big-endian file", wanted: "a little-endian one",
                fix: "Convert it with gguf_convert_endian.py of the gguf package.")
        default: throw FileError(reader.path, at: 4, "version", found: "\(version)", wanted: "2 or 3")
        }
    }

    /// A count of things that take at least `least` bytes each.
    private static func count(
        _ reader: inout ByteReader, _ field: String, limit: Int, least: Int
    ) throws(FileError) -> Int {
        let start = reader.position
        let count = try reader.length(field)
        guard count <= limit, count <= reader.remaining / least else {
            throw FileError(
                reader.path, at: start, field, found: "\(count)",
                wanted: "at most \(min(limit, reader.remaining / least)) in a file of \(reader.bytes.count) bytes")
        }
        return count
    }

    private static func name(_ reader: inout ByteReader, _ field: String) throws(FileError) -> String {
        let start = reader.position
        let raw = try GGUFValue.text(&reader, field)
        guard !raw.isEmpty, raw.count <= maximumName, let text = String(validating: raw, as: UTF8.self),
            !raw.contains(0)
        else {
            throw FileError(
                reader.path, at: start, field,
                found: "\(raw.count) bytes, \(FileError.quote(String(decoding: raw.prefix(40), as: UTF8.self)))",
                wanted: "1 to \(maximumName) bytes of UTF-8")
        }
        return text
    }

    private mutating func readValue(_ reader: inout ByteReader) throws(FileError) {
        let start = reader.position
        let key = try Self.name(&reader, "metadata key")
        let value = try GGUFValue(&reader, key: key)
        guard values.updateValue(value, forKey: key) == nil else {
            throw FileError(
                path, at: start, "metadata \(FileError.quote(key))", found: "the key twice", wanted: "each key once")
        }
        keys.append(key)
    }

    private func alignment() throws(FileError) -> Int {
        guard let value = values["general.alignment"] else { return 32 }
        guard value.type == .u32, let alignment = value.json(bytes).int, (8...65536).contains(alignment),
            alignment & (alignment - 1) == 0
        else {
            throw FileError(
                path, at: value.range.lowerBound, "metadata \"general.alignment\"",
                found: "\(value.json(bytes).text().prefix(40)) as \(value.type)",
                wanted: "a power of two from 8 to 65536 as u32")
        }
        return alignment
    }

    /// One tensor's description; its offset still counts from the start of the data.
    private static func info(_ reader: inout ByteReader) throws(FileError) -> Tensor {
        let name = try name(&reader, "tensor name")
        let what = "tensor \(FileError.quote(name))"
        let start = reader.position
        let rank = try reader.integer(UInt32.self, "\(what), dimension count")
        guard rank <= maximumDimensions else {
            throw FileError(
                reader.path, at: start, "\(what), dimension count", found: "\(rank)",
                wanted: "at most \(maximumDimensions)")
        }
        var shape: [Int] = []
        for _ in 0..<rank { shape.insert(try reader.length("\(what), dimension"), at: 0) }
        let typeAt = reader.position
        let type = try reader.integer(UInt32.self, "\(what), type")
        guard let layout = layouts[type].flatMap(ElementLayout.named) else {
            throw FileError(
                reader.path, at: typeAt, "\(what), type", found: "\(type)",
                wanted: "one of \(layouts.keys.sorted().map(String.init).joined(separator: " "))")
        }
        guard let size = layout.byteCount(shape: shape) else {
            throw FileError(
                reader.path, at: start, "\(what), dimensions", found: "\(shape) (outermost first)",
                wanted: "rows of whole blocks of \(layout.elements) elements, below 2^63 bytes in all")
        }
        let offset = try reader.length("\(what), offset")
        return Tensor(name: name, layout: layout, shape: shape, offset: offset, size: size)
    }

    /// Turns offsets into offsets from the file's start, and checks that the tensors are aligned, inside the file
    /// and apart from each other.
    private mutating func place(
        _ infos: [(tensor: Tensor, at: Int)], end: Int, _ alignment: Int
    ) throws(FileError) {
        guard let dataStart = alignedUp(end, to: alignment) else { return }
        tensors.reserveCapacity(infos.count)
        for (tensor, at) in infos {
            let what = "tensor \(FileError.quote(tensor.name))"
            guard tensor.offset % alignment == 0 else {
                throw FileError(
                    path, at: at, "\(what), offset", found: "\(tensor.offset)", wanted: "a multiple of \(alignment)")
            }
            guard let start = checkedSum(dataStart, tensor.offset), let stop = checkedSum(start, tensor.size),
                stop <= max(bytes.count, tensor.size == 0 ? start : 0)
            else {
                throw FileError(
                    path, at: at, what, found: "\(tensor.size) bytes at \(tensor.offset) of the data",
                    wanted: "all of it within the file's \(max(0, bytes.count - dataStart)) bytes of data",
                    fix: "The file is cut short; fetch it again.")
            }
            tensors.append(
                Tensor(name: tensor.name, layout: tensor.layout, shape: tensor.shape, offset: start, size: tensor.size))
        }
        let sorted = tensors.filter { $0.size > 0 }.sorted { $0.offset < $1.offset }
        for (one, next) in zip(sorted, sorted.dropFirst()) where one.offset + one.size > next.offset {
            throw FileError(
                path, at: next.offset, "tensor \(FileError.quote(next.name))",
                found: "bytes that \(FileError.quote(one.name)) has too", wanted: "tensors apart from each other")
        }
    }

    /// Layout ids by ggml's type numbers (ggml.h, `enum ggml_type`). 9 and 15 are formats of activations, not of files.
    static let layouts: [UInt32: String] = [
        0: "f32", 1: "f16", 2: "q4_0", 3: "q4_1", 6: "q5_0", 7: "q5_1", 8: "q8_0", 10: "q2_k", 11: "q3_k",
        12: "q4_k", 13: "q5_k", 14: "q6_k", 16: "iq2_xxs", 17: "iq2_xs", 18: "iq3_xxs", 19: "iq1_s",
        20: "iq4_nl", 21: "iq3_s", 22: "iq2_s", 23: "iq4_xs", 24: "i8", 25: "i16", 26: "i32", 27: "i64", 28: "f64",
        29: "iq1_m", 30: "bf16", 34: "tq1_0", 35: "tq2_0", 39: "mxfp4", 40: "nvfp4",
    ]
}
