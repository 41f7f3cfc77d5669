import CheckpointSupport
import Files
import JSON
import PluginKit

/// A checkpoint in GGUF: one file, the parts of a split one, or a directory that holds nothing else of its kind.
package final class GGUF: Checkpoint {
    package let files: [String]
    package let tensors: [TensorEntry]
    private let parts: [(map: MappedFile, header: GGUFFile)]
    /// "general.architecture", and what is known of it.
    private let architectureID: String
    private let architecture: GGUFArchitecture?

    package required init(path: String) throws {
        let opened = try reporting { () throws(FileError) in try Self.open(path) }
        parts = opened
        files = opened.map(\.map.path)
        let header = opened[0].header
        let id = header.value("general.architecture")?.string ?? ""
        let hasExperts = (header.value("\(id).expert_count")?.int ?? 0) > 0
        let architecture = GGUFArchitecture.named(id, hasExperts: hasExperts)
        architectureID = id
        self.architecture = architecture
        tensors = try reporting { () throws(FileError) in try Self.entries(opened.map(\.header), id, architecture) }
    }

    /// {"metadata", "config" for a known architecture, "tokenizer" with the tokenizer.* entries, "chat_template"}
    package func describe() -> JSON {
        let header = parts[0].header
        var metadata = JSONObject()
        var tokenizer = JSONObject()
        for key in header.keys {
            if key.hasPrefix("tokenizer.") {
                tokenizer[key] = header.value(key)
            } else {
                metadata[key] = header.value(key)
            }
        }
        var document = JSONObject([("metadata", .object(metadata))])
        if let architecture {
            var config = GGUFConfig(
                header, architecture, prefix: architectureID, tensors: parts.flatMap(\.header.tensors))
            document["config"] = config.document()
            if architecture.isTransposed { document["linear_order"] = "out_in" }
        }
        if !tokenizer.isEmpty { document["tokenizer"] = .object(tokenizer) }
        document["chat_template"] = header.value("tokenizer.chat_template") ?? .null
        return .object(document)
    }

    package static func create(path: String, options: JSON, tensors: [TensorEntry]) throws -> any CheckpointWriter {
        try reporting { () throws(FileError) in try GGUFWriter(path, options: options, tensors: tensors) }
    }

    /// How well `path` can be read: by its first bytes, 0 not at all.
    package static func probe(_ path: String) -> Int {
        guard let file = try? location(path), let map = try? MappedFile(file), map.bytes.count >= 4,
            map.bytes[..<4].elementsEqual("GGUF".utf8)
        else { return 0 }
        // In a directory a checkpoint made for it goes before a file that happens to lie there.
        return System.kind(of: path) == .directory ? 50 : 100
    }

    private static func location(_ path: String) throws(FileError) -> String {
        guard System.kind(of: path) == .directory else { return path }
        let names = try System.list(path).filter { $0.hasSuffix(".gguf") && !$0.hasPrefix("mmproj") }
        let whole = names.filter { GGUFSplit($0).map { $0.number == 1 } ?? true }
        guard whole.count == 1 else {
            throw FileError(
                path, "directory", found: "\(whole.count) .gguf models", wanted: "one",
                fix: whole.isEmpty ? nil : "Name the file itself: \(whole.prefix(5).joined(separator: ", ")).")
        }
        return System.join(path, whole[0])
    }

    private static func open(_ path: String) throws(FileError) -> [(map: MappedFile, header: GGUFFile)] {
        let path = try location(path)
        let first = try read(path)
        let count = first.header.value("split.count")?.int ?? 1
        guard count > 1 else { return [first] }
        guard count <= 10_000, let split = GGUFSplit(System.lastComponent(of: path)), split.count == count else {
            throw FileError(
                path, "metadata \"split.count\"", found: "\(count) and this file name",
                wanted: "a name that ends in -00001-of-\(GGUFSplit.padded(count)).gguf")
        }
        var parts: [(map: MappedFile, header: GGUFFile)] = []
        let directory = System.parent(of: path) ?? ""
        for number in 1...count { parts.append(try read(System.join(directory, split.name(number)))) }
        return parts
    }

    private static func read(_ path: String) throws(FileError) -> (map: MappedFile, header: GGUFFile) {
        let map = try MappedFile(path)
        return (map, try GGUFFile(map.bytes, path: path))
    }

    private static func entries(
        _ headers: [GGUFFile], _ id: String, _ architecture: GGUFArchitecture?
    ) throws(FileError) -> [TensorEntry] {
        let query = headers[0].value("\(id).attention.head_count")
        let key = headers[0].value("\(id).attention.head_count_kv") ?? query
        func heads(_ value: JSON?, _ layer: Int) -> Int { value?.int ?? value?[layer]?.int ?? 0 }
        var all: [TensorEntry] = []
        var names: Set<String> = []
        for (i, header) in headers.enumerated() {
            let entries = try GGUFTensors(header, architecture).entries(file: i) {
                (query: heads(query, $0), key: heads(key, $0))
            }
            for entry in entries where !names.insert(entry.name).inserted {
                throw FileError(
                    header.path, "tensor \(FileError.quote(entry.name))", found: "the name twice",
                    wanted: "each tensor once")
            }
            all += entries
        }
        return all
    }
}

/// The name of one part of a split file: "model-00001-of-00003.gguf".
struct GGUFSplit {
    let stem: Substring
    let number: Int
    let count: Int

    init?(_ name: String) {
        guard name.hasSuffix(".gguf") else { return nil }
        let parts = name.dropLast(5).split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count >= 4, parts[parts.count - 2] == "of", let count = Int(parts[parts.count - 1]),
            let number = Int(parts[parts.count - 3]), parts[parts.count - 1].utf8.count == 5,
            parts[parts.count - 3].utf8.count == 5, number >= 1, number <= count
        else { return nil }
        stem = name.dropLast("-00001-of-00001.gguf".count)
        self.number = number
        self.count = count
    }

    func name(_ number: Int) -> String { "\(stem)-\(Self.padded(number))-of-\(Self.padded(count)).gguf" }

    static func padded(_ number: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }
}
