internal import PluginAPI
import PluginKit

/// The memory that programs of one owner share for what lives only during a run; it grows to the largest need.
package final class SharedArena {
    private let device: Device
    private(set) var buffer: DeviceBuffer?
    /// Of the same owner on other devices.
    private var companions: [SharedArena] = []

    package init(device: Device) { self.device = device }

    /// The arena's present size in bytes, over all devices.
    package var bytes: Int { (buffer?.bytes ?? 0) + companions.reduce(0) { $0 + $1.bytes } }

    func reserve(_ bytes: Int) throws(GraphError) -> DeviceBuffer {
        if let buffer, buffer.bytes >= bytes { return buffer }
        buffer = nil
        let fresh = try device.allocate(max(bytes, MemoryPlan.alignment))
        buffer = fresh
        return fresh
    }

    /// The owner's arena on `device`.
    func on(_ device: Device) -> SharedArena {
        if device === self.device { return self }
        if let known = companions.first(where: { $0.device === device }) { return known }
        let made = SharedArena(device: device)
        companions.append(made)
        return made
    }
}

/// A graph made ready for a device, and for its fall-back where the device lacks an op: fused, shared out, planned and
/// compiled. One run at a time.
package final class Program {
    package let device: Device
    private let lanes: [Lane]
    /// Values that the caller binds, in the order of their slots after the arena and the constants.
    private let bound: [Value]
    private let actions: [Action]
    private let types: [Int: ValueType]
    /// The lane in which an output lies.
    private let home: [Int: Int]
    /// By lane and bound value: whether its steps read or write it, and whether they change it, so that it is copied back where it was
    /// copied over.
    private let touches: [[Bool]]
    private let changes: [[Bool]]

    private enum Action {
        case run(lane: Int, program: Int)
        /// Bytes of a value from one lane's arena into another's.
        case transfer(Value, bytes: Int, from: Int, to: Int)
        /// An update's value into the buffer that is bound for another one.
        case store(Value, bytes: Int, from: Int, over: Value)
    }

    package var stepCount: Int { lanes.reduce(0) { $0 + $1.stepCount } }
    /// Bytes of the arenas that a run needs.
    package var arenaBytes: Int { lanes.reduce(0) { $0 + $1.plan.arenaBytes } }
    /// Steps that each device runs, by its name.
    package var stepsByDevice: [(device: String, steps: Int)] { lanes.map { ($0.device.name, $0.stepCount) } }

    /// - Parameters:
    ///   - outputs: Values to be read after a run.
    ///   - updates: Values written over a bound value at the end of the run.
    package init(
        _ graph: Graph, outputs: [Value], updates: [(value: Value, over: Value)] = [], device: Device,
        arena: SharedArena,
        fuse: Bool = true
    ) throws(GraphError) {
        self.device = device
        let devices = [device] + (device.fallback.map { [$0] } ?? [])
        if fuse {
            try graph.joinLowRankProducts(keeping: outputs + updates.map(\.value)) { device.supports($0, graph: graph) }
        }
        let single = graph.steps(for: outputs + updates.map(\.value), fuse: fuse)
        let steps = fuse ? graph.joiningSiblings(single) { device.supports($0, graph: graph) } : single

        let inputs = ExternalValues(graph, steps, outputs: outputs, updates: updates)
        bound = inputs.bound
        let partition = try Partition(graph, steps, kept: outputs + updates.map(\.value), lanes: devices.count) {
            lane, step in
            devices[lane].supports(step, graph: graph)
        }

        var lanes: [Lane] = []
        /// By lane, the index of the next step that is to be compiled.
        var scratch: [[Int]] = []
        var laneSteps: [[Step]] = []
        var stores: [(value: Value, over: Value)] = []
        for (index, device) in devices.enumerated() {
            var own = partition.steps(of: index)
            let targets =
                index == 0
                ? Dictionary(updates.map { ($0.value.index, $0.over.index) }, uniquingKeysWith: { first, _ in first })
                : [:]
            let kept = (outputs + updates.map(\.value)).filter { (partition.home[$0.index] ?? 0) == index }
            var sizes = own.map { $0.isMoment ? 0 : device.scratch($0, graph: graph) }
            var plan = MemoryPlan(
                graph: graph, steps: own, external: inputs.places, kept: kept, targets: targets, scratchBytes: sizes)
            // Updates that could not be computed in place are copied at the end.
            let copies = updates.filter { update in
                (partition.home[update.value.index] ?? 0) == index
                    && plan.places[update.value.index] != plan.places[update.over.index]
            }
            if index == 0, !copies.isEmpty,
                device.supports(Self.copyStep(copies[0].value, copies[0].over), graph: graph)
            {
                for copy in copies { own.append(Self.copyStep(copy.value, copy.over)) }
                sizes += copies.map { _ in 0 }
                plan = MemoryPlan(
                    graph: graph, steps: own, external: inputs.places, kept: kept, targets: targets, scratchBytes: sizes
                )
            } else {
                stores += copies
            }
            // A value that is computed in place of a bound one needs its buffer even when no step reads it.
            let used = Set(own.flatMap { $0.inputs + $0.outputs }.map(\.index)).union(targets.values)
            let constants =
                inputs.constants.isEmpty || inputs.constantValues.isDisjoint(with: used)
                ? nil : try device.upload(inputs.constants)
            lanes.append(
                Lane(
                    device: device, arena: arena.on(device), plan: plan, constants: constants,
                    bound: Set(inputs.bound.map(\.index)).intersection(used)))
            scratch.append(sizes)
            laneSteps.append(own)
        }

        // Neighbours on one device become one schedule.
        var actions: [Action] = []
        var next = [Int](repeating: 0, count: devices.count)
        var pending: [(step: Step, scratch: MemoryPlan.Place, size: Int)] = []
        var pendingLane = 0
        func flush() throws(GraphError) {
            if pending.isEmpty { return }
            let number = try lanes[pendingLane].compile(pending, graph: graph, slots: 2 + inputs.bound.count)
            actions.append(.run(lane: pendingLane, program: number))
            pending = []
        }
        func schedule(_ lane: Int) throws(GraphError) {
            let at = next[lane]
            next[lane] += 1
            if lanes[lane].plan.isView[at] { return }
            if lane != pendingLane { try flush() }
            pendingLane = lane
            pending.append((laneSteps[lane][at], lanes[lane].plan.scratch[at], scratch[lane][at]))
            // What is timed by itself runs by itself.
            if devices[lane].profile != nil { try flush() }
        }
        for event in partition.events {
            switch event {
            case .step(_, let lane): try schedule(lane)
            case .transfer(let value, let from, let to):
                try flush()
                next[from] += 1
                next[to] += 1
                actions.append(.transfer(value, bytes: graph.type(value).byteCount, from: from, to: to))
            }
        }
        // What was added behind the partition's steps: the copies of updates.
        while next[0] < laneSteps[0].count { try schedule(0) }
        try flush()
        for store in stores {
            let bytes = graph.type(store.value).byteCount
            actions.append(
                .store(store.value, bytes: bytes, from: partition.home[store.value.index] ?? 0, over: store.over))
        }
        self.actions = actions
        self.lanes = lanes
        home = partition.home
        types = Dictionary(outputs.map { ($0.index, graph.type($0)) }, uniquingKeysWith: { first, _ in first })
        let stored = Set(stores.map(\.over.index))
        touches = lanes.map { lane in inputs.bound.map { lane.bound.contains($0.index) } }
        changes = laneSteps.enumerated().map { index, own in
            let written = own.flatMap(\.changedInputs).map(\.index)
            let changed = Set(written + (index == 0 ? updates.map(\.over.index).filter { !stored.contains($0) } : []))
            return inputs.bound.map { changed.contains($0.index) }
        }
    }

    private static func copyStep(_ value: Value, _ over: Value) -> Step {
        Step(
            op: "elementwise", inputs: [value], outputs: [over],
            attributes: [
                ("ops", .string("detach")), ("operands", .ints([1, 0, 0, 0])), ("values", .floats([0])),
                ("outputs", .ints([1])),
            ], name: "update", isElementwise: false)
    }

    /// The device that reads a bound value: where its buffer is best placed.
    package func device(reading value: Value) -> Device {
        lanes.first { $0.bound.contains(value.index) }?.device ?? device
    }

    /// Runs once over the given buffers.
    package func run(_ buffers: (Value) -> DeviceBuffer?) throws(GraphError) { try run(try bind(buffers)) }

    /// The buffers that runs are given, looked up once.
    package func bind(_ buffers: (Value) -> DeviceBuffer?) throws(GraphError) -> [DeviceBuffer] {
        var given: [DeviceBuffer] = []
        given.reserveCapacity(bound.count)
        for value in bound {
            guard let buffer = buffers(value) else {
                throw GraphError(.invalid, "value \(value.index) was not given", at: "run")
            }
            given.append(buffer)
        }
        return given
    }

    /// Runs once over what `bind` gave.
    package func run(_ given: [DeviceBuffer]) throws(GraphError) {
        var slots: [[OpaquePointer?]] = []
        var copied: [(from: DeviceBuffer, to: DeviceBuffer)] = []
        // A mirror lives in its lane, a weight taken over again in its first buffer.
        for (index, lane) in lanes.enumerated() {
            let space = try reserve(lane)
            var list: [OpaquePointer?] = [space.handle, lane.constants?.handle ?? space.handle]
            list.reserveCapacity(2 + bound.count)
            for (i, buffer) in given.enumerated() {
                guard touches[index][i] else {
                    list.append(space.handle)
                    continue
                }
                let local = try lane.local(buffer, for: bound[i])
                if local !== buffer, changes[index][i] { copied.append((local, buffer)) }
                list.append(local.handle)
            }
            slots.append(list)
        }
        for action in actions {
            switch action {
            case .run(let lane, let program): try lanes[lane].run(program, slots[lane])
            case .transfer(let value, let bytes, let from, let to):
                let (source, start) = try place(value, from)
                let (target, end) = try place(value, to)
                try target.copy(from: source, at: start, to: end, bytes: bytes)
            case .store(let value, let bytes, let from, let over):
                let (source, start) = try place(value, from)
                if let at = bound.firstIndex(of: over) {
                    try given[at].copy(from: source, at: start, to: 0, bytes: bytes)
                }
            }
        }
        for copy in copied { try copy.to.copy(from: copy.from, at: 0, to: 0, bytes: copy.to.bytes) }
    }

    /// The lane's arena; when there is no memory for it, the error says what the plan needs and for what.
    private func reserve(_ lane: Lane) throws(GraphError) -> DeviceBuffer {
        do throws(GraphError) {
            return try lane.arena.reserve(lane.plan.arenaBytes)
        } catch {
            guard error.code == .outOfMemory, let largest = lane.largest else { throw error }
            throw GraphError(
                .outOfMemory,
                "\(error.message); a run needs \(lane.plan.arenaBytes) bytes, of which the largest step takes \(largest.bytes)",
                at: "\(error.location): \(largest.name)")
        }
    }

    /// The memory of a value that a lane computes or received.
    private func place(_ value: Value, _ lane: Int) throws(GraphError) -> (buffer: DeviceBuffer, offset: Int) {
        guard let place = lanes[lane].plan.places[value.index], place.slot == 0, let buffer = lanes[lane].arena.buffer
        else {
            throw GraphError(
                .invalid, "value \(value.index) lives in a buffer of the caller's: read it there", at: "read")
        }
        return (buffer, place.offset)
    }

    /// An output's elements after a run.
    package func read<Element: BitwiseCopyable>(_ value: Value, as type: Element.Type) throws(GraphError) -> [Element] {
        guard let valueType = types[value.index] else {
            throw GraphError(.invalid, "value \(value.index) is no output of this program", at: "read")
        }
        let (buffer, offset) = try place(value, home[value.index] ?? 0)
        return try buffer.read(type, count: valueType.count, at: offset)
    }

    /// An output's address after a run, when the host may read it; valid until the next run over the same arena.
    package func address(_ value: Value) -> UnsafeMutableRawPointer? {
        guard let (buffer, offset) = try? place(value, home[value.index] ?? 0) else { return nil }
        return buffer.address.map { $0 + offset }
    }
}

/// What steps read and do not compute: constants in one block, and values that the caller binds.
private struct ExternalValues {
    private(set) var places: [Int: MemoryPlan.Place] = [:]
    private(set) var constants: [UInt8] = []
    private(set) var constantValues: Set<Int> = []
    private(set) var bound: [Value] = []

    init(_ graph: Graph, _ steps: [Step], outputs: [Value], updates: [(value: Value, over: Value)]) {
        let read = Set((steps.flatMap(\.inputs) + outputs + updates.flatMap { [$0.value, $0.over] }).map(\.index))
        for index in read.sorted() where index > 0 && graph.producers[index] < 0 {
            if case .constant(let bytes)? = graph.sources[index] {
                while constants.count % MemoryPlan.alignment != 0 { constants.append(0) }
                places[index] = MemoryPlan.Place(slot: 1, offset: constants.count)
                constants += bytes
                constantValues.insert(index)
            } else {
                places[index] = MemoryPlan.Place(slot: 2 + bound.count, offset: 0)
                bound.append(Value(index))
            }
        }
    }
}

extension Step {
    /// Inputs that the op writes to: the caches of attention over pages.
    fileprivate var changedInputs: [Value] {
        op == "attention_paged" && inputs.count > 4 ? [inputs[3], inputs[4]] : []
    }
}
