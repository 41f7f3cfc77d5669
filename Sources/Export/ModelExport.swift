import Files
internal import JSON
package import Model
internal import Training

/// Writes a model, with an adapter worked into it or without, for other programs: a Hugging Face directory or a GGUF file.
///
/// Merging is done in f32 and rounded once, to the layout that is asked for or the tensor has in the checkpoint; what the
/// checkpoint has quantized is written in 16 bits.
package struct ModelExport {
    private let model: Model
    private let merge: AdapterMerge?
    private let components: any ComponentSource
    /// The layout of every tensor: "bf16", "f16" or "f32"; nil keeps the checkpoint's, and takes bf16 for what it has quantized.
    package var layout: String?
    /// Largest safetensors file.
    package var shardBytes = 5_000_000_000
    /// What a GGUF file's matrices become, such as "q8_0"; nil keeps their layout.
    package var ggufLayout: String?
    /// Gets the share that is written, from 0 to 1.
    package var progress: (Double) -> Void = { _ in }

    package init(_ model: Model, merge: AdapterMerge?, components: any ComponentSource) {
        self.model = model
        self.merge = merge
        self.components = components
    }

    /// Writes safetensors with configuration, tokenizer and chat template; the directory appears when it is whole.
    package func writeDirectory(_ path: String) throws {
        let place = try ReplacementDirectory(path)
        try fill(place.workPath)
        try place.place()
    }

    /// Writes one GGUF file; it appears when it is whole.
    package func writeGGUF(_ path: String) throws {
        if merge == nil, !model.files.describesItself { return try writeGGUF(path, from: model.files) }
        // GGUF's names and order of rows are made from a directory's.
        let merged = path + ".merged"
        try ReplacementDirectory.remove(merged)
        defer { try? ReplacementDirectory.remove(merged) }
        try fill(merged)
        try writeGGUF(path, from: ModelFiles(path: merged, components: components))
    }

    private func writeGGUF(_ path: String, from files: ModelFiles) throws {
        var export = CheckpointExport(files, format: "gguf", components: components)
        export.layout = ggufLayout
        export.progress = { [progress] in
            progress($0)
            return true
        }
        try export.write(to: path)
    }

    /// Removes what was written.
    func remove(_ path: String) { try? ReplacementDirectory.remove(path) }

    private func fill(_ directory: String) throws {
        let export = WeightExport(
            model, changes: merge?.changes ?? WeightExport.Changes(), layout: layout, shardBytes: shardBytes)
        try export.write(to: directory, components: components, progress: progress)
        guard model.files.describesItself else { return }
        if let tokenizer = try? JSON(parsing: model.files.ggufTokenizer) {
            if let published = PublishedTokenizer(tokenizer) {
                try published.document.write(to: System.join(directory, "tokenizer.json"))
                try published.config.write(to: System.join(directory, "tokenizer_config.json"))
            } else if let pieces = SentencePieceModel(tokenizer) {
                try pieces.write(to: directory, modelType: model.files.config["model_type"]?.string ?? "")
            }
        }
        if model.files.generation.object?.isEmpty ?? true, !model.endTokens.isEmpty {
            let ends = model.endTokens.map { JSON.int(Int64($0)) }
            let generation: JSON = ["eos_token_id": ends.count == 1 ? ends[0] : .array(ends)]
            try generation.write(to: System.join(directory, "generation_config.json"))
        }
    }
}
