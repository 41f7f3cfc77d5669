import CheckpointSupport
import Files
import JSON
import PluginKit

/// The header of one safetensors file, read and checked.
///
/// Format (github.com/huggingface/safetensors, README): u64 header length, the header as a JSON object of
/// {"dtype", "shape", "data_offsets"} by tensor name, then the data, without holes to the end of the file.
package struct SafetensorsFile {
    /// In the order of their bytes.
    package private(set) var tensors: [TensorEntry] = []
    /// The "__metadata__" member: texts by name.
    package private(set) var metadata = JSONObject()

    /// The reference implementation's cap on the header.
    package static let maximumHeaderBytes = 100_000_000
    package static let maximumTensors = 1 << 20
    package static let maximumDimensions = 8

    package init(_ bytes: UnsafeRawBufferPointer, path: String) throws(FileError) {
        var reader = ByteReader(bytes, path: path)
        let length = try reader.length("header length")
        guard length <= Self.maximumHeaderBytes else {
            throw FileError(
                path, at: 0, "header length", found: "\(length)", wanted: "at most \(Self.maximumHeaderBytes)",
                fix: "This is no safetensors file, or a damaged one.")
        }
        let header = try reader.take(length, "header")
        guard header.first == UInt8(ascii: "{") else {
            throw FileError(
                path, at: 8, "header", found: header.first.map { "the byte \($0)" } ?? "nothing", wanted: "'{'")
        }
        var options = JSON.ParseOptions()
        options.rejectsDuplicateKeys = true
        options.allowsNonFinite = false
        options.maximumDepth = 8
        let document: JSON
        do {
            document = try JSON(parsing: header.bindMemory(to: UInt8.self), options: options)
        } catch {
            throw FileError(path, at: 8, "header", found: "a fault at \(error)", wanted: "a JSON object")
        }
        guard case .object(let members) = document else {
            throw FileError(path, at: 8, "header", found: document.typeName, wanted: "a JSON object")
        }
        guard members.count <= Self.maximumTensors else {
            throw FileError(
                path, at: 8, "header", found: "\(members.count) tensors", wanted: "at most \(Self.maximumTensors)")
        }
        tensors.reserveCapacity(members.count)
        for (name, value) in members {
            if name == "__metadata__" {
                metadata = try Self.metadata(value, path)
            } else {
                tensors.append(try Self.tensor(name, value, path))
            }
        }
        try place(dataStart: reader.position, dataSize: reader.remaining, path)
    }

    private static func metadata(_ value: JSON, _ path: String) throws(FileError) -> JSONObject {
        guard case .object(let members) = value, members.allSatisfy({ $0.value.string != nil }) else {
            throw FileError(path, at: 8, "__metadata__", found: value.typeName, wanted: "an object of texts")
        }
        return members
    }

    /// One entry; its offset still counts from the start of the data.
    private static func tensor(_ name: String, _ value: JSON, _ path: String) throws(FileError) -> TensorEntry {
        let what = "tensor \(FileError.quote(name))"
        let dtype = value["dtype"]?.string
        guard let dtype, let layout = layouts[dtype].flatMap(ElementLayout.named) else {
            throw FileError(
                path, at: 8, "\(what), dtype", found: dtype.map(FileError.quote) ?? "nothing",
                wanted: "one of \(layouts.keys.sorted().joined(separator: " "))")
        }
        guard let shape = naturals(value["shape"]), shape.count <= maximumDimensions else {
            throw FileError(
                path, at: 8, "\(what), shape", found: value["shape"].map { FileError.quote($0.text()) } ?? "nothing",
                wanted: "at most \(maximumDimensions) numbers from 0 up")
        }
        guard let ends = naturals(value["data_offsets"]), ends.count == 2, ends[0] <= ends[1] else {
            throw FileError(
                path, at: 8, "\(what), data_offsets",
                found: value["data_offsets"].map { FileError.quote($0.text()) } ?? "nothing",
                wanted: "two numbers [begin, end], begin ≤ end")
        }
        guard let size = layout.byteCount(shape: shape) else {
            throw FileError(
                path, at: 8, "\(what), shape", found: "\(shape)", wanted: "whole \(dtype) bytes below 2^63")
        }
        guard size == ends[1] - ends[0] else {
            throw FileError(
                path, at: 8, "\(what), data_offsets", found: "\(ends[1] - ends[0]) bytes",
                wanted: "\(size) bytes for \(dtype) \(shape)")
        }
        return TensorEntry(
            name: name, layout: layout.id, shape: shape, offset: UInt64(ends[0]), size: UInt64(size))
    }

    private static func naturals(_ value: JSON?) -> [Int]? {
        guard case .array(let elements)? = value else { return nil }
        var out: [Int] = []
        for element in elements {
            guard case .int(let number) = element, number >= 0 else { return nil }
            out.append(Int(number))
        }
        return out
    }

    /// Sorts the tensors by their bytes, checks that they fill the data without hole or overlap, and turns their
    /// offsets into offsets from the file's start.
    private mutating func place(dataStart: Int, dataSize: Int, _ path: String) throws(FileError) {
        tensors.sort { ($0.offset, $0.size, $0.name) < ($1.offset, $1.size, $1.name) }
        var end: UInt64 = 0
        for i in tensors.indices {
            guard tensors[i].offset == end else {
                let kind = tensors[i].offset > end ? "a hole" : "an overlap"
                throw FileError(
                    path, at: 8, "tensor \(FileError.quote(tensors[i].name)), data_offsets",
                    found: "\(kind): begin \(tensors[i].offset)", wanted: "\(end), where the one before ends")
            }
            end += tensors[i].size  // begin = end so far and size = end - begin, so this is data_offsets[1]
            guard end <= UInt64(dataSize) else {
                throw FileError(
                    path, at: dataStart, "tensor \(FileError.quote(tensors[i].name)), data_offsets",
                    found: "an end at \(end) in \(dataSize) bytes of data", wanted: "all of it in the file",
                    fix: "The file is cut short; fetch it again.")
            }
            tensors[i].offset += UInt64(dataStart)
        }
        guard end == UInt64(dataSize) else {
            throw FileError(
                path, at: dataStart + Int(end), "data", found: "\(dataSize - Int(end)) bytes that belong to no tensor",
                wanted: "the end of the file")
        }
    }

    /// Layout ids by the format's dtype names.
    static let layouts: [String: String] = [
        "BOOL": "bool", "U8": "u8", "I8": "i8", "U16": "u16", "I16": "i16", "U32": "u32", "I32": "i32",
        "U64": "u64", "I64": "i64", "F16": "f16", "BF16": "bf16", "F32": "f32", "F64": "f64", "C64": "c64",
        "F8_E4M3": "f8_e4m3", "F8_E5M2": "f8_e5m2", "F8_E8M0": "f8_e8m0", "F8_E4M3FNUZ": "f8_e4m3fnuz",
        "F8_E5M2FNUZ": "f8_e5m2fnuz", "F6_E2M3": "f6_e2m3", "F6_E3M2": "f6_e3m2", "F4": "f4",
    ]
}
