package import PluginAPI
import PluginKit

/// A device of a device plugin.
package final class Device: @unchecked Sendable {
    let table: UnsafePointer<mt_device_table>
    let context: UnsafeMutableRawPointer?
    package let index: Int32
    /// The component's id, for messages.
    package let name: String
    /// The device that runs what this one cannot.
    package let fallback: Device?
    /// Gathers the time of each step of the programs that are made while it is set.
    package var profile: RunProfile?

    package init(component: mt_component, index: Int = 0, fallback: Device? = nil) throws(GraphError) {
        guard let table = component.table else {
            throw GraphError(.device, "the component has no table", at: "device \(component.id.string)")
        }
        self.table = table.assumingMemoryBound(to: mt_device_table.self)
        context = component.ctx
        self.index = Int32(index)
        name = component.id.string
        self.fallback = fallback
    }

    /// Whether a step can run here.
    func supports(_ step: Step, graph: Graph) -> Bool {
        let storage = ScheduleStorage()
        storage.add(step, graph: graph) { _ in nil }
        return withUnsafePointer(to: storage.steps[0]) { table.pointee.supports(context, $0) }
    }

    /// Scratch bytes that a step wants here; none for a view.
    func scratch(_ step: Step, graph: Graph) -> Int {
        let storage = ScheduleStorage()
        storage.add(step, graph: graph) { _ in nil }
        return Int(clamping: withUnsafePointer(to: storage.steps[0]) { table.pointee.scratch(context, $0) })
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
            for (i, size) in shape.enumerated() {
                dims.storeBytes(of: Int64(size), toByteOffset: i * 8, as: Int64.self)
            }
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

    /// How a weight is taken over by another device; nil for plain memory, whose bytes can be copied.
    package var takeOver: ((Device) throws -> DeviceBuffer)?
    private var others: [DeviceBuffer] = []

    /// The same weight on another device, taken over once; nil for plain memory.
    func again(on device: Device) throws(GraphError) -> DeviceBuffer? {
        guard let takeOver else { return nil }
        if let known = others.first(where: { $0.device === device }) { return known }
        do {
            let made = try takeOver(device)
            others.append(made)
            return made
        } catch let failure as GraphError {
            throw failure
        } catch {
            throw GraphError(.device, "\(error)", at: "device \(device.name): take over a weight")
        }
    }

    /// Copies bytes of another buffer, of any device, through the host where one of them is out of its reach.
    func copy(from source: DeviceBuffer, at start: Int, to offset: Int, bytes: Int) throws(GraphError) {
        if bytes == 0 { return }
        if let address = source.address, start >= 0, start + bytes <= source.bytes {
            return try write(UnsafeRawBufferPointer(start: address + start, count: bytes), at: offset)
        }
        try write(try source.read(UInt8.self, count: bytes, at: start), at: offset)
    }

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
