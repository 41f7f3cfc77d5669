import CheckpointSupport
import Files
import Glibc
import JSON
import PluginKit

/// Writes tensors in their given order as one safetensors file, or as shards and their index.
///
/// Everything is written beside its final name, flushed and renamed by `finish`, the index last; without it nothing is
/// left.
package final class SafetensorsWriter: CheckpointWriter {
    /// What one file holds.
    private struct Shard {
        let file: ReplacementFile
        let tensors: Range<Int>
        /// Where its data begins.
        let dataStart: Int
    }

    private let directory: String
    private let madeDirectory: Bool
    private let isSingle: Bool
    private let indexName: String
    private let tensors: [TensorEntry]
    private let totalSize: Int
    /// Offset of each tensor in its shard's data.
    private let offsets: [Int]
    private var shards: [Shard]
    private var next = 0
    private var shard = 0

    /// - Parameters:
    ///   - path: A directory, made if it is missing, or a ".safetensors" file, which is never split.
    ///   - tensors: Every tensor, in the order in which `write` will get them; file and offset are not used.
    ///   - maximumShardBytes: Largest data of one file; a larger tensor gets a file of its own.
    ///   - metadata: Texts for "__metadata__".
    package init(
        _ path: String, tensors: [TensorEntry], maximumShardBytes: Int = .max, metadata: JSONObject = JSONObject()
    ) throws(FileError) {
        let single = path.hasSuffix(".safetensors")
        directory = single ? System.parent(of: path) ?? "" : path
        self.tensors = tensors
        try Self.check(tensors, path)
        madeDirectory = System.kind(of: directory) == nil
        try System.makeDirectories(directory)
        let groups = Self.groups(tensors, limit: single ? .max : max(1, maximumShardBytes))
        var names = Self.shardNames(groups.count)
        if single { names = [System.lastComponent(of: path)] }
        isSingle = groups.count == 1
        indexName = "model.safetensors.index.json"
        var offsets = [Int](repeating: 0, count: tensors.count)
        var shards: [Shard] = []
        var total = 0
        for (group, name) in zip(groups, names) {
            let size = Self.lay(tensors, group, into: &offsets)
            let header = Self.header(tensors, group, offsets, metadata)
            let file = try ReplacementFile(System.join(directory, name))
            try file.reserve(header.count + size)
            try file.write(header, at: 0)
            shards.append(Shard(file: file, tensors: group, dataStart: header.count))
            total += size
        }
        self.offsets = offsets
        self.shards = shards
        totalSize = total
    }

    package func write(_ data: UnsafeRawBufferPointer) throws {
        try reporting { () throws(FileError) in try append(data) }
    }

    package func finish() throws {
        try reporting { () throws(FileError) in try place() }
    }

    package func abandon() {
        shards.removeAll()
        if madeDirectory { rmdir(directory) }
    }

    private func append(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
        guard next < tensors.count else {
            throw FileError(directory, "writing", found: "more tensors than declared", wanted: "\(tensors.count)")
        }
        guard UInt64(bytes.count) == tensors[next].size else {
            throw FileError(
                directory, "tensor \(FileError.quote(tensors[next].name))", found: "\(bytes.count) bytes",
                wanted: "\(tensors[next].size)")
        }
        while !shards[shard].tensors.contains(next) { shard += 1 }
        try shards[shard].file.write(bytes, at: shards[shard].dataStart + offsets[next])
        next += 1
    }

    /// Flushes all files and gives them their names, the index last.
    private func place() throws(FileError) {
        guard next == tensors.count else {
            throw FileError(directory, "finishing", found: "\(next) tensors written", wanted: "\(tensors.count)")
        }
        for shard in shards { try shard.file.flush() }
        for shard in shards { try shard.file.place() }
        try System.flush(directory: directory)
        if !isSingle {
            try ReplacementFile.write(Array(index().utf8), to: System.join(directory, indexName))
        }
        // What a reader would take instead of the new files: a single file before an index.
        let stale = isSingle ? indexName : "model.safetensors"
        if isSingle, System.lastComponent(of: shards[0].file.path) != "model.safetensors" { return }
        if System.remove(System.join(directory, stale)) { try System.flush(directory: directory) }
    }

    private func index() -> String {
        var map = JSONObject()
        for shard in shards {
            for i in shard.tensors { map[tensors[i].name] = .string(System.lastComponent(of: shard.file.path)) }
        }
        let document: JSON = ["metadata": ["total_size": .int(Int64(totalSize))], "weight_map": .object(map)]
        return document.text(.pretty) + "\n"
    }

    private static func check(_ tensors: [TensorEntry], _ path: String) throws(FileError) {
        var names: Set<String> = ["__metadata__"]
        var total = 0
        for tensor in tensors {
            let what = "tensor \(FileError.quote(tensor.name))"
            guard names.insert(tensor.name).inserted else {
                throw FileError(path, what, found: "the name twice", wanted: "each tensor once")
            }
            guard dtypes[tensor.layout] != nil else {
                throw FileError(
                    path, what, found: "the layout \(tensor.layout)", wanted: "one that safetensors has",
                    fix: "Convert the tensor, or write GGUF.")
            }
            guard let size = ElementLayout.named(tensor.layout)?.byteCount(shape: tensor.shape),
                UInt64(size) == tensor.size, let sum = checkedSum(total, size)
            else {
                throw FileError(
                    path, what, found: "\(tensor.size) bytes",
                    wanted: "the size of \(tensor.layout) \(tensor.shape)")
            }
            total = sum
        }
    }

    /// Runs of tensors whose bytes together stay within `limit`.
    private static func groups(_ tensors: [TensorEntry], limit: Int) -> [Range<Int>] {
        var groups: [Range<Int>] = []
        var start = 0
        var size = 0
        for (i, tensor) in tensors.enumerated() {
            if i > start, Int(tensor.size) > limit - min(size, limit) {
                groups.append(start..<i)
                start = i
                size = 0
            }
            size += Int(tensor.size)
        }
        groups.append(start..<tensors.count)
        return groups
    }

    private static func shardNames(_ count: Int) -> [String] {
        if count == 1 { return ["model.safetensors"] }
        func padded(_ number: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
        }
        return (1...count).map { "model-\(padded($0))-of-\(padded(count)).safetensors" }
    }

    /// Offsets of a group's tensors, widest elements first so that each starts at a multiple of its element size;
    /// gives the size of the data.
    private static func lay(_ tensors: [TensorEntry], _ group: Range<Int>, into offsets: inout [Int]) -> Int {
        func width(_ tensor: TensorEntry) -> Int {
            ElementLayout.named(tensor.layout).map { $0.elements == 1 ? $0.bytes : 1 } ?? 1
        }
        var end = 0
        for i in group.sorted(by: { (-width(tensors[$0]), $0) < (-width(tensors[$1]), $1) }) {
            offsets[i] = end
            end += Int(tensors[i].size)
        }
        return end
    }

    /// Length and text, padded with spaces so that the data begins at a multiple of 64 bytes.
    private static func header(
        _ tensors: [TensorEntry], _ group: Range<Int>, _ offsets: [Int], _ metadata: JSONObject
    ) -> [UInt8] {
        var members = JSONObject()
        if !metadata.isEmpty { members["__metadata__"] = .object(metadata) }
        for i in group.sorted(by: { (offsets[$0], $0) < (offsets[$1], $1) }) {
            members[tensors[i].name] = [
                "dtype": .string(dtypes[tensors[i].layout] ?? ""),
                "shape": .array(tensors[i].shape.map { .int(Int64($0)) }),
                "data_offsets": [.int(Int64(offsets[i])), .int(Int64(offsets[i] + Int(tensors[i].size)))],
            ]
        }
        var text = Array(JSON.object(members).text().utf8)
        while (text.count + 8) % 64 != 0 { text.append(UInt8(ascii: " ")) }
        return withUnsafeBytes(of: UInt64(text.count).littleEndian, Array.init) + text
    }

    private static let dtypes = Dictionary(uniqueKeysWithValues: SafetensorsFile.layouts.map { ($1, $0) })
}
