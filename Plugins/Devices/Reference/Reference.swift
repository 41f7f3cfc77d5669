import JSON
import PluginAPI
import PluginKit
import Synchronization

/// The smallest device that is of use, to be copied by who brings a chip: read it from top to bottom.
///
/// It keeps memory that the host cannot reach, so that everything goes in and out by `upload` and `download`; it holds
/// weights in f32 alone; it runs the ops of `Kernels.swift`, and the host gives the others to the processor.
final class Reference: DeviceBackend {
    func enumerate() -> JSON {
        [["name": "reference", "memory": .int(Int64(Self.total)), "threads": 1, "features": []]]
    }

    // MARK: Memory

    private static let total = 1 << 40

    func allocate(device: Int, size: Int) throws -> DeviceMemory { try ReferenceMemory(size: size) }

    func memory(device: Int) -> (used: Int, total: Int) { (ReferenceMemory.used.load(ordering: .relaxed), Self.total) }

    func upload(_ memory: DeviceMemory, offset: Int, _ data: UnsafeRawBufferPointer) throws {
        try ReferenceMemory.part(of: memory, offset, data.count).copyMemory(from: data)
    }

    func download(_ memory: DeviceMemory, offset: Int, _ data: UnsafeMutableRawBufferPointer) throws {
        data.copyMemory(from: UnsafeRawBufferPointer(try ReferenceMemory.part(of: memory, offset, data.count)))
    }

    // MARK: Weights

    /// Bytes that a weight takes here; 0 says that its layout is unknown, and the processor holds it.
    func weightSize(layout: String, shape: [Int]) -> Int { layout == "f32" ? 4 * shape.reduce(1, *) : 0 }

    func importWeight(device: Int, _ source: WeightSource) throws -> DeviceMemory {
        let size = weightSize(layout: source.layout, shape: source.shape)
        guard source.parts.reduce(0, { $0 + $1.count }) == size else {
            throw PluginError(
                .unsupported, "a weight \(source.shape) of layout \"\(source.layout)\" is not \(size) bytes of f32")
        }
        let memory = try ReferenceMemory(size: size)
        memory.bytes.copyBytes(from: source.parts.joined())
        return memory
    }

    // MARK: Running

    /// Binding: what is supported runs. Types and layouts decide as well as the op.
    func supports(_ step: ScheduledStep) -> Bool {
        kernels[step.op] != nil && step.inputs.allSatisfy { $0.layout.isEmpty || $0.layout == "f32" }
            && (step.inputs + step.outputs).allSatisfy { $0.slot == nil || $0.type == MT_F32 || $0.type == MT_I32 }
            && (step.op != "elementwise"
                || step.string("ops").split(separator: " ").allSatisfy { functions[String($0)] != nil })
    }

    func compile(device: Int, _ steps: [ScheduledStep]) throws -> any DeviceProgram {
        for step in steps where !supports(step) {
            throw PluginError(.unsupported, "the op \"\(step.op)\" has no kernel", at: step.name)
        }
        return ReferenceProgram(steps: steps)
    }
}

/// Steps that are looked up and run one after the other; a chip would make commands of them here.
private final class ReferenceProgram: DeviceProgram {
    private let steps: [ScheduledStep]

    init(steps: [ScheduledStep]) { self.steps = steps }

    func run(_ memories: [DeviceMemory]) throws {
        let own = memories.compactMap { $0 as? ReferenceMemory }
        guard own.count == memories.count else { throw PluginError(.invalid, "a slot holds another device's memory") }
        for step in steps { kernels[step.op]?(Operands(step: step, memories: own)) }
    }
}

/// Memory that only this device sees: `address` is nil.
final class ReferenceMemory: DeviceMemory {
    static let used = Atomic<Int>(0)
    let bytes: UnsafeMutableRawBufferPointer

    init(size: Int) throws {
        guard size >= 0, size < 1 << 36 else {
            throw PluginError(.outOfMemory, "no \(size) bytes of memory are left; use a smaller batch or model")
        }
        bytes = .allocate(byteCount: size, alignment: 64)
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
        super.init(address: nil, size: size)
        Self.used.wrappingAdd(size, ordering: .relaxed)
    }

    deinit {
        Self.used.wrappingSubtract(size, ordering: .relaxed)
        bytes.deallocate()
    }

    static func part(of memory: DeviceMemory, _ offset: Int, _ count: Int) throws -> UnsafeMutableRawBufferPointer {
        guard let own = memory as? ReferenceMemory, offset >= 0, count >= 0, offset <= own.size - count else {
            throw PluginError(.invalid, "\(count) bytes at \(offset) do not lie in a buffer of \(memory.size)")
        }
        return UnsafeMutableRawBufferPointer(rebasing: own.bytes[offset..<offset + count])
    }
}
