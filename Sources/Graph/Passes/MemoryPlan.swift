/// Where every value lives: in the arena, in a slot of the caller's, or inside another value.
package struct MemoryPlan {
    /// A place: bytes from the start of a slot. Slot 0 is the arena.
    package struct Place: Equatable, Sendable {
        package var slot: Int
        package var offset: Int
        package init(slot: Int, offset: Int) {
            self.slot = slot
            self.offset = offset
        }
    }
    /// By value.
    package private(set) var places: [Int: Place] = [:]
    /// By step: where its scratch lies in the arena.
    package private(set) var scratch: [Place] = []
    /// The arena's size in bytes: the peak, known before anything runs.
    package private(set) var arenaBytes = 0
    /// Steps that need not run: their output is a view of their input.
    package private(set) var isView: [Bool] = []

    package static let alignment = 64

    /// - Parameters:
    ///   - external: Places of values in slots of the caller's (inputs, parameters, constants).
    ///   - kept: Values that must still be there at the end.
    ///   - targets: Values to be written over an external value, once that is not read any more.
    ///   - scratchBytes: What each step wants besides.
    init(
        graph: Graph, steps: [Step], external: [Int: Place], kept: [Value], targets: [Int: Int], scratchBytes: [Int]
    ) {
        // Views share their root's memory.
        var root: [Int: (value: Int, offset: Int)] = [:]
        isView = Self.views(graph, steps, kept: kept)
        for (step, isView) in zip(steps, isView) where isView {
            let input = step.inputs[0].index
            let base = root[input] ?? (input, 0)
            root[step.outputs[0].index] = (base.value, base.offset + (Self.viewOffset(graph, step) ?? 0))
        }
        func base(_ value: Int) -> Int { root[value]?.value ?? value }

        var lastUse: [Int: Int] = [:]
        for (i, step) in steps.enumerated() {
            for value in step.inputs + step.outputs { lastUse[base(value.index)] = i }
        }
        for value in kept { lastUse[base(value.index)] = steps.count }
        let targets = Self.extended(targets, graph: graph, steps, root: root, external: external, lastUse: lastUse)

        var arena = Arena()
        var dying: [[Int]] = Array(repeating: [], count: steps.count + 1)
        for (value, step) in lastUse where external[value] == nil { dying[step].append(value) }
        var bytes: [Int: Int] = [:]

        places = external
        scratch = Array(repeating: Place(slot: 0, offset: 0), count: steps.count)
        for (i, step) in steps.enumerated() {
            var taken: Set<Int> = []
            // What a step writes into a slot of the caller's has its place already.
            for output in step.outputs where !isView[i] && external[output.index] == nil {
                let size = graph.type(output).byteCount
                // Into the target at once, where nothing reads that any more; element by element the step itself may.
                if let target = targets[output.index], let place = external[target],
                    lastUse[target, default: -1] < i || step.isElementwise && lastUse[target] == i
                {
                    places[output.index] = place
                    continue
                }
                // An elementwise step may overwrite an input that ends here and has one element for each of its own.
                if step.isElementwise,
                    let reused = step.inputs.first(where: { input in
                        let source = base(input.index)
                        return external[source] == nil && lastUse[source] == i && !taken.contains(source)
                            && graph.type(input) == graph.type(output) && bytes[source] == size
                            && root[input.index]?.offset ?? 0 == 0
                            && places[source]?.slot == 0
                            && !step.inputs.contains { $0 != input && base($0.index) == source }
                    })
                {
                    let source = base(reused.index)
                    taken.insert(source)
                    places[output.index] = places[source]
                    bytes[output.index] = size
                    bytes[source] = nil
                    continue
                }
                places[output.index] = Place(slot: 0, offset: arena.take(size))
                bytes[output.index] = size
            }
            if scratchBytes[i] > 0 {
                let offset = arena.take(scratchBytes[i])
                scratch[i] = Place(slot: 0, offset: offset)
                arena.give(offset, scratchBytes[i])
            }
            for value in dying[i].sorted() {
                if let size = bytes.removeValue(forKey: value), let place = places[value] {
                    arena.give(place.offset, size)
                }
            }
        }
        for (value, view) in root {
            if let place = places[view.value] {
                places[value] = Place(slot: place.slot, offset: place.offset + view.offset)
            }
        }
        arenaBytes = arena.peak
    }

    /// Targets of the values that are to be written over an external one, and of those that these are then computed over: a sum
    /// whose first part can wait in the target takes no other memory for it.
    private static func extended(
        _ targets: [Int: Int], graph: Graph, _ steps: [Step], root: [Int: (value: Int, offset: Int)],
        external: [Int: Place], lastUse: [Int: Int]
    ) -> [Int: Int] {
        if targets.isEmpty { return targets }
        var all = targets
        var made: [Int: Int] = [:]
        for (i, step) in steps.enumerated() { for output in step.outputs { made[output.index] = i } }
        for (i, step) in steps.enumerated().reversed() where step.isElementwise {
            for output in step.outputs {
                guard let target = all[output.index], external[target] != nil else { continue }
                let part = step.inputs.first { input in
                    external[input.index] == nil && root[input.index] == nil && all[input.index] == nil
                        && graph.type(input) == graph.type(output) && lastUse[input.index] == i
                        && made[input.index].map { $0 > lastUse[target, default: -1] } ?? false
                }
                if let part { all[part.index] = target }
            }
        }
        return all
    }

    /// For each step whether its output is a part of its input's memory, so that nothing runs. What is kept of the
    /// caller's memory is copied, because the caller may write there before it reads.
    static func views(_ graph: Graph, _ steps: [Step], kept: [Value]) -> [Bool] {
        let kept = Set(kept.map(\.index))
        var outside: Set<Int> = []
        return steps.map { step in
            guard viewOffset(graph, step) != nil else { return false }
            let (input, output) = (step.inputs[0].index, step.outputs[0].index)
            guard graph.producers[input] < 0 || outside.contains(input) else { return true }
            if kept.contains(output) { return false }
            outside.insert(output)
            return true
        }
    }

    /// The bytes by which a step's output lies inside its input, or nil when it is computed.
    private static func viewOffset(_ graph: Graph, _ step: Step) -> Int? {
        switch step.op {
        case "reshape": return 0
        case "slice":
            let type = graph.type(step.inputs[0])
            var axis = 0
            var start = 0
            for (name, value) in step.attributes {
                if case .int(let number) = value {
                    if name == "axis" { axis = number < 0 ? number + type.shape.count : number }
                    if name == "start" { start = number }
                }
            }
            guard type.shape.prefix(axis).allSatisfy({ $0 == 1 }) else { return nil }
            return start * type.shape.dropFirst(axis + 1).reduce(1, *) * type.element.size
        default: return nil
        }
    }
}

/// Offsets by best fit over a list of free ranges; remembers its largest extent.
private struct Arena {
    private var free: [(offset: Int, size: Int)] = []
    private(set) var peak = 0

    mutating func take(_ bytes: Int) -> Int {
        let size = Self.rounded(bytes)
        var best: Int?
        for i in free.indices where free[i].size >= size {
            if best.map({ free[i].size < free[$0].size }) ?? true { best = i }
        }
        if let best {
            let offset = free[best].offset
            if free[best].size == size {
                free.remove(at: best)
            } else {
                free[best] = (offset + size, free[best].size - size)
            }
            return offset
        }
        // Grow at the end, from the last free range when it touches it.
        if let last = free.last, last.offset + last.size == peak {
            free.removeLast()
            peak = last.offset + size
            return last.offset
        }
        defer { peak += size }
        return peak
    }

    mutating func give(_ offset: Int, _ bytes: Int) {
        let size = Self.rounded(bytes)
        var at = free.firstIndex { $0.offset > offset } ?? free.count
        free.insert((offset, size), at: at)
        if at + 1 < free.count, free[at].offset + free[at].size == free[at + 1].offset {
            free[at].size += free[at + 1].size
            free.remove(at: at + 1)
        }
        if at > 0, free[at - 1].offset + free[at - 1].size == free[at].offset {
            free[at - 1].size += free[at].size
            free.remove(at: at)
            at -= 1
        }
    }

    private static func rounded(_ bytes: Int) -> Int {
        max(MemoryPlan.alignment, (bytes + MemoryPlan.alignment - 1) / MemoryPlan.alignment * MemoryPlan.alignment)
    }
}
