import CheckpointSupport
import Files
import JSON
import PluginKit

/// A checkpoint of `torch.save`: one file, or a directory with "pytorch_model.bin" or its index of shards. Read only.
package final class PyTorch: Checkpoint {
    package let files: [String]
    package let tensors: [TensorEntry]

    static let advice =
        "Files of PyTorch can hold programs; only tensors are read. Convert it to safetensors where it was made."

    package convenience init(path: String) throws {
        let contents = try reporting { () throws(FileError) in try Self.read(path) }
        self.init(contents.files, contents.tensors)
    }

    private init(_ files: [String], _ tensors: [TensorEntry]) {
        self.files = files
        self.tensors = tensors
    }

    package func describe() -> JSON { ["metadata": [:]] }

    package static func create(path: String, options: JSON, tensors: [TensorEntry]) throws -> any CheckpointWriter {
        throw PluginError(.unsupported, "PyTorch files are read only; write safetensors", at: path)
    }

    /// How well `path` can be read. Below safetensors in a directory that has both; old files score too, so that
    /// their refusal says what to do.
    package static func probe(_ path: String) -> Int {
        guard let file = try? location(path) else { return 0 }
        if file.hasSuffix(".index.json") { return 80 }
        guard let map = try? MappedFile(file) else { return 0 }
        if map.bytes.starts(with: [0x50, 0x4B, 3, 4]) { return isNamed(file) ? 80 : 20 }
        return map.bytes.first == 0x80 && isNamed(file) ? 10 : 0
    }

    private static func isNamed(_ path: String) -> Bool {
        [".bin", ".pt", ".pth", ".ckpt"].contains { path.hasSuffix($0) }
    }

    private static let names = [
        "pytorch_model.bin", "pytorch_model.bin.index.json", "adapter_model.bin", "model.pt", "model.pth",
        "consolidated.00.pth",
    ]

    private static func location(_ path: String) throws(FileError) -> String {
        switch System.kind(of: path) {
        case .file: return path
        case .directory:
            for name in names where System.kind(of: System.join(path, name)) == .file { return System.join(path, name) }
        default: break
        }
        throw FileError(
            path, "PyTorch checkpoint", found: "none", wanted: "a file, or \(names.joined(separator: ", ")) in it")
    }

    private static func read(_ path: String) throws(FileError) -> (files: [String], tensors: [TensorEntry]) {
        let file = try location(path)
        guard file.hasSuffix(".index.json") else { return ([file], try tensors(file)) }
        let index = try ShardIndex(file)
        var shards: [[TensorEntry]] = []
        for shard in index.files { shards.append(try tensors(shard)) }
        return (index.files, try index.joined(shards))
    }

    private static func tensors(_ path: String) throws(FileError) -> [TensorEntry] {
        let map = try MappedFile(path)
        return try PyTorchFile(map.bytes, path: path).tensors
    }
}
