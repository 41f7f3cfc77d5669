package import PluginAPI
import PluginKit

/// A device of a device plugin.
package final class Device: @unchecked Sendable {
    let table: UnsafePointer<mt_device_table>
    let context: UnsafeMutableRawPointer?
    package let index: Int32
    /// The component's id, for messages.
    package let name: String

    package init(component: mt_component, index: Int = 0) throws(GraphError) {
        guard let table = component.table else {
            throw GraphError(.device, "the component has no table", at: "device \(component.id.string)")
        }
        self.table = table.assumingMemoryBound(to: mt_device_table.self)
        context = component.ctx
        self.index = Int32(index)
        name = component.id.string
    }

    /// Runs a call of the device's and turns its failure into an error that names the device.
    func call(_ what: String, _ body: (UnsafeMutablePointer<mt_error>) -> mt_status) throws(GraphError) {
        do throws(PluginError) {
            try checked(body)
        } catch {
            let place = error.location.isEmpty ? what : "\(what): \(error.location)"
            throw GraphError(
                error.code == .outOfMemory ? .outOfMemory : error.code == .unsupported ? .unsupported : .device,
                error.message, at: "device \(name): \(place)")
        }
    }

    /// Zeroed memory.
    package func allocate(_ bytes: Int) throws(GraphError) -> DeviceBuffer {
        var handle: OpaquePointer?
        try call("allocate \(bytes) bytes") { table.pointee.allocate(context, index, UInt64(bytes), &handle, $0) }
        return try DeviceBuffer(handle, bytes: bytes, device: self)
    }

    /// Memory that holds `elements`.
    package func upload<Element: BitwiseCopyable>(_ elements: [Element]) throws(GraphError) -> DeviceBuffer {
        let buffer = try allocate(max(1, elements.count * MemoryLayout<Element>.stride))
        try buffer.write(elements)
        return buffer
    }

    /// Bytes that a weight takes here, or nil when its layout is unknown.
    package func weightSize(layout: String, shape: [Int]) -> Int? {
        let dims = shape.map(Int64.init)
        let size = layout.lent { table.pointee.weight_size(context, $0, dims, UInt32(dims.count)) }
        return size == 0 && shape.reduce(1, *) > 0 ? nil : Int(size)
    }

    /// Takes a weight over from the bytes of a checkpoint.
    /// - Parameter parts: The bytes in order; several when experts stand in tensors of their own.
    package func importWeight(
        name: String, layout: String, shape: [Int], parts: [UnsafeRawBufferPointer]
    ) throws(GraphError) -> DeviceBuffer {
        var weight = mt_weight()
        weight.struct_size = UInt32(MemoryLayout<mt_weight>.size)
        weight.rank = UInt32(shape.count)
        withUnsafeMutableBytes(of: &weight.dims) { dims in
            for (i, size) in shape.enumerated() { dims.storeBytes(of: Int64(size), toByteOffset: i * 8, as: Int64.self) }
        }
        let views = parts.map { mt_bytes(data: $0.baseAddress, size: $0.count) }
        var handle: OpaquePointer?
        var failure: GraphError?
        views.withUnsafeBufferPointer { views in
            layout.lent { text in
                weight.layout = text
                weight.parts = views.baseAddress
                weight.part_count = views.count
                do throws(GraphError) {
                    try call("import \(name)") { table.pointee.import_weight(context, index, &weight, &handle, $0) }
                } catch {
                    failure = error
                }
            }
        }
        if let failure { throw failure }
        return try DeviceBuffer(handle, bytes: weightSize(layout: layout, shape: shape) ?? 0, device: self)
    }

    /// Bytes now allocated on the device, and its total.
    package func memory() throws(GraphError) -> (used: Int, total: Int) {
        var used: UInt64 = 0
        var total: UInt64 = 0
        try call("memory") { table.pointee.memory(context, index, &used, &total, $0) }
        return (Int(clamping: used), Int(clamping: total))
    }
}

/// Memory of a device; freed with the last reference.
package final class DeviceBuffer: @unchecked Sendable {
    let handle: OpaquePointer
    package let bytes: Int
    package let device: Device

    init(_ handle: OpaquePointer?, bytes: Int, device: Device) throws(GraphError) {
        guard let handle else {
            throw GraphError(.device, "reported success and gave no buffer", at: "device \(device.name)")
        }
        self.handle = handle
        self.bytes = bytes
        self.device = device
    }

    deinit { device.table.pointee.release(device.context, handle) }

    /// The address, when the host may read and write it.
    package var address: UnsafeMutableRawPointer? { device.table.pointee.address(device.context, handle) }

    package func write<Element: BitwiseCopyable>(_ elements: [Element], at offset: Int = 0) throws(GraphError) {
        let status: Result<Void, GraphError> = elements.withUnsafeBytes { bytes in
            Result { () throws(GraphError) in try write(bytes, at: offset) }
        }
        try status.get()
    }

    package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int = 0) throws(GraphError) {
        guard offset >= 0, offset + bytes.count <= self.bytes else {
            throw GraphError(.invalid, "\(bytes.count) bytes at \(offset) do not fit into \(self.bytes)", at: "upload")
        }
        if bytes.isEmpty { return }
        let view = mt_bytes(data: bytes.baseAddress, size: bytes.count)
        try device.call("upload") { device.table.pointee.upload(device.context, handle, UInt64(offset), view, $0) }
    }

    package func read<Element: BitwiseCopyable>(
        _ type: Element.Type, count: Int, at offset: Int = 0
    ) throws(GraphError) -> [Element] {
        guard count > 0 else { return [] }
        let size = count * MemoryLayout<Element>.stride
        guard offset >= 0, offset + size <= bytes else {
            throw GraphError(.invalid, "\(size) bytes at \(offset) do not lie in \(bytes)", at: "download")
        }
        var failure: GraphError?
        let elements = [Element](unsafeUninitializedCapacity: count) { buffer, filled in
            do throws(GraphError) {
                try device.call("download") {
                    device.table.pointee.download(
                        device.context, handle, UInt64(offset), buffer.baseAddress, UInt64(size), $0)
                }
                filled = count
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return elements
    }
}
