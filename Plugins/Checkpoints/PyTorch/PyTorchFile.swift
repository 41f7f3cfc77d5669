import CheckpointSupport
import Files
import PluginKit

/// The tensors of one file written by `torch.save`: a zip archive with "data.pkl" and a file for each storage.
package struct PyTorchFile {
    package private(set) var tensors: [TensorEntry] = []

    static let maximumTensors = 1 << 20

    package init(_ bytes: UnsafeRawBufferPointer, path: String) throws(FileError) {
        let zip = try Self.archive(bytes, path)
        let pickles = zip.entries.filter { $0.name.hasSuffix("/data.pkl") && $0.name.split(separator: "/").count == 2 }
        guard pickles.count == 1, let pickle = pickles.first else {
            throw FileError(
                path, "archive", found: "\(pickles.count) entries data.pkl", wanted: "one, as torch.save writes it")
        }
        guard pickle.method == 0, pickle.size <= PickleReader.maximumBytes else {
            throw FileError(
                path, at: pickle.range.lowerBound, "entry data.pkl",
                found: "\(pickle.size) bytes, method \(pickle.method)",
                wanted: "at most \(PickleReader.maximumBytes) bytes, stored")
        }
        let prefix = String(pickle.name.dropLast("data.pkl".count))
        if let order = zip[prefix + "byteorder"], !bytes[order.range].elementsEqual("little".utf8) {
            throw FileError(path, at: order.range.lowerBound, "byteorder", found: "another one", wanted: "little")
        }
        var reader = PickleReader(
            UnsafeRawBufferPointer(rebasing: bytes[pickle.range]), path: path, base: pickle.range.lowerBound)
        let root = try reader.value()
        let items = try Self.stateDictionary(reader, root, path)
        for (name, tensor) in items { tensors.append(try Self.entry(name, tensor, zip, prefix, path)) }
    }

    private static func archive(_ bytes: UnsafeRawBufferPointer, _ path: String) throws(FileError) -> ZipDirectory {
        guard bytes.starts(with: [0x50, 0x4B]) else {
            let isPickle = bytes.first == 0x80
            throw FileError(
                path, at: 0, "file", found: isPickle ? "a pickle of PyTorch before 1.6" : "no zip archive",
                wanted: "a zip archive as torch.save writes it",
                fix: isPickle
                    ? "Save it again: torch.save(torch.load(file, weights_only=True), file), or convert it to safetensors."
                    : nil)
        }
        return try ZipDirectory(bytes, path: path)
    }

    /// The names under which trainers keep the weights inside a larger dictionary.
    private static let wrappers = ["state_dict", "model_state_dict", "model", "module"]

    /// Tensors by name: those of the top dictionary, or of the one that it keeps under a usual name.
    private static func stateDictionary(
        _ reader: PickleReader, _ root: PickleValue, _ path: String
    ) throws(FileError) -> [(name: String, tensor: PickleTensor)] {
        guard let top = reader.dictionary(root) else {
            throw FileError(path, "pickle", found: root.typeName, wanted: "a dictionary of tensors by name")
        }
        let direct = tensors(top)
        if !direct.isEmpty || top.isEmpty { return try unique(direct, path) }
        for wrapper in wrappers {
            for (key, value) in top {
                guard case .text(wrapper) = key, let inner = reader.dictionary(value) else { continue }
                let found = tensors(inner)
                if !found.isEmpty { return try unique(found, path) }
            }
        }
        throw FileError(
            path, "pickle", found: "a dictionary of \(top.count) other things",
            wanted: "tensors by name, or \(wrappers.joined(separator: ", ")) with them")
    }

    private static func tensors(
        _ items: [(key: PickleValue, value: PickleValue)]
    ) -> [(name: String, tensor: PickleTensor)] {
        items.compactMap {
            if case .text(let name) = $0.key, case .tensor(let tensor) = $0.value { return (name, tensor) }
            return nil
        }
    }

    private static func unique(
        _ items: [(name: String, tensor: PickleTensor)], _ path: String
    ) throws(FileError) -> [(name: String, tensor: PickleTensor)] {
        var names: Set<String> = []
        for (name, _) in items where !names.insert(name).inserted {
            throw FileError(path, "tensor \(FileError.quote(name))", found: "the name twice", wanted: "each once")
        }
        return items
    }

    private static func entry(
        _ name: String, _ tensor: PickleTensor, _ zip: ZipDirectory, _ prefix: String, _ path: String
    ) throws(FileError) -> TensorEntry {
        let what = "tensor \(FileError.quote(name))"
        guard let layout = ElementLayout.named(tensor.storage.layout),
            let file = zip["\(prefix)data/\(tensor.storage.key)"], file.method == 0
        else {
            throw FileError(
                path, what, found: "no stored entry data/\(FileError.quote(tensor.storage.key))", wanted: "its storage")
        }
        guard let size = layout.byteCount(shape: tensor.shape),
            let skip = checkedProduct([tensor.offset, layout.bytes]),
            let end = checkedSum(skip, size), end <= file.range.count
        else {
            throw FileError(
                path, at: file.range.lowerBound, what, found: "a storage of \(file.range.count) bytes",
                wanted: "\(layout.id) \(tensor.shape) from element \(tensor.offset) in it")
        }
        return TensorEntry(
            name: name, layout: layout.id, shape: tensor.shape, offset: UInt64(file.range.lowerBound + skip),
            size: UInt64(size))
    }
}
