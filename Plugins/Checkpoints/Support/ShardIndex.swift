import Files
import JSON
import PluginKit

/// The "….index.json" beside a checkpoint in several files: which tensor stands in which file.
///
/// Format: https://huggingface.co/docs/transformers/big_models (`weight_map`).
package struct ShardIndex {
    /// Full paths, each once, in the order of their names.
    package let files: [String]
    /// Index into `files` by tensor name.
    package let fileOfTensor: [String: Int]
    package let metadata: JSON
    private let path: String

    package static let maximumBytes = 100_000_000

    package init(_ path: String) throws(FileError) {
        self.path = path
        let file = try MappedFile(path)
        guard file.bytes.count <= Self.maximumBytes else {
            throw FileError(path, "size", found: "\(file.bytes.count) bytes", wanted: "at most \(Self.maximumBytes)")
        }
        let document: JSON
        do {
            var options = JSON.ParseOptions()
            options.rejectsDuplicateKeys = true
            document = try withExtendedLifetime(file) { () throws(JSONError) in
                try JSON(parsing: file.bytes.bindMemory(to: UInt8.self), options: options)
            }
        } catch {
            throw FileError(path, "index", found: "no JSON (\(error))", wanted: "a JSON object with \"weight_map\"")
        }
        guard let map = document["weight_map"]?.object, !map.isEmpty else {
            throw FileError(
                path, "weight_map", found: document["weight_map"]?.typeName ?? "nothing",
                wanted: "an object of tensor names and file names")
        }
        var names: Set<String> = []
        for (tensor, name) in map {
            guard let name = name.string else {
                throw FileError(
                    path, "weight_map.\(FileError.quote(tensor))", found: name.typeName, wanted: "a file name")
            }
            if names.insert(name).inserted {
                try FileName.check(name, in: path, "weight_map.\(FileError.quote(tensor))")
            }
        }
        let sorted = names.sorted()
        let directory = System.parent(of: path) ?? ""
        files = sorted.map { System.join(directory, $0) }
        let positions = Dictionary(uniqueKeysWithValues: sorted.enumerated().map { ($1, $0) })
        fileOfTensor = Dictionary(
            uniqueKeysWithValues: map.map { ($0.key, positions[$0.value.string ?? ""] ?? 0) })
        metadata = document["metadata"] ?? .object(JSONObject())
        if let missing = files.first(where: { System.kind(of: $0) != .file }) {
            throw FileError(
                path, "weight_map", found: "no file \(missing)", wanted: "all \(files.count) files of the checkpoint",
                fix: "The download is not whole; run it again.")
        }
    }

    /// The tensors of all files, listed file by file, as one list in which each name stands once.
    ///
    /// A name in two files is taken from the one that the index says; a name of the index that its file lacks is
    /// an error.
    package func joined(_ shards: [[TensorEntry]]) throws(FileError) -> [TensorEntry] {
        var all: [TensorEntry] = []
        var found: Set<String> = []
        for (file, shard) in shards.enumerated() {
            for var tensor in shard {
                if let wanted = fileOfTensor[tensor.name], wanted != file { continue }
                guard found.insert(tensor.name).inserted else {
                    throw FileError(
                        files[file], "tensor \(FileError.quote(tensor.name))", found: "the name in an earlier file too",
                        wanted: "each tensor once, or an entry in \(System.lastComponent(of: path))")
                }
                tensor.file = file
                all.append(tensor)
            }
        }
        if let (name, file) = fileOfTensor.first(where: { !found.contains($0.key) }) {
            throw FileError(
                files[file], "tensor \(FileError.quote(name))", found: "nothing",
                wanted: "the tensor that \(System.lastComponent(of: path)) promises here",
                fix: "Index and files are of different versions; fetch both again.")
        }
        return all
    }
}
