internal import PluginAPI
import PluginKit

/// One device's part of a program: its memory plan, and its steps compiled in runs between transfers.
final class Lane {
    let device: Device
    let arena: SharedArena
    let plan: MemoryPlan
    /// Constants that its steps read; nil when there are none.
    let constants: DeviceBuffer?
    /// Bound values that it reads or writes, by slot.
    let bound: Set<Int>
    private var programs: [CompiledSteps] = []
    /// With a profile, what each program's one step is gathered under.
    private var keys: [Int: RunProfile.Key] = [:]
    /// Copies of bound values whose buffers are another device's.
    private var mirrors: [Int: DeviceBuffer] = [:]
    private(set) var stepCount = 0
    /// The step with the most bytes of results and scratch, for messages.
    private(set) var largest: (name: String, bytes: Int)?

    init(
        device: Device, arena: SharedArena, plan: MemoryPlan, constants: DeviceBuffer?, bound: Set<Int>
    ) {
        self.device = device
        self.arena = arena
        self.plan = plan
        self.constants = constants
        self.bound = bound
    }

    /// Compiles steps, given with their scratch, and gives the number to run them by.
    func compile(
        _ steps: [(step: Step, scratch: MemoryPlan.Place, size: Int)], graph: Graph, slots: Int
    ) throws(GraphError) -> Int {
        let storage = ScheduleStorage()
        for (step, _, _) in steps { storage.add(step, graph: graph) { plan.places[$0.index] } }
        for (i, entry) in steps.enumerated() { storage.setScratch(i, entry.scratch, size: entry.size) }
        stepCount += steps.count
        for (step, _, scratch) in steps {
            let bytes = step.outputs.reduce(scratch) { $0 + graph.type($1).byteCount }
            if bytes > largest?.bytes ?? -1 { largest = (step.name, bytes) }
        }
        programs.append(try CompiledSteps(storage, device: device, slots: slots))
        if device.profile != nil { keys[programs.count - 1] = steps.first.map { .init($0.step, graph: graph) } }
        return programs.count - 1
    }

    func run(_ program: Int, _ slots: [OpaquePointer?]) throws(GraphError) {
        guard let profile = device.profile, let key = keys[program] else { return try programs[program].run(slots) }
        let clock = ContinuousClock()
        let start = clock.now
        try programs[program].run(slots)
        let time = (clock.now - start).components
        profile.add(key, seconds: Double(time.seconds) + 1e-18 * Double(time.attoseconds))
    }

    /// `buffer`'s contents in this lane's memory: the buffer itself, a weight taken over again, or a copy.
    func local(_ buffer: DeviceBuffer, for value: Value) throws(GraphError) -> DeviceBuffer {
        if buffer.device === device { return buffer }
        if let again = try buffer.again(on: device) { return again }
        let mirror: DeviceBuffer
        if let known = mirrors[value.index], known.bytes >= buffer.bytes {
            mirror = known
        } else {
            mirror = try device.allocate(max(1, buffer.bytes))
            mirrors[value.index] = mirror
        }
        try mirror.copy(from: buffer, at: 0, to: 0, bytes: buffer.bytes)
        return mirror
    }
}

/// A device's compiled schedule.
private final class CompiledSteps {
    private let device: Device
    private let handle: OpaquePointer

    init(_ storage: ScheduleStorage, device: Device, slots: Int) throws(GraphError) {
        self.device = device
        var schedule = mt_schedule()
        schedule.struct_size = UInt32(MemoryLayout<mt_schedule>.size)
        schedule.slot_count = UInt32(slots)
        schedule.step_count = storage.steps.count
        var out: OpaquePointer?
        try withExtendedLifetime(storage) { () throws(GraphError) in
            let list = storage.steps
            let status: Result<Void, GraphError> = list.withUnsafeBufferPointer { list in
                schedule.steps = list.baseAddress
                return Result { () throws(GraphError) in
                    try device.call("compile") {
                        device.table.pointee.compile(device.context, device.index, &schedule, &out, $0)
                    }
                }
            }
            try status.get()
        }
        guard let out else { throw GraphError(.device, "compiled to nothing", at: "device \(device.name)") }
        handle = out
    }

    deinit { device.table.pointee.release_program(device.context, handle) }

    func run(_ slots: [OpaquePointer?]) throws(GraphError) {
        try device.call("run") { error in
            slots.withUnsafeBufferPointer {
                device.table.pointee.run(device.context, handle, $0.baseAddress, $0.count, error)
            }
        }
    }
}
