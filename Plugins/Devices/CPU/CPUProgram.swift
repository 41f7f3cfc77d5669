import CPUKernels
import PluginKit

/// Where an operand lies: bytes from the start of a slot.
struct Place {
    let slot: Int
    let offset: Int
}

/// What a kernel sees when it runs.
struct Run {
    let memories: [DeviceMemory]
    let bases: [UnsafeMutableRawPointer]
    let pool: UnsafePointer<mk_pool>

    func raw(_ place: Place) -> UnsafeMutableRawPointer { bases[place.slot] + place.offset }
    func floats(_ place: Place) -> UnsafeMutablePointer<Float> { raw(place).assumingMemoryBound(to: Float.self) }
    func ints(_ place: Place) -> UnsafeMutablePointer<Int32> { raw(place).assumingMemoryBound(to: Int32.self) }
    func bytes(_ place: Place) -> UnsafeMutablePointer<UInt8> { raw(place).assumingMemoryBound(to: UInt8.self) }
    func floats(_ place: Place?) -> UnsafeMutablePointer<Float>? { place.map { floats($0) } }

    /// The operand as a weight: what was imported, or plain f32 memory.
    func weight(_ place: Place, rows: Int, columns: Int, matrix: Int = 0) -> mk_weight {
        // Rows within an imported weight are a view of plain values, and so is one that a reshape reads in other rows.
        if let imported = memories[place.slot] as? CPUWeight, imported.matrices.indices.contains(matrix),
            place.offset == 0,
            imported.matrices[matrix].rows == rows, imported.matrices[matrix].columns == columns
        {
            return imported.matrices[matrix]
        }
        return CPUWeight.plain(raw(place) + matrix * rows * columns * 4, rows: rows, columns: columns)
    }
}

extension Run {
    /// The operand [experts, rows, columns] as one matrix of all experts' rows.
    func stackedWeight(_ place: Place, experts: Int, rows: Int, columns: Int) -> mk_weight {
        (memories[place.slot] as? CPUWeight)?.stacked
            ?? CPUWeight.plain(raw(place), rows: experts * rows, columns: columns)
    }
}

typealias Kernel = (Run) -> Void

/// How a step of one op becomes a kernel.
struct KernelBuilder {
    /// Whether a step of the op runs.
    let accepts: @Sendable (ScheduledStep) -> Bool
    /// Scratch bytes that the step wants.
    let scratch: @Sendable (ScheduledStep, mk_pool) -> Int
    let build: @Sendable (ScheduledStep) throws -> Kernel

    init(
        accepts: @escaping @Sendable (ScheduledStep) -> Bool = { _ in true },
        scratch: @escaping @Sendable (ScheduledStep, mk_pool) -> Int = { _, _ in 0 },
        _ build: @escaping @Sendable (ScheduledStep) throws -> Kernel
    ) {
        self.accepts = accepts
        self.scratch = scratch
        self.build = build
    }
}

/// Steps as kernels, run one after the other; each uses all threads.
final class CPUProgram: DeviceProgram {
    static let builders: [String: KernelBuilder] = [
        productBuilders, linearPartsBuilders, expertBuilders, elementwiseBuilders, normBuilders, attentionBuilders,
        reduceBuilders,
        copyBuilders,
        rowBuilders, lossBuilders,
    ].reduce(into: [:]) { $0.merge($1) { first, _ in first } }

    private let kernels: [Kernel]

    init(_ steps: [ScheduledStep]) throws {
        kernels = try steps.map { step in
            guard let builder = Self.builders[step.op] else {
                throw PluginError(.unsupported, "the op \"\(step.op)\" has no kernel", at: step.name)
            }
            return try builder.build(step)
        }
    }

    func run(_ memories: [DeviceMemory]) throws {
        var bases: [UnsafeMutableRawPointer] = []
        bases.reserveCapacity(memories.count)
        for (slot, memory) in memories.enumerated() {
            guard let address = memory.address else { throw PluginError(.invalid, "slot \(slot) has no memory here") }
            bases.append(address)
        }
        withUnsafePointer(to: CPU.pool) { pool in
            let run = Run(memories: memories, bases: bases, pool: pool)
            for kernel in kernels { kernel(run) }
        }
    }
}

extension ScheduledStep {
    func place(input index: Int) throws -> Place {
        guard let operand = input(index), let slot = operand.slot else {
            throw PluginError(.invalid, "input \(index) is missing", at: name)
        }
        return Place(slot: slot, offset: operand.offset)
    }
    func optionalPlace(input index: Int) -> Place? {
        input(index).flatMap { operand in operand.slot.map { Place(slot: $0, offset: operand.offset) } }
    }
    func place(output index: Int) throws -> Place {
        guard outputs.indices.contains(index), let slot = outputs[index].slot else {
            throw PluginError(.invalid, "output \(index) is missing", at: name)
        }
        return Place(slot: slot, offset: outputs[index].offset)
    }
    var scratchPlace: Place { Place(slot: scratchSlot, offset: scratchOffset) }
    /// Shape of an input; empty when it is left out.
    func shape(_ index: Int) -> [Int] { input(index)?.shape ?? [] }
}
