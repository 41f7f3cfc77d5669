import Glibc
import Graph
internal import Host
internal import PluginKit
import Random

/// What is trained: f32 tensors on the device, with their gradients and optimizer states.
package final class TrainedParameters {
    package struct Entry {
        package let name: String
        package let shape: [Int]
        /// Learning-rate group, such as LoRA's "a" and "b".
        package let group: String
        package let isDecayed: Bool
        /// The checkpoint holds it as [in, out].
        let isTransposed: Bool
        let value: DeviceBuffer
        let gradient: DeviceBuffer
        var states: [State]
        package var count: Int { shape.reduce(1, *) }
    }

    /// What the optimizer keeps for a tensor: f32, or u8.
    struct State {
        let name: String
        let type: ValueType
        let buffer: DeviceBuffer
    }

    let device: Device
    /// In the order of their names, so that everything that runs over them is the same every time.
    package private(set) var entries: [Entry] = []
    private var index: [String: Int] = [:]
    /// Tensors that a tuner computes with and does not train.
    private var frozen: [String: Entry] = [:]

    init(device: Device) { self.device = device }

    package var count: Int { entries.reduce(0) { $0 + $1.count } }
    subscript(name: String) -> Entry? { index[name].map { entries[$0] } ?? frozen[name] }

    /// Adds a tensor with its first values.
    func add(
        _ name: String, _ shape: [Int], group: String = "", isDecayed: Bool, isTransposed: Bool = false, values: [Float]
    ) throws {
        let bytes = max(4, 4 * shape.reduce(1, *))
        let buffer = try device.allocate(bytes)
        try buffer.write(values)
        entries.append(
            Entry(
                name: name, shape: shape, group: group, isDecayed: isDecayed, isTransposed: isTransposed, value: buffer,
                gradient: try device.allocate(bytes), states: []))
    }

    /// Adds a tensor that keeps its values.
    func addFrozen(_ name: String, _ shape: [Int], values: [Float]) throws {
        let buffer = try device.allocate(max(4, 4 * shape.reduce(1, *)))
        try buffer.write(values)
        frozen[name] = Entry(
            name: name, shape: shape, group: "", isDecayed: false, isTransposed: false, value: buffer,
            gradient: try device.allocate(4), states: [])
    }

    /// Sorts the entries; call when all were added.
    func settle() {
        entries.sort { $0.name < $1.name }
        index = Dictionary(entries.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    func addStates(_ optimizer: OptimizerHandle) throws {
        for i in entries.indices {
            entries[i].states = try optimizer.states(entries[i].name, entries[i].shape).map { state in
                let buffer = try device.allocate(max(4, state.type.byteCount))
                if state.initial != 0, state.type.element == .f32 {
                    try buffer.write([Float](repeating: Float(state.initial), count: state.type.count))
                }
                return State(name: state.name, type: state.type, buffer: buffer)
            }
        }
    }

    /// The present values of a tensor.
    package func values(_ name: String) throws -> [Float] {
        guard let entry = self[name] else { throw TrainingError(.notFound, "no trained tensor \(name)") }
        return try entry.value.read(Float.self, count: entry.count)
    }

    package func set(_ name: String, _ values: [Float]) throws {
        guard let entry = self[name], values.count == entry.count else {
            throw TrainingError(
                .invalid, "\(values.count) values for \(name), wanted \(self[name]?.count ?? 0)", at: "adapter")
        }
        try entry.value.write(values)
    }

    package func gradient(_ name: String) throws -> [Float] {
        guard let entry = self[name] else { throw TrainingError(.notFound, "no trained tensor \(name)") }
        return try entry.gradient.read(Float.self, count: entry.count)
    }

    /// First values by the name of an initialisation, drawn from the stream that the tensor's name gives.
    static func initial(_ kind: String, name: String, shape: [Int], seed: UInt64) throws -> [Float] {
        let count = shape.reduce(1, *)
        let stream = name.utf8.reduce(UInt64(0xCBF2_9CE4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        func uniform(_ bound: Float) -> [Float] {
            (0..<count).map { i in
                let words = Philox.block(seed: seed, stream: stream, counter: UInt64(i))
                return (Float(words.0 >> 8) * 0x1p-24 * 2 - 1) * bound
            }
        }
        switch kind {
        case "zeros": return [Float](repeating: 0, count: count)
        case "ones": return [Float](repeating: 1, count: count)
        // PEFT's: He et al. 2015 with a = √5, which is uniform within ±1 / √fan_in.
        case "kaiming_uniform": return uniform(1 / Float(max(1, shape.last ?? 1)).squareRoot())
        default:
            guard kind.hasPrefix("normal:"), let deviation = Float(kind.dropFirst(7)) else {
                throw TrainingError(.unsupported, "the initialisation \"\(kind)\" of \(name) is unknown", at: "tuner")
            }
            return (0..<count).map { i in
                let words = Philox.block(seed: seed, stream: stream, counter: UInt64(i))
                // Box and Muller 1958.
                let radius = (-2 * log((Float(words.0 >> 8) + 0.5) * 0x1p-24)).squareRoot()
                return radius * cos(2 * .pi * Float(words.1 >> 8) * 0x1p-24) * deviation
            }
        }
    }
}
