import Files
import Graph
package import JSON
package import Model
internal import PluginKit

/// A PEFT adapter directory: adapter_config.json and adapter_model.safetensors.
package struct Adapter {
    /// What PEFT puts before the base model's names.
    package static let prefix = "base_model.model."
    package let directory: String
    package let config: JSON
    /// f32 values by PEFT's names.
    package let tensors: [String: (shape: [Int], values: [Float])]

    package init(directory: String, components: any ComponentSource) throws {
        self.directory = directory
        config = try JSON(file: "\(directory)/adapter_config.json")
        let checkpoint = try CheckpointHandle(path: "\(directory)/adapter_model.safetensors", components: components)
        var tensors: [String: (shape: [Int], values: [Float])] = [:]
        for (name, entry) in checkpoint.tensors { tensors[name] = (entry.shape, try checkpoint.floats(entry)) }
        self.tensors = tensors
    }

    /// The sites that the adapter names: "all-linear" is written out by PEFT, so the tensors say it.
    package func isTarget(_ site: String) -> Bool {
        tensors.keys.contains { $0.hasPrefix("\(Self.prefix)\(site).lora_") }
    }

    /// Whether the adapter holds a parameter of the base model whole.
    package func isSaved(_ parameter: String) -> Bool { tensors[Self.prefix + parameter] != nil }

    /// The length of each row of a weight.
    package static func rowLengths(_ values: [Float], width: Int) -> [Float] {
        stride(from: 0, to: values.count, by: max(1, width)).map { start in
            Float(values[start..<start + width].reduce(0) { $0 + Double($1) * Double($1) }.squareRoot())
        }
    }

    /// A trained tensor's name in the file.
    static func fileName(_ name: String) -> String { name.hasPrefix(prefix) ? name : prefix + name }

    /// Writes the trained tensors as a PEFT adapter.
    package static func save(
        _ engine: TrainingEngine, tuner: TunerHandle, to directory: String, components: any ComponentSource
    ) throws {
        try System.makeDirectories(directory)
        let entries = engine.parameters.entries
        let writer = try CheckpointWriterHandle(
            format: "safetensors", path: "\(directory)/adapter_model.safetensors",
            options: ["metadata": ["format": "pt"]],
            tensors: entries.map { entry in
                let shape = engine.joins[entry.name]?.shape(entry.shape) ?? entry.shape
                return TensorEntry(
                    name: fileName(entry.name), layout: "f32", shape: shape, size: UInt64(4 * shape.reduce(1, *)))
            }, components: components)
        for entry in entries {
            let values = try engine.parameters.values(entry.name)
            try writer.write(
                engine.joins[entry.name].map { join in
                    join.joined(values, try engine.parameters.values(join.other), shape: entry.shape)
                } ?? values)
        }
        try writer.finish()
        try ReplacementFile.write(Array(try tuner.adapterConfig().utf8), to: "\(directory)/adapter_config.json")
    }
}

extension TrainingEngine {
    /// Takes over an adapter's tensors: each trained tensor must be there with its shape, and each of the adapter's be used.
    package func load(_ adapter: Adapter) throws {
        var unused = Set(adapter.tensors.keys)
        for entry in parameters.entries {
            let name = Adapter.fileName(entry.name)
            guard let tensor = adapter.tensors[name] else {
                throw TrainingError(.notFound, "has no tensor \(name)", at: adapter.directory)
            }
            let join = joins[entry.name]
            let shape = join?.shape(entry.shape) ?? entry.shape
            guard tensor.shape == shape else {
                throw TrainingError(
                    .invalid, "\(name) has shape \(tensor.shape), the model wants \(shape)", at: adapter.directory)
            }
            unused.remove(name)
            if let join {
                let (own, other) = join.parted(tensor.values, shape: entry.shape)
                try parameters.set(entry.name, own)
                try parameters.set(join.other, other)
            } else {
                try parameters.set(entry.name, tensor.values)
            }
        }
        guard let first = unused.min() else { return }
        throw TrainingError(
            .unsupported, "\(unused.count) tensors fit nothing that can be trained here, such as \(first)",
            at: adapter.directory)
    }
}
