internal import JSON
package import PluginKit

/// Writes a model's tensors as a checkpoint, in its own format or another.
///
/// GGUF takes names, rope order, tokenizer and chat template from the model's files; safetensors takes tensors alone, and the
/// other files are copied by whoever asks.
package struct CheckpointExport {
    private let files: ModelFiles
    private let components: any ComponentSource
    /// "gguf" or "safetensors".
    package var format: String
    /// What GGUF makes of matrices: "f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"; nil keeps their own.
    package var layout: String?
    /// Largest data of one safetensors file.
    package var maximumShardBytes: Int?
    /// Tensors that are written with other values than the checkpoint's, such as merged ones.
    package var replaced: Set<String> = []
    /// The values of a replaced tensor, row-major in its shape.
    package var values: (TensorEntry) throws -> [Float] = { _ in [] }
    /// Gets the share that is written, from 0 to 1; false stops.
    package var progress: (Double) -> Bool = { _ in true }

    package init(_ files: ModelFiles, format: String, components: any ComponentSource) {
        self.files = files
        self.format = format
        self.components = components
    }

    /// - Parameter path: The file ("gguf") or directory ("safetensors"); it appears when it is whole.
    package func write(to path: String) throws {
        let checkpoint = files.checkpoint
        let sources = checkpoint.tensors.values.sorted { ($0.file, $0.offset, $0.name) < ($1.file, $1.offset, $1.name) }
        let written = try sources.map { source in
            var entry = source
            if isRewritten(source) {
                guard WeightStore.denseLayouts.contains(source.layout) else {
                    throw ModelError(
                        .unsupported,
                        "tensor \(source.name) of layout \(source.layout) cannot be written anew; start from f32, f16 or bf16",
                        at: checkpoint.path)
                }
                entry.layout = "f32"
                entry.size = UInt64(4 * source.shape.reduce(1, *))
            }
            entry.permutedHeads = 0
            entry.addend = 0
            return entry
        }
        let writer = try CheckpointWriterHandle(
            format: format, path: path, options: .object(try options()), tensors: written, components: components)
        let total = max(1, written.reduce(0.0) { $0 + Double($1.size) })
        var done = 0.0
        for (source, entry) in zip(sources, written) {
            if replaced.contains(source.name) {
                let values = try values(source)
                guard values.count == source.shape.reduce(1, *) else {
                    throw ModelError(
                        .invalid, "\(values.count) values stand in for tensor \(source.name) of shape \(source.shape)",
                        at: path)
                }
                try writer.write(values)
            } else if isRewritten(source) {
                try writer.write(checkpoint.floats(source))
            } else {
                try writer.write(checkpoint.bytes(of: source))
            }
            done += Double(entry.size)
            guard progress(done / total) else { throw ModelError(.io, "stopped; nothing is left of it", at: path) }
        }
        try writer.finish()
    }

    private func isRewritten(_ source: TensorEntry) -> Bool {
        replaced.contains(source.name) || source.permutedHeads != 0 || source.addend != 0
    }

    private func options() throws -> JSONObject {
        var options = JSONObject([("config", files.config), ("directory", .string(files.directory))])
        let tokenizer = files.ggufTokenizer
        if !tokenizer.isEmpty { options["tokenizer"] = try JSON(parsing: tokenizer) }
        options["chat_template"] = files.chatTemplate.map { .string($0) }
        options["linear_order"] = files.checkpoint.summary["linear_order"]
        options["layout"] = layout.map { .string($0) }
        options["max_shard_bytes"] = maximumShardBytes.map { .int(Int64($0)) }
        return options
    }
}
