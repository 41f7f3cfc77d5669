package import JSON
internal import PluginAPI
package import PluginKit

/// Writes a checkpoint through its plugin: beside the destination, flushed, renamed by `finish`.
package final class CheckpointWriterHandle {
    private let table: UnsafePointer<mt_checkpoint_table>
    private let context: UnsafeMutableRawPointer?
    private let handle: OpaquePointer

    /// - Parameters:
    ///   - format: The checkpoint component, such as "safetensors".
    ///   - tensors: All tensors, in the order in which `write` will get their bytes.
    package init(
        format: String, path: String, options: JSON = [:], tensors: [TensorEntry], components: any ComponentSource
    ) throws {
        let component = try components.component(kind: MT_KIND_CHECKPOINT, id: format)
        guard let table = component.table?.assumingMemoryBound(to: mt_checkpoint_table.self),
            let create = table.pointee.create
        else { throw ModelError(.unsupported, "the format \(format) cannot be written", at: path) }
        var shapes: [UnsafeMutablePointer<Int64>] = []
        defer { for shape in shapes { shape.deallocate() } }
        let entries = tensors.map { tensor in
            let shape = UnsafeMutablePointer<Int64>.allocate(capacity: max(1, tensor.shape.count))
            for (i, size) in tensor.shape.enumerated() { (shape + i).initialize(to: Int64(size)) }
            shapes.append(shape)
            var entry = mt_tensor_entry()
            entry.struct_size = UInt32(MemoryLayout<mt_tensor_entry>.size)
            entry.rank = UInt32(tensor.shape.count)
            entry.name = Text.forever(tensor.name)
            entry.layout = Text.forever(tensor.layout)
            entry.shape = UnsafePointer(shape)
            entry.size = tensor.size
            return entry
        }
        var opened: OpaquePointer?
        try path.lent { path in
            try options.text().lent { options in
                try checked { create(component.ctx, path, options, entries, entries.count, &opened, $0) }
            }
        }
        guard let opened else { throw ModelError(.invalid, "the format \(format) opened nothing", at: path) }
        self.table = table
        context = component.ctx
        handle = opened
    }

    package func write<Element: BitwiseCopyable>(_ elements: [Element]) throws {
        try elements.withUnsafeBytes { try write($0) }
    }

    /// The bytes of the next declared tensor.
    package func write(_ bytes: UnsafeRawBufferPointer) throws {
        try checked {
            table.pointee.write(context, handle, mt_bytes(data: bytes.baseAddress, size: bytes.count), $0)
        }
    }

    package func finish() throws { try checked { table.pointee.finish(context, handle, $0) } }

    deinit { table.pointee.abandon(context, handle) }
}
