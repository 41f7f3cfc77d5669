import Data
import Files
import Glibc
package import Host
import JSON
import Model
import PluginAPI
import PluginKit

/// Where inputs stand that are read from files, and the plugins that read them.
package final class FuzzPlace {
    package let registry: Registry
    private let directory: String
    private let formats: RowFormats

    /// - Parameter directory: Made here, and left.
    package init(_ registry: Registry, directory: String) throws {
        self.registry = registry
        self.directory = directory
        try System.makeDirectories(directory)
        formats = RowFormats(
            try registry.componentIDs(kind: MT_KIND_DATASET).compactMap {
                RowFormat(try registry.component(kind: MT_KIND_DATASET, id: $0))
            })
    }

    /// Takes the directory away, with what was written there.
    package func remove() {
        for name in (try? System.list(directory)) ?? [] { System.remove(System.join(directory, name)) }
        rmdir(directory)
    }

    private func write(_ bytes: [UInt8], _ name: String) throws -> String {
        let path = System.join(directory, name)
        // Written over where it stands: a million small files are made here.
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw FileError(path, "creating", found: "errno \(errno)", wanted: "a file") }
        defer { close(descriptor) }
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw FileError(path, "writing", found: "errno \(errno)", wanted: "\(bytes.count) bytes written")
        }
        return path
    }

    /// Opens bytes as a checkpoint of one file, reads all that it has, and takes it at its word where it describes itself.
    func checkpoint(_ bytes: [UInt8], _ name: String) throws {
        let path = try write(bytes, name)
        let handle = try CheckpointHandle(path: path, components: registry)
        for entry in handle.tensors.values { _ = try handle.bytes(of: entry).reduce(UInt8(0), ^) }
        let document = handle.tokenizerDocument
        if !document.isEmpty { try tokenizer([("gguf.json", document)]) }
        if let config = handle.summary["config"] {
            _ = try FamilyHandle(config: config, components: registry, at: "fuzz")
        }
    }

    /// An index whose shards are one tensor each.
    func index(_ bytes: [UInt8]) throws {
        for name in ["a", "b"] {
            let header = #"{"\#(name)":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#
            let length = (0..<8).map { UInt8(header.utf8.count >> (8 * $0) & 255) }
            _ = try write(length + Array(header.utf8) + [1, 2], "\(name).safetensors")
        }
        let handle = try CheckpointHandle(path: write(bytes, "model.safetensors.index.json"), components: registry)
        for entry in handle.tensors.values { _ = try handle.bytes(of: entry).reduce(UInt8(0), ^) }
    }

    /// Texts that meet most of what a tokenizer does.
    private static let texts = [
        "", "Hello, wörld 你好 12345 \u{301}\u{0}  end", "<s> [CLS] the bird's wings\n\n é🦙\u{FFFD} AbC",
        "aaaaaaaaaaaaaaaaaaaaaaaaa",
    ]

    func tokenizer(_ files: [(name: String, bytes: [UInt8])]) throws {
        let copies = files.map { file in
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: file.bytes.count, alignment: 1)
            copy.copyBytes(from: file.bytes)
            return (name: file.name, bytes: UnsafeRawBufferPointer(copy))
        }
        defer { for copy in copies { copy.bytes.deallocate() } }
        let tokenizer = try TokenizerHandle(files: copies, components: registry, at: "fuzz")
        for text in Self.texts {
            let ids = try tokenizer.encode(text, options: [.addSpecial, .parseSpecial])
            _ = try tokenizer.decode(ids, skipSpecial: true)
        }
        let decoder = try tokenizer.makeDecoder(skipSpecial: false)
        for id: Int32 in [0, 1, 2, 3, 255, 256, 1000] { _ = try decoder.push(id) }
        _ = try decoder.finish()
        _ = try? tokenizer.decode([-1, 0, 1 << 30, .max, .min], skipSpecial: false)
    }

    /// The family that a configuration asks for, and its whole graph's parameters.
    func family(_ config: JSON) throws {
        let family = try FamilyHandle(config: config, components: registry, at: "fuzz")
        _ = try family.rename("model.layers.0.self_attn.q_proj.weight")
        _ = try family.outline()
    }

    /// Rows of a file in a data set's format, brought to the trainer's form.
    func rows(_ bytes: [UInt8], _ name: String) throws {
        let feed = FileFeed([try write(bytes, name)], formats: formats)
        let schema = RowSchema()
        var refusal: Reject?
        while let item = try feed.next() {
            switch item {
            case .row(let row): _ = try? schema.convert(row)
            case .reject(let reject): refusal = refusal ?? reject
            }
        }
        if let refusal { throw refusal }
    }
}
