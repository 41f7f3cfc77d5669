import CheckpointSupport
import Files
import JSON
import PluginKit

/// A checkpoint in safetensors: one file, a directory with "model.safetensors", or one with an index of shards.
package final class Safetensors: Checkpoint {
    package let files: [String]
    package let tensors: [TensorEntry]
    private let metadata: JSON

    package convenience init(path: String) throws {
        let location = try reporting { () throws(FileError) in try Self.location(path) }
        let contents = try reporting { () throws(FileError) in try Self.read(location) }
        self.init(contents.files, contents.tensors, metadata: contents.metadata)
    }

    private init(_ files: [String], _ tensors: [TensorEntry], metadata: JSONObject) {
        self.files = files
        self.tensors = tensors
        self.metadata = .object(metadata)
    }

    package func describe() -> JSON { ["metadata": metadata] }

    package static func create(path: String, options: JSON, tensors: [TensorEntry]) throws -> any CheckpointWriter {
        try reporting { () throws(FileError) in
            try SafetensorsWriter(
                path, tensors: tensors, maximumShardBytes: options["max_shard_bytes"]?.int ?? .max,
                metadata: texts(options["metadata"]))
        }
    }

    /// Metadata for a new file: the format holds texts alone, so other values become their JSON.
    private static func texts(_ metadata: JSON?) -> JSONObject {
        // Readers of published checkpoints look for this member and refuse a file without it.
        var out: JSONObject = JSONObject([("format", "pt")])
        for (key, value) in metadata?.object ?? JSONObject() { out[key] = .string(value.string ?? value.text()) }
        return out
    }

    private static func read(
        _ location: Location
    ) throws(FileError) -> (files: [String], tensors: [TensorEntry], metadata: JSONObject) {
        switch location {
        case .file(let file):
            let header = try Self.header(file)
            return ([file], header.tensors, header.metadata)
        case .index(let file):
            let index = try ShardIndex(file)
            var shards: [[TensorEntry]] = []
            var texts = index.metadata.object ?? JSONObject()
            for shard in index.files {
                let header = try Self.header(shard)
                shards.append(header.tensors)
                for (key, value) in header.metadata { texts[key] = value }
            }
            return (index.files, try index.joined(shards), texts)
        }
    }

    /// How well `path` can be read: 100 by its name or by its content, 0 not at all.
    package static func probe(_ path: String) -> Int {
        guard (try? location(path)) != nil else { return 0 }
        return 100
    }

    private static func header(_ path: String) throws(FileError) -> SafetensorsFile {
        let file = try MappedFile(path)
        return try SafetensorsFile(file.bytes, path: path)
    }

    private enum Location { case file(String), index(String) }

    /// The names that publishers use, best first. As in transformers, one whole file goes before an index.
    private static let singles = ["model.safetensors", "adapter_model.safetensors", "pytorch_model.safetensors"]
    private static let indexes = ["model.safetensors.index.json", "adapter_model.safetensors.index.json"]

    private static func location(_ path: String) throws(FileError) -> Location {
        switch System.kind(of: path) {
        case .file:
            if path.hasSuffix(".safetensors.index.json") { return .index(path) }
            if path.hasSuffix(".safetensors") || startsLikeHeader(path) { return .file(path) }
        case .directory:
            for name in singles where System.kind(of: System.join(path, name)) == .file {
                return .file(System.join(path, name))
            }
            for name in indexes where System.kind(of: System.join(path, name)) == .file {
                return .index(System.join(path, name))
            }
            let others = try System.list(path).filter { $0.hasSuffix(".safetensors") }
            if others.count == 1 { return .file(System.join(path, others[0])) }
            if others.count > 1 {
                throw FileError(
                    path, "directory", found: "\(others.count) .safetensors files and no index",
                    wanted: "model.safetensors or model.safetensors.index.json",
                    fix: "Name one of the files, or fetch the index.")
            }
        default: break
        }
        throw FileError(path, "safetensors checkpoint", found: "none", wanted: "a .safetensors file or its directory")
    }

    /// Whether a file without the usual name has a header length that fits and a '{' after it.
    private static func startsLikeHeader(_ path: String) -> Bool {
        guard let file = try? MappedFile(path), file.bytes.count > 8 else { return false }
        let length = UInt64(littleEndian: file.bytes.loadUnaligned(as: UInt64.self))
        return length >= 2 && length <= UInt64(file.bytes.count - 8) && file.bytes[8] == UInt8(ascii: "{")
    }
}
