internal import Graph
internal import JSON
internal import PluginKit

/// A model's weights, some of them with other values, as a directory in Hugging Face's layout.
///
/// Tensors keep the names, shapes and 16-bit layouts of the checkpoint; those of a file that describes itself (GGUF) get the
/// published names. What the checkpoint has quantized is decoded and written in 16 bits. One layout may be asked for all.
package struct WeightExport {
    /// Parameters that have other values than the checkpoint's.
    package struct Changes {
        /// By the family's names: whether the checkpoint holds it as [in, out].
        package let isTransposed: [String: Bool]
        /// A parameter's values in f32, as the family reads it.
        package let values: (String) throws -> [Float]

        package init(isTransposed: [String: Bool] = [:], values: @escaping (String) throws -> [Float] = { _ in [] }) {
            self.isTransposed = isTransposed
            self.values = values
        }
    }

    private let model: Model
    private let changes: Changes
    /// The layout of what the checkpoint has quantized: "bf16", "f16" or "f32".
    private let dense: String
    /// The layout of every tensor; nil keeps the checkpoint's own.
    private let whole: String?
    /// Largest file; the default is that of the hub's tools.
    private let shardBytes: Int

    /// - Parameter layout: "bf16", "f16" or "f32" for every tensor.
    package init(
        _ model: Model, changes: Changes = Changes(), layout: String? = nil, shardBytes: Int = 5_000_000_000
    ) {
        self.model = model
        self.changes = changes
        whole = layout
        dense = layout ?? model.weights.dense ?? "bf16"
        self.shardBytes = shardBytes
    }

    /// A tensor to be written: which part of which changed parameter it is, or none.
    private struct Item {
        let name: String
        let layout: String
        let source: TensorEntry
        var changed: (parameter: String, part: Int)?
        /// The file has [out, in], and published checkpoints [in, out].
        let turns: Bool
        var shape: [Int] { turns ? source.shape.reversed() : source.shape }
    }

    private static func isDense(_ source: TensorEntry) -> Bool { WeightStore.denseLayouts.contains(source.layout) }

    private func layout(_ source: TensorEntry) -> String {
        whole ?? (Self.isDense(source) && source.layout != "f64" ? source.layout : dense)
    }

    /// Whether the written tensors hold a parameter's f32 values to the bit.
    package func isExact(_ parameter: String) -> Bool {
        model.weights.sources(of: parameter).allSatisfy { layout($0.entry) == "f32" }
    }

    private func items() throws -> [Item] {
        let keepsNames = !model.files.describesItself
        let turned =
            model.files.checkpoint.holdsOutputsFirst
            ? Set(try model.family.outline().parameters.filter(\.isTransposed).map(\.name)) : []
        var items: [String: Item] = [:]
        for name in model.weights.names {
            guard let source = model.weights.sources(of: name).first else { continue }
            items[name] = Item(
                name: keepsNames ? source.entry.name : name, layout: layout(source.entry), source: source.entry,
                turns: turned.contains(name))
        }
        for parameter in changes.isTransposed.keys {
            for (part, source) in model.weights.sources(of: parameter).enumerated() {
                items[source.name]?.changed = (parameter, part)
            }
        }
        return items.values.sorted { $0.name < $1.name }
    }

    /// Writes shards with their index, the configuration and the tokenizer.
    /// - Parameter progress: Gets the share that is written, from 0 to 1.
    package func write(to directory: String, components: any ComponentSource, progress: (Double) -> Void = { _ in })
        throws
    {
        let items = try items()
        let tensors = items.map { item in
            let size = item.source.shape.reduce(1, *) * (item.layout == "f32" ? 4 : 2)
            return TensorEntry(name: item.name, layout: item.layout, shape: item.shape, size: UInt64(size))
        }
        let writer = try CheckpointWriterHandle(
            format: "safetensors", path: directory,
            options: ["metadata": ["format": "pt"], "max_shard_bytes": .int(Int64(shardBytes))], tensors: tensors,
            components: components)
        let total = max(1, tensors.reduce(0.0) { $0 + Double($1.size) })
        var done = 0.0
        for (item, tensor) in zip(items, tensors) {
            let own = try values(item)
            let values = item.turns ? Self.transposed(own, rows: item.source.shape[0]) : own
            switch item.layout {
            case "bf16": try writer.write(values.map(HalfFloat.bfloat))
            case "f16": try writer.write(values.map(HalfFloat.half))
            default: try writer.write(values)
            }
            done += Double(tensor.size)
            progress(done / total)
        }
        try writer.finish()
        try model.files.writeDescription(
            to: directory, decodedAs: items.contains { $0.layout != $0.source.layout } ? dense : nil)
    }

    private func values(_ item: Item) throws -> [Float] {
        if let changed = item.changed { return try part(changed.part, of: changed.parameter, shape: item.source.shape) }
        if Self.isDense(item.source) { return try model.files.checkpoint.floats(item.source) }
        // The model reads this one by its published name.
        return try model.decoded(Parameter(name: item.name, shape: item.source.shape, layout: item.source.layout))
    }

    /// Takes the changed parameters from a directory that `write` made.
    package func read(
        from directory: String, components: any ComponentSource, into set: (String, [Float]) throws -> Void
    ) throws {
        let checkpoint = try CheckpointHandle(path: directory, components: components)
        let items = Dictionary(try items().map { ($0.source.name, $0) }, uniquingKeysWith: { first, _ in first })
        for (parameter, isTransposed) in changes.isTransposed.sorted(by: { $0.key < $1.key }) {
            var values: [Float] = []
            for source in model.weights.sources(of: parameter) {
                let item = items[source.entry.name]
                guard let tensor = checkpoint.tensors[item?.name ?? source.name],
                    tensor.shape == item?.shape ?? source.entry.shape
                else {
                    throw ModelError(
                        .notFound, "has no tensor \(source.name) of shape \(source.entry.shape)", at: directory)
                }
                let part = try checkpoint.floats(tensor)
                values += isTransposed || item?.turns == true ? Self.transposed(part, rows: tensor.shape[0]) : part
            }
            try set(parameter, values)
        }
    }

    /// The values of one of the file's tensors: an expert of a stack, and turned back where the file is [in, out].
    private func part(_ part: Int, of parameter: String, shape: [Int]) throws -> [Float] {
        let values = try changes.values(parameter)
        let count = shape.reduce(1, *)
        guard values.count >= (part + 1) * count else {
            throw ModelError(
                .invalid, "\(parameter) has \(values.count) values, its file wants \(count) a part", at: model.path)
        }
        let own = Array(values[part * count..<(part + 1) * count])
        return changes.isTransposed[parameter] == true ? Self.transposed(own, rows: shape[1]) : own
    }

    private static func transposed(_ values: [Float], rows: Int) -> [Float] {
        let columns = values.count / max(1, rows)
        return [Float](unsafeUninitializedCapacity: values.count) { out, count in
            for row in 0..<rows {
                for column in 0..<columns { out[column * rows + row] = values[row * columns + column] }
            }
            count = values.count
        }
    }
}
