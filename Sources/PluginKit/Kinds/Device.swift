public import JSON
import PluginAPI

/// An operand of a step, decoded.
public struct Operand: Sendable {
    /// MT_F32 …
    public let type: UInt32
    public let shape: [Int]
    /// Index into the schedule's slots; nil for an optional input that is left out.
    public let slot: Int?
    /// Bytes from the slot's start.
    public let offset: Int
    /// How a weight's elements are stored; empty for plain values.
    public let layout: String

    public var count: Int { shape.reduce(1, *) }

    init(_ operand: mt_operand) {
        type = operand.type
        shape = withUnsafeBytes(of: operand.dims) { dims in
            (0..<min(Int(operand.rank), Int(MT_MAX_RANK))).map {
                Int(dims.load(fromByteOffset: $0 * 8, as: Int64.self))
            }
        }
        slot = operand.slot == MT_NO_SLOT ? nil : Int(operand.slot)
        offset = Int(operand.offset)
        layout = operand.layout.string
    }
}

/// A step of a schedule, decoded.
public struct ScheduledStep: Sendable {
    public let op: String
    /// Block and op, for messages.
    public let name: String
    public let inputs: [Operand]
    public let outputs: [Operand]
    public let attributes: [String: JSON]
    public let scratchSlot: Int
    public let scratchOffset: Int
    public let scratchSize: Int

    init(_ step: mt_step) {
        op = step.op.string
        name = step.name.string
        inputs = UnsafeBufferPointer(start: step.inputs, count: step.inputs == nil ? 0 : Int(step.input_count)).map(
            Operand.init)
        outputs = UnsafeBufferPointer(start: step.outputs, count: step.outputs == nil ? 0 : Int(step.output_count))
            .map(Operand.init)
        var attributes: [String: JSON] = [:]
        for attr in UnsafeBufferPointer(start: step.attrs, count: step.attrs == nil ? 0 : Int(step.attr_count)) {
            attributes[attr.name.string] = Self.value(attr)
        }
        self.attributes = attributes
        scratchSlot = Int(step.scratch_slot)
        scratchOffset = Int(step.scratch_offset)
        scratchSize = Int(step.scratch_size)
    }

    private static func value(_ attr: mt_attr) -> JSON {
        switch Int32(attr.type) {
        case MT_ATTR_INT: return .int(attr.value.i)
        case MT_ATTR_FLOAT: return .double(attr.value.f)
        case MT_ATTR_BOOL: return .bool(attr.value.i != 0)
        case MT_ATTR_STRING: return .string(attr.value.s.string)
        case MT_ATTR_INTS:
            return .array(UnsafeBufferPointer(start: attr.value.ints, count: Int(attr.count)).map(JSON.int))
        case MT_ATTR_FLOATS:
            return .array(UnsafeBufferPointer(start: attr.value.floats, count: Int(attr.count)).map(JSON.double))
        default: return .null
        }
    }

    /// The input at `index`, nil when it is left out.
    public func input(_ index: Int) -> Operand? {
        inputs.indices.contains(index) && inputs[index].slot != nil ? inputs[index] : nil
    }
    public func int(_ name: String) -> Int { attributes[name]?.int ?? 0 }
    public func float(_ name: String) -> Double { attributes[name]?.double ?? 0 }
    public func bool(_ name: String) -> Bool { attributes[name]?.bool ?? false }
    public func string(_ name: String) -> String { attributes[name]?.string ?? "" }
    public func ints(_ name: String) -> [Int] { attributes[name]?.array?.compactMap(\.int) ?? [] }
    public func floats(_ name: String) -> [Double] { attributes[name]?.array?.compactMap(\.double) ?? [] }
}

/// A weight to be taken over from a checkpoint. The parts are borrowed for the call.
public struct WeightSource {
    public let layout: String
    public let shape: [Int]
    public let parts: [UnsafeRawBufferPointer]
}

/// Memory of a device. Subclass it to keep more than an address.
open class DeviceMemory {
    /// Where the host may read and write it, if it may.
    public let address: UnsafeMutableRawPointer?
    public let size: Int
    public init(address: UnsafeMutableRawPointer?, size: Int) {
        self.address = address
        self.size = size
    }
}

/// A compiled schedule.
public protocol DeviceProgram: AnyObject {
    /// Runs with slot i in memories[i]; returns when the results are there. One run at a time.
    func run(_ memories: [DeviceMemory]) throws
}

/// A kind of device: memory, and the running of scheduled graphs on it. Members may be called from any thread.
public protocol DeviceBackend: AnyObject, Sendable {
    init() throws
    /// [{"name", "memory", "threads", "features"}]; empty when the machine has none.
    func enumerate() -> JSON
    /// Zeroed memory, 64-byte aligned.
    func allocate(device: Int, size: Int) throws -> DeviceMemory
    func upload(_ memory: DeviceMemory, offset: Int, _ data: UnsafeRawBufferPointer) throws
    func download(_ memory: DeviceMemory, offset: Int, _ data: UnsafeMutableRawBufferPointer) throws
    /// Bytes that such a weight takes here; 0 when it cannot be held.
    func weightSize(layout: String, shape: [Int]) -> Int
    func importWeight(device: Int, _ source: WeightSource) throws -> DeviceMemory
    /// Binding: what is supported runs.
    func supports(_ step: ScheduledStep) -> Bool
    /// Scratch bytes that a step wants; none unless stated.
    func scratch(_ step: ScheduledStep) -> Int
    func compile(device: Int, _ steps: [ScheduledStep]) throws -> any DeviceProgram
    /// Bytes now allocated, and the device's total.
    func memory(device: Int) -> (used: Int, total: Int)
}

extension DeviceBackend {
    public func scratch(_ step: ScheduledStep) -> Int { 0 }

    public func upload(_ memory: DeviceMemory, offset: Int, _ data: UnsafeRawBufferPointer) throws {
        let place = try Self.place(memory, offset, data.count)
        if let source = data.baseAddress { place.copyMemory(from: source, byteCount: data.count) }
    }

    public func download(_ memory: DeviceMemory, offset: Int, _ data: UnsafeMutableRawBufferPointer) throws {
        data.baseAddress?.copyMemory(from: try Self.place(memory, offset, data.count), byteCount: data.count)
    }

    private static func place(_ memory: DeviceMemory, _ offset: Int, _ count: Int) throws -> UnsafeMutableRawPointer {
        guard let address = memory.address, offset >= 0, count >= 0, offset <= memory.size - count else {
            throw PluginError(.invalid, "\(count) bytes at \(offset) do not lie in a buffer of \(memory.size)")
        }
        return address + offset
    }
}

private final class BackendBox {
    let backend: any DeviceBackend
    init(_ backend: any DeviceBackend) { self.backend = backend }
    static func from(_ context: UnsafeMutableRawPointer?) throws -> any DeviceBackend {
        try Handle.context(context, as: BackendBox.self).backend
    }
}
private final class ProgramBox {
    let program: any DeviceProgram
    init(_ program: any DeviceProgram) { self.program = program }
}

extension Components {
    /// Offers a device under `id`.
    public func device(_ id: String, _ backend: any DeviceBackend, summary: String, priority: Int = 0) {
        var table = mt_device_table()
        table.struct_size = UInt32(MemoryLayout<mt_device_table>.size)
        table.enumerate = { context, out, error in
            guarded(error) { try out.put(try BackendBox.from(context).enumerate().text()) }
        }
        table.allocate = { context, device, size, out, error in
            guarded(error) {
                guard let size = Int(exactly: size) else {
                    throw PluginError(.outOfMemory, "\(size) bytes are too many")
                }
                out?.pointee = Handle.make(try BackendBox.from(context).allocate(device: Int(device), size: size))
            }
        }
        table.release = { _, handle in Handle.release(handle, as: DeviceMemory.self) }
        table.address = { _, handle in (try? Handle.object(handle, as: DeviceMemory.self))?.address }
        table.upload = { context, handle, offset, data, error in
            guarded(error) {
                try BackendBox.from(context).upload(
                    try Handle.object(handle, as: DeviceMemory.self), offset: Int(clamping: offset),
                    UnsafeRawBufferPointer(start: data.data, count: data.data == nil ? 0 : data.size))
            }
        }
        table.download = { context, handle, offset, data, size, error in
            guarded(error) {
                try BackendBox.from(context).download(
                    try Handle.object(handle, as: DeviceMemory.self), offset: Int(clamping: offset),
                    UnsafeMutableRawBufferPointer(start: data, count: Int(clamping: size)))
            }
        }
        table.weight_size = { context, layout, dims, rank in
            let shape = UnsafeBufferPointer(start: dims, count: dims == nil ? 0 : Int(rank)).map { Int($0) }
            return UInt64((try? BackendBox.from(context))?.weightSize(layout: layout.string, shape: shape) ?? 0)
        }
        table.import_weight = { context, device, weight, out, error in
            guarded(error) {
                guard let weight = weight?.pointee else { throw PluginError(.invalid, "the weight is NULL") }
                let shape = withUnsafeBytes(of: weight.dims) { dims in
                    (0..<min(Int(weight.rank), Int(MT_MAX_RANK))).map {
                        Int(dims.load(fromByteOffset: $0 * 8, as: Int64.self))
                    }
                }
                let parts = UnsafeBufferPointer(start: weight.parts, count: weight.parts == nil ? 0 : weight.part_count)
                    .map { UnsafeRawBufferPointer(start: $0.data, count: $0.data == nil ? 0 : $0.size) }
                let source = WeightSource(layout: weight.layout.string, shape: shape, parts: parts)
                out?.pointee = Handle.make(try BackendBox.from(context).importWeight(device: Int(device), source))
            }
        }
        table.supports = { context, step in
            guard let step, let backend = try? BackendBox.from(context) else { return false }
            return backend.supports(ScheduledStep(step.pointee))
        }
        table.scratch = { context, step in
            guard let step, let backend = try? BackendBox.from(context) else { return 0 }
            return UInt64(backend.scratch(ScheduledStep(step.pointee)))
        }
        table.compile = { context, device, schedule, out, error in
            guarded(error) {
                guard let schedule = schedule?.pointee else { throw PluginError(.invalid, "the schedule is NULL") }
                let steps = UnsafeBufferPointer(
                    start: schedule.steps, count: schedule.steps == nil ? 0 : schedule.step_count
                )
                .map(ScheduledStep.init)
                out?.pointee = Handle.make(
                    ProgramBox(try BackendBox.from(context).compile(device: Int(device), steps)))
            }
        }
        table.run = { _, handle, buffers, count, error in
            guarded(error) {
                let memories = try UnsafeBufferPointer(start: buffers, count: buffers == nil ? 0 : count)
                    .map { try Handle.object($0, as: DeviceMemory.self) }
                try Handle.object(handle, as: ProgramBox.self).program.run(memories)
            }
        }
        table.release_program = { _, handle in Handle.release(handle, as: ProgramBox.self) }
        table.memory = { context, device, used, total, error in
            guarded(error) {
                let figures = try BackendBox.from(context).memory(device: Int(device))
                used?.pointee = UInt64(figures.used)
                total?.pointee = UInt64(figures.total)
            }
        }
        add(
            kind: MT_KIND_DEVICE, id: id, summary: summary, priority: priority, table: table,
            context: BackendBox(backend))
    }
}
