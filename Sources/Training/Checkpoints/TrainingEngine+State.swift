import Graph
internal import Model
internal import PluginKit

extension TrainingEngine {
    /// The trained weights, for writing them in the place of the model's.
    var changes: WeightExport.Changes {
        WeightExport.Changes(
            isTransposed: Dictionary(uniqueKeysWithValues: parameters.entries.map { ($0.name, $0.isTransposed) }),
            values: parameters.values)
    }

    /// A state's name in optimizer.safetensors.
    private static func name(_ entry: TrainedParameters.Entry, _ state: String) -> String { "\(entry.name)/\(state)" }
    /// Weights that are trained in f32 and written in fewer bits stand here in full.
    private static let master = "master"

    /// Writes the optimizer's states by "parameter/state".
    func writeState(to path: String, components: any ComponentSource) throws {
        let export = options.tuner == nil ? WeightExport(model, changes: changes) : nil
        let entries = parameters.entries
        func hasMaster(_ entry: TrainedParameters.Entry) -> Bool { export.map { !$0.isExact(entry.name) } ?? false }
        var tensors: [TensorEntry] = []
        for entry in entries {
            for state in entry.states {
                tensors.append(
                    TensorEntry(
                        name: Self.name(entry, state.name), layout: state.type.element.name, shape: state.type.shape,
                        size: UInt64(state.type.byteCount)))
            }
            if hasMaster(entry) {
                tensors.append(
                    TensorEntry(
                        name: Self.name(entry, Self.master), layout: "f32", shape: entry.shape,
                        size: UInt64(4 * entry.count)))
            }
        }
        let writer = try CheckpointWriterHandle(
            format: "safetensors", path: path, options: ["metadata": ["format": "pt"]], tensors: tensors,
            components: components)
        for entry in entries {
            for state in entry.states {
                if state.type.element == .u8 {
                    try writer.write(try state.buffer.read(UInt8.self, count: state.type.count))
                } else {
                    try writer.write(try state.buffer.read(Float.self, count: state.type.count))
                }
            }
            if hasMaster(entry) { try writer.write(try parameters.values(entry.name)) }
        }
        try writer.finish()
    }

    /// Reads what `writeState` wrote; every state must be there with its shape.
    func readState(from path: String, components: any ComponentSource) throws {
        let checkpoint = try CheckpointHandle(path: path, components: components)
        func load(_ name: String, _ type: ValueType, into buffer: DeviceBuffer) throws {
            guard let tensor = checkpoint.tensors[name] else {
                throw TrainingError(
                    .notFound, "has no tensor \(name); the run was begun with another optimizer or other targets",
                    at: path)
            }
            guard tensor.shape == type.shape, tensor.layout == type.element.name else {
                throw TrainingError(
                    .invalid, "\(name) is \(tensor.layout) \(tensor.shape), this run has \(type)", at: path)
            }
            try buffer.write(checkpoint.bytes(of: tensor))
        }
        for entry in parameters.entries {
            for state in entry.states { try load(Self.name(entry, state.name), state.type, into: state.buffer) }
            let master = Self.name(entry, Self.master)
            if checkpoint.tensors[master] != nil { try load(master, ValueType(entry.shape), into: entry.value) }
        }
    }

    /// Writes what the reference model said; nothing when it was not asked.
    ///
    /// A run that goes on takes the same values: computed anew in another batch they would be rounded otherwise.
    func writeReference(to path: String, components: any ComponentSource) throws {
        guard reference.count > 0 else { return }
        let (keys, values) = reference.content
        let writer = try CheckpointWriterHandle(
            format: "safetensors", path: path, options: ["metadata": ["format": "pt"]],
            tensors: [
                TensorEntry(name: "keys", layout: "u8", shape: [values.count, 16], size: UInt64(keys.count)),
                TensorEntry(name: "logps", layout: "f32", shape: [values.count], size: UInt64(4 * values.count)),
            ], components: components)
        try writer.write(keys)
        try writer.write(values)
        try writer.finish()
    }

    /// Reads what `writeReference` wrote.
    func readReference(from path: String, components: any ComponentSource) throws {
        let checkpoint = try CheckpointHandle(path: path, components: components)
        guard let keys = checkpoint.tensors["keys"], let values = checkpoint.tensors["logps"],
            keys.layout == "u8", values.layout == "f32", keys.shape == [values.shape.first ?? 0, 16]
        else {
            throw TrainingError(.invalid, "holds no u8 [n, 16] keys with f32 [n] logps", at: path)
        }
        reference = ReferenceCache(
            keys: try checkpoint.bytes(of: keys), values: try checkpoint.bytes(of: values))
    }
}
