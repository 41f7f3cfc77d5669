import Files
import Graph
internal import JSON
package import Model
internal import PluginKit

/// A model's weights with those that were trained, as a directory in Hugging Face's layout.
///
/// Tensors keep the names, shapes and 16-bit layouts of the checkpoint that training began with; those of a file that
/// describes itself (GGUF) get the published names.
package struct WeightExport {
    private let engine: TrainingEngine
    private var model: Model { engine.model }
    /// Largest file, as the hub's tools write them.
    private static let shardBytes = 5_000_000_000

    package init(_ engine: TrainingEngine) { self.engine = engine }

    /// A tensor to be written: which part of which trained parameter it is, or none.
    private struct Item {
        let name: String
        let layout: String
        let source: TensorEntry
        var trained: (entry: TrainedParameters.Entry, part: Int)?
    }

    private func layout(_ source: TensorEntry) -> String {
        let isDense = WeightStore.denseLayouts.contains(source.layout) && source.layout != "f64"
        return isDense ? source.layout : model.weights.dense ?? "bf16"
    }

    /// Whether the written tensors hold a parameter's trained values to the bit.
    func isExact(_ entry: TrainedParameters.Entry) -> Bool {
        model.weights.sources(of: entry.name).allSatisfy { layout($0.entry) == "f32" }
    }

    private func items() -> [Item] {
        let keepsNames = !model.files.describesItself
        var items: [String: Item] = [:]
        for name in model.weights.names {
            guard let source = model.weights.sources(of: name).first else { continue }
            items[name] = Item(name: keepsNames ? source.entry.name : name, layout: layout(source.entry), source: source.entry)
        }
        for entry in engine.parameters.entries {
            for (part, source) in model.weights.sources(of: entry.name).enumerated() {
                items[source.name]?.trained = (entry, part)
            }
        }
        return items.values.sorted { $0.name < $1.name }
    }

    /// Writes shards with their index, the configuration and the tokenizer.
    package func write(to directory: String, components: any ComponentSource) throws {
        let items = items()
        let tensors = items.map { item in
            let size = item.source.shape.reduce(1, *) * (item.layout == "f32" ? 4 : 2)
            return TensorEntry(name: item.name, layout: item.layout, shape: item.source.shape, size: UInt64(size))
        }
        let writer = try CheckpointWriterHandle(
            format: "safetensors", path: directory,
            options: ["metadata": ["format": "pt"], "max_shard_bytes": .int(Int64(Self.shardBytes))], tensors: tensors,
            components: components)
        for item in items {
            let values = try item.trained.map { try part($0.part, of: $0.entry, shape: item.source.shape) }
                ?? model.files.checkpoint.floats(item.source)
            switch item.layout {
            case "bf16": try writer.write(values.map(HalfFloat.bfloat))
            case "f16": try writer.write(values.map(HalfFloat.half))
            default: try writer.write(values)
            }
        }
        try writer.finish()
        try model.files.writeDescription(to: directory)
    }

    /// Takes the trained parameters from a directory that `write` made.
    package func read(from directory: String, components: any ComponentSource) throws {
        let checkpoint = try CheckpointHandle(path: directory, components: components)
        let names = Dictionary(items().map { ($0.source.name, $0.name) }, uniquingKeysWith: { first, _ in first })
        for entry in engine.parameters.entries {
            var values: [Float] = []
            for source in model.weights.sources(of: entry.name) {
                guard let tensor = checkpoint.tensors[names[source.entry.name] ?? source.name], tensor.shape == source.entry.shape
                else {
                    throw TrainingError(.notFound, "has no tensor \(source.name) of shape \(source.entry.shape)", at: directory)
                }
                let part = try checkpoint.floats(tensor)
                values += entry.isTransposed ? Self.transposed(part, rows: tensor.shape[0]) : part
            }
            try engine.parameters.set(entry.name, values)
        }
    }

    /// The values of one of the file's tensors: an expert of a stack, and turned back where the file is [in, out].
    private func part(_ part: Int, of entry: TrainedParameters.Entry, shape: [Int]) throws -> [Float] {
        let values = try engine.parameters.values(entry.name)
        let count = shape.reduce(1, *)
        guard values.count >= (part + 1) * count else {
            throw TrainingError(.invalid, "\(entry.name) has \(values.count) values, its file wants \(count) a part", at: "export")
        }
        let own = Array(values[part * count..<(part + 1) * count])
        return entry.isTransposed ? Self.transposed(own, rows: shape[1]) : own
    }

    private static func transposed(_ values: [Float], rows: Int) -> [Float] {
        let columns = values.count / max(1, rows)
        return [Float](unsafeUninitializedCapacity: values.count) { out, count in
            for row in 0..<rows { for column in 0..<columns { out[column * rows + row] = values[row * columns + column] } }
            count = values.count
        }
    }
}
