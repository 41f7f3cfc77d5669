import Files
package import JSON
internal import PluginAPI
package import PluginKit

/// An open checkpoint of a checkpoint plugin.
package final class CheckpointHandle: @unchecked Sendable {
    private let table: UnsafePointer<mt_checkpoint_table>
    private let context: UnsafeMutableRawPointer?
    private let handle: OpaquePointer
    /// Which plugin reads it.
    package let format: String
    package let path: String
    /// By name.
    package let tensors: [String: TensorEntry]
    package let files: [String]
    /// {"metadata", "config"?, "chat_template"?, "linear_order"?}
    package let summary: JSON
    /// Whether every linear weight is [out, in], also where the published checkpoint has [in, out].
    var holdsOutputsFirst: Bool { summary["linear_order"]?.string == "out_in" }
    /// The text of the description's "tokenizer": megabytes that only a tokenizer plugin reads; empty when there is none.
    package let tokenizerDocument: [UInt8]
    /// The summary with "tokenizer" where there is one, read anew at each call.
    package var description: JSON {
        guard var members = summary.object, let tokenizer = try? JSON(parsing: tokenizerDocument) else {
            return summary
        }
        members["tokenizer"] = tokenizer
        return .object(members)
    }
    private var mapped: [Int: MappedFile] = [:]

    /// Opens `path` with the plugin that knows it best.
    package init(path: String, components: any ComponentSource) throws {
        let best = try components.best(kind: MT_KIND_CHECKPOINT) { component in
            guard let table = component.table?.assumingMemoryBound(to: mt_checkpoint_table.self) else { return 0 }
            return path.lent { Int(table.pointee.probe(component.ctx, $0)) }
        }
        guard let component = best?.component,
            let table = component.table?.assumingMemoryBound(to: mt_checkpoint_table.self)
        else {
            let known = components.componentIDs(kind: MT_KIND_CHECKPOINT).joined(separator: ", ")
            throw ModelError(
                .notFound, "no weights of a known format (\(known)) are here; give a model directory or a weight file",
                at: path)
        }
        self.table = table
        context = component.ctx
        format = component.id.string
        self.path = path
        var opened: OpaquePointer?
        try path.lent { text in try checked { table.pointee.open(component.ctx, text, &opened, $0) } }
        guard let opened else { throw ModelError(.invalid, "the plugin \(format) opened nothing", at: path) }
        handle = opened
        var tensors: [String: TensorEntry] = [:]
        for i in 0..<table.pointee.tensor_count(component.ctx, opened) {
            var entry = mt_tensor_entry()
            entry.struct_size = UInt32(MemoryLayout<mt_tensor_entry>.size)
            try checked { table.pointee.tensor(component.ctx, opened, i, &entry, $0) }
            tensors[entry.name.string] = TensorEntry(entry)
        }
        self.tensors = tensors
        files = (0..<table.pointee.file_count(component.ctx, opened)).map {
            table.pointee.file(component.ctx, opened, $0).string
        }
        let text = try collected { sink in try checked { table.pointee.describe(component.ctx, opened, sink, $0) } }
        var members = JSONObject()
        var tokenizer: Range<Int> = 0..<0
        try text.withUnsafeBufferPointer { bytes in
            var parser = JSONParser(bytes)
            try parser.walkObject { parser, key throws(JSONError) in
                if key == "tokenizer" { tokenizer = try parser.skipValue() } else { members[key] = try parser.value() }
            }
        }
        summary = .object(members)
        tokenizerDocument = text[tokenizer].first == UInt8(ascii: "{") ? Array(text[tokenizer]) : []
    }

    deinit { table.pointee.close(context, handle) }

    /// The stored bytes of a tensor, mapped; valid until `unmap`.
    package func bytes(of entry: TensorEntry) throws -> UnsafeRawBufferPointer {
        guard files.indices.contains(entry.file) else {
            throw ModelError(.invalid, "tensor \(entry.name) lies in file \(entry.file) of \(files.count)", at: path)
        }
        let file = try mapped[entry.file] ?? MappedFile(files[entry.file])
        mapped[entry.file] = file
        guard let start = Int(exactly: entry.offset), let size = Int(exactly: entry.size),
            start <= file.bytes.count, size <= file.bytes.count - start
        else {
            throw ModelError(
                .invalid,
                "tensor \(entry.name) ends at byte \(entry.offset &+ entry.size), the file has \(file.bytes.count)",
                at: files[entry.file])
        }
        return UnsafeRawBufferPointer(rebasing: file.bytes[start..<start + size])
    }

    /// A dense tensor's values in f32.
    package func floats(_ entry: TensorEntry) throws -> [Float] {
        let staged = try StagedTensor(entry, bytes: bytes(of: entry), to: "f32", transposes: false, at: path)
        defer { staged.letGo() }
        return (0..<staged.bytes.count / 4).map { staged.bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    }

    /// Lets go of the mapped files.
    func unmap() { mapped = [:] }
}
