import JSON
public import PluginAPI

/// One tensor of a checkpoint. Shapes are outermost first, in elements.
public struct TensorEntry: Sendable, Equatable {
    public var name: String
    /// "f32", "bf16", "q4_0" …
    public var layout: String
    public var shape: [Int]
    /// Index into the checkpoint's files.
    public var file: Int
    /// Bytes from the file's start.
    public var offset: UInt64
    /// Bytes.
    public var size: UInt64
    /// Not 0: rows are stored in the interleaved rope order over this many heads, and the host restores them.
    public var permutedHeads: Int
    /// Added to every element on reading.
    public var addend: Double

    public init(
        name: String, layout: String, shape: [Int], file: Int = 0, offset: UInt64 = 0, size: UInt64,
        permutedHeads: Int = 0, addend: Double = 0
    ) {
        self.name = name
        self.layout = layout
        self.shape = shape
        self.file = file
        self.offset = offset
        self.size = size
        self.permutedHeads = permutedHeads
        self.addend = addend
    }
}

/// Named tensors in files: headers only. Members may be called from any thread once open.
public protocol Checkpoint: AnyObject, Sendable {
    /// How well this plugin reads `path`, a file or a directory: 0 = not at all. Reads a few bytes at most.
    static func probe(_ path: String) -> Int
    /// Reads and checks every header.
    init(path: String) throws
    var tensors: [TensorEntry] { get }
    var files: [String] { get }
    /// {"metadata": {...}, "config": {...}?, "tokenizer": {...}?, "chat_template": text?, "linear_order": "out_in"?}
    func describe() throws -> JSON
    /// Starts writing; throws `PluginError(.unsupported, …)` where the format is read only.
    /// - Parameters:
    ///   - path: The destination; it appears when `finish` returns.
    ///   - options: {"max_shard_bytes", "metadata", "config", "tokenizer"}.
    ///   - tensors: Every tensor in the order in which `write` will get its bytes.
    static func create(path: String, options: JSON, tensors: [TensorEntry]) throws -> any CheckpointWriter
}

/// Writes beside the destination and renames at the end.
public protocol CheckpointWriter: AnyObject {
    /// The bytes of the next declared tensor.
    func write(_ data: UnsafeRawBufferPointer) throws
    /// Flushes and renames; the checkpoint is visible afterwards.
    func finish() throws
    /// Removes what was written; called when `finish` was not, or failed.
    func abandon()
}

private final class CheckpointContext {
    let type: any Checkpoint.Type
    init(_ type: any Checkpoint.Type) { self.type = type }
}

/// An open checkpoint with its texts in C form.
private final class CheckpointBox {
    let checkpoint: any Checkpoint
    let entries: [mt_tensor_entry]
    let paths: [mt_str]
    private let arena: UnsafeMutableRawPointer

    init(_ checkpoint: any Checkpoint) {
        self.checkpoint = checkpoint
        let tensors = checkpoint.tensors
        let files = checkpoint.files
        let texts = tensors.reduce(0) { $0 + $1.name.utf8.count + $1.layout.utf8.count }
        let dims = tensors.reduce(0) { $0 + $1.shape.count * 8 }
        let size = dims + texts + files.reduce(0) { $0 + $1.utf8.count } + 8
        let arena = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 8)
        self.arena = arena
        var dimension = 0
        var text = dims
        func store(_ string: String) -> mt_str {
            let start = text
            for byte in string.utf8 {
                arena.storeBytes(of: byte, toByteOffset: text, as: UInt8.self)
                text += 1
            }
            return mt_str(data: (arena + start).assumingMemoryBound(to: CChar.self), size: text - start)
        }
        entries = tensors.map { tensor in
            var entry = mt_tensor_entry()
            entry.struct_size = UInt32(MemoryLayout<mt_tensor_entry>.size)
            entry.rank = UInt32(tensor.shape.count)
            entry.name = store(tensor.name)
            entry.layout = store(tensor.layout)
            let shape = arena + dimension
            for size in tensor.shape {
                arena.storeBytes(of: Int64(size), toByteOffset: dimension, as: Int64.self)
                dimension += 8
            }
            entry.shape = UnsafePointer(shape.assumingMemoryBound(to: Int64.self))
            entry.file = UInt32(tensor.file)
            entry.permuted_heads = UInt32(tensor.permutedHeads)
            entry.offset = tensor.offset
            entry.size = tensor.size
            entry.addend = tensor.addend
            return entry
        }
        paths = files.map(store)
    }

    deinit { arena.deallocate() }

    static func from(_ handle: OpaquePointer?) throws -> CheckpointBox {
        try Handle.object(handle, as: CheckpointBox.self)
    }
}

private final class WriterBox {
    let writer: any CheckpointWriter
    var isFinished = false
    init(_ writer: any CheckpointWriter) { self.writer = writer }
}

extension TensorEntry {
    public init(_ entry: mt_tensor_entry) {
        self.init(
            name: entry.name.string, layout: entry.layout.string,
            shape: (0..<Int(entry.rank)).map { entry.shape.map { shape in { Int(shape[$0]) } }?($0) ?? 0 },
            file: Int(entry.file), offset: entry.offset, size: entry.size, permutedHeads: Int(entry.permuted_heads),
            addend: entry.addend)
    }
}

extension Components {
    /// Offers a checkpoint format under `id`.
    public func checkpoint(_ id: String, _ type: any Checkpoint.Type, summary: String, priority: Int = 0) {
        var table = mt_checkpoint_table()
        table.struct_size = UInt32(MemoryLayout<mt_checkpoint_table>.size)
        table.probe = { context, path in
            Int32((try? Handle.context(context, as: CheckpointContext.self))?.type.probe(path.string) ?? 0)
        }
        table.open = { context, path, out, error in
            guarded(error) {
                let type = try Handle.context(context, as: CheckpointContext.self).type
                out?.pointee = Handle.make(CheckpointBox(try type.init(path: path.string)))
            }
        }
        table.close = { _, handle in Handle.release(handle, as: CheckpointBox.self) }
        table.tensor_count = { _, handle in (try? CheckpointBox.from(handle))?.entries.count ?? 0 }
        table.tensor = { _, handle, index, out, error in
            guarded(error) {
                let box = try CheckpointBox.from(handle)
                guard box.entries.indices.contains(index), let out else {
                    throw PluginError(.invalid, "the checkpoint has \(box.entries.count) tensors, asked for \(index)")
                }
                try writeSized(box.entries[index], to: out, size: out.pointee.struct_size, \.struct_size)
            }
        }
        table.file_count = { _, handle in (try? CheckpointBox.from(handle))?.paths.count ?? 0 }
        table.file = { _, handle, index in
            guard let box = try? CheckpointBox.from(handle), box.paths.indices.contains(index) else { return mt_str() }
            return box.paths[index]
        }
        table.describe = { _, handle, out, error in
            guarded(error) {
                let bytes = try CheckpointBox.from(handle).checkpoint.describe().utf8()
                try bytes.withUnsafeBytes { try out.put($0) }
            }
        }
        table.create = { context, path, options, tensors, count, out, error in
            guarded(error) {
                let type = try Handle.context(context, as: CheckpointContext.self).type
                let list = UnsafeBufferPointer(start: tensors, count: tensors == nil ? 0 : count).map(TensorEntry.init)
                let options = try JSON(parsing: options.size == 0 ? "{}" : options.string)
                let writer = try type.create(path: path.string, options: options, tensors: list)
                out?.pointee = Handle.make(WriterBox(writer))
            }
        }
        table.write = { _, handle, data, error in
            guarded(error) {
                try Handle.object(handle, as: WriterBox.self).writer.write(
                    UnsafeRawBufferPointer(start: data.data, count: data.size))
            }
        }
        table.finish = { _, handle, error in
            guarded(error) {
                let box = try Handle.object(handle, as: WriterBox.self)
                try box.writer.finish()
                box.isFinished = true
            }
        }
        table.abandon = { _, handle in
            if let box = try? Handle.object(handle, as: WriterBox.self), !box.isFinished { box.writer.abandon() }
            Handle.release(handle, as: WriterBox.self)
        }
        add(
            kind: MT_KIND_CHECKPOINT, id: id, summary: summary, priority: priority, table: table,
            context: CheckpointContext(type))
    }
}
