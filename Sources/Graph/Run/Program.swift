internal import PluginAPI
import PluginKit

/// The memory that programs of one owner share for what lives only during a run; it grows to the largest need.
package final class SharedArena {
    private let device: Device
    private(set) var buffer: DeviceBuffer?

    package init(device: Device) { self.device = device }

    /// The arena's present size in bytes.
    package var bytes: Int { buffer?.bytes ?? 0 }

    func reserve(_ bytes: Int) throws(GraphError) -> DeviceBuffer {
        if let buffer, buffer.bytes >= bytes { return buffer }
        buffer = nil
        let fresh = try device.allocate(max(bytes, MemoryPlan.alignment))
        buffer = fresh
        return fresh
    }
}

/// A graph made ready for a device: fused, planned and compiled. One run at a time.
package final class Program {
    package let device: Device
    private let arena: SharedArena
    private let handle: OpaquePointer
    private let plan: MemoryPlan
    private let constants: DeviceBuffer?
    /// Slots of the values that the caller binds, in slot order after the arena and the constants.
    private let bound: [Value]
    private let types: [Int: ValueType]
    package let stepCount: Int
    /// Bytes of the arena that a run needs.
    package var arenaBytes: Int { plan.arenaBytes }

    /// - Parameters:
    ///   - outputs: Values to be read after a run.
    ///   - updates: Values written over a bound value at the end of the run.
    package init(
        _ graph: Graph, outputs: [Value], updates: [(value: Value, over: Value)] = [], device: Device, arena: SharedArena,
        fuse: Bool = true
    ) throws(GraphError) {
        self.device = device
        self.arena = arena
        var steps = graph.steps(for: outputs + updates.map(\.value), fuse: fuse)

        var external: [Int: MemoryPlan.Place] = [:]
        var constantBytes: [UInt8] = []
        var bound: [Value] = []
        let read = Set((steps.flatMap(\.inputs) + outputs + updates.flatMap { [$0.value, $0.over] }).map(\.index))
        for index in read.sorted() where index > 0 && graph.producers[index] < 0 {
            if case .constant(let bytes)? = graph.sources[index] {
                while constantBytes.count % MemoryPlan.alignment != 0 { constantBytes.append(0) }
                external[index] = MemoryPlan.Place(slot: 1, offset: constantBytes.count)
                constantBytes += bytes
            } else {
                external[index] = MemoryPlan.Place(slot: 2 + bound.count, offset: 0)
                bound.append(Value(index))
            }
        }
        self.bound = bound
        constants = constantBytes.isEmpty ? nil : try device.upload(constantBytes)

        // What each step wants of scratch, and whether the device can run it at all.
        let sizing = ScheduleStorage()
        for step in steps { sizing.add(step, graph: graph) { external[$0.index] } }
        var scratch: [Int] = []
        for (i, step) in sizing.steps.enumerated() {
            let isSupported = withUnsafePointer(to: step) { device.table.pointee.supports(device.context, $0) }
            if !isSupported && !Self.isFree(steps[i]) {
                let types = steps[i].inputs.filter { !$0.isNone }.map { graph.type($0).description }.joined(separator: ", ")
                throw GraphError(
                    .unsupported, "device \(device.name) cannot run \(steps[i].op)(\(types))", at: steps[i].name)
            }
            scratch.append(Int(withUnsafePointer(to: step) { device.table.pointee.scratch(device.context, $0) }))
        }

        let targets = Dictionary(updates.map { ($0.value.index, $0.over.index) }, uniquingKeysWith: { first, _ in first })
        var plan = MemoryPlan(
            graph: graph, steps: steps, external: external, kept: outputs + updates.map(\.value), targets: targets,
            scratchBytes: scratch)
        // Updates that could not be computed in place are copied at the end.
        let copies = updates.filter { plan.places[$0.value.index] != plan.places[$0.over.index] }
        if !copies.isEmpty {
            for copy in copies { steps.append(Self.copyStep(copy.value, copy.over)) }
            scratch += copies.map { _ in 0 }
            plan = MemoryPlan(
                graph: graph, steps: steps, external: external, kept: outputs + updates.map(\.value), targets: targets,
                scratchBytes: scratch)
        }
        self.plan = plan
        types = Dictionary(outputs.map { ($0.index, graph.type($0)) }, uniquingKeysWith: { first, _ in first })

        let storage = ScheduleStorage()
        var scratchAt: [(place: MemoryPlan.Place, size: Int)] = []
        for (i, step) in steps.enumerated() where !plan.isView[i] {
            storage.add(step, graph: graph) { plan.places[$0.index] }
            scratchAt.append((plan.scratch[i], scratch[i]))
        }
        for (i, at) in scratchAt.enumerated() { storage.setScratch(i, at.place, size: at.size) }
        stepCount = storage.steps.count
        var schedule = mt_schedule()
        schedule.struct_size = UInt32(MemoryLayout<mt_schedule>.size)
        schedule.slot_count = UInt32(2 + bound.count)
        schedule.step_count = storage.steps.count
        var out: OpaquePointer?
        try withExtendedLifetime(storage) { () throws(GraphError) in
            let list = storage.steps
            let status: Result<Void, GraphError> = list.withUnsafeBufferPointer { list in
                schedule.steps = list.baseAddress
                return Result { () throws(GraphError) in
                    try device.call("compile") { device.table.pointee.compile(device.context, device.index, &schedule, &out, $0) }
                }
            }
            try status.get()
        }
        guard let out else { throw GraphError(.device, "compiled to nothing", at: "device \(device.name)") }
        handle = out
    }

    deinit { device.table.pointee.release_program(device.context, handle) }

    private static func isFree(_ step: Step) -> Bool { step.op == "reshape" }

    private static func copyStep(_ value: Value, _ over: Value) -> Step {
        Step(
            op: "elementwise", inputs: [value], outputs: [over],
            attributes: [
                ("ops", .string("detach")), ("operands", .ints([1, 0, 0, 0])), ("values", .floats([0])), ("outputs", .ints([1])),
            ], name: "update", isElementwise: false)
    }

    /// Runs once over the given buffers.
    package func run(_ buffers: (Value) -> DeviceBuffer?) throws(GraphError) {
        let space = try arena.reserve(plan.arenaBytes)
        var slots: [OpaquePointer?] = [space.handle, constants?.handle ?? space.handle]
        slots.reserveCapacity(2 + bound.count)
        for value in bound {
            guard let buffer = buffers(value) else {
                throw GraphError(.invalid, "value \(value.index) was not given", at: "run")
            }
            slots.append(buffer.handle)
        }
        try device.call("run") { error in
            slots.withUnsafeBufferPointer {
                device.table.pointee.run(device.context, handle, $0.baseAddress, $0.count, error)
            }
        }
    }

    /// An output's elements after a run.
    package func read<Element: BitwiseCopyable>(_ value: Value, as type: Element.Type) throws(GraphError) -> [Element] {
        guard let valueType = types[value.index], let place = plan.places[value.index] else {
            throw GraphError(.invalid, "value \(value.index) is no output of this program", at: "read")
        }
        guard place.slot == 0, let buffer = arena.buffer else {
            throw GraphError(.invalid, "value \(value.index) lives in a buffer of the caller's: read it there", at: "read")
        }
        return try buffer.read(type, count: valueType.count, at: place.offset)
    }

    /// An output's address after a run, when the host may read it; valid until the next run over the same arena.
    package func address(_ value: Value) -> UnsafeMutableRawPointer? {
        guard let place = plan.places[value.index], place.slot == 0, let base = arena.buffer?.address else { return nil }
        return base + place.offset
    }
}
