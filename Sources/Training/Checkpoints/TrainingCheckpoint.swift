import Files
package import JSON
internal import Host
package import Model

/// A checkpoint of a run: weights or adapter, and all that the next step depends on.
package struct TrainingCheckpoint {
    package let directory: String
    package let state: TrainerState
    /// The command's arguments when it was written.
    package let arguments: JSON

    /// Reads and checks a checkpoint.
    package init(_ directory: String) throws {
        try CheckpointStore.verify(directory)
        let state = "\(directory)/trainer_state.json"
        guard System.kind(of: state) == .file, System.kind(of: "\(directory)/optimizer.safetensors") == .file else {
            throw TrainingError(
                .notFound,
                "holds no optimizer state, so that a run cannot go on from it; it was saved with --save_only_model",
                at: directory)
        }
        self.directory = directory
        self.state = try TrainerState(
            try JSON(file: state), cursor: try JSON(file: "\(directory)/data_cursor.json"), at: directory)
        arguments = try JSON(file: "\(directory)/args.json")
    }

    /// What a checkpoint is made of.
    struct Content {
        let engine: TrainingEngine
        let state: TrainerState
        let schedule: Schedule
        let arguments: JSON
        let savesOnlyModel: Bool
        let components: any ComponentSource
    }

    /// Writes `checkpoint-N` into the store; when this returns it is whole and on disk.
    static func save(_ content: Content, in store: CheckpointStore) throws {
        let place = try ReplacementDirectory(store.path(content.state.step))
        let directory = place.workPath
        let engine = content.engine
        if let tuner = engine.options.tuner {
            try Adapter.save(engine, tuner: tuner, to: directory, components: content.components)
        } else {
            try WeightExport(engine.model, changes: engine.changes).write(to: directory, components: content.components)
        }
        try content.arguments.write(to: "\(directory)/args.json")
        try content.state.json.write(to: "\(directory)/trainer_state.json")
        if !content.savesOnlyModel {
            try engine.writeState(to: "\(directory)/optimizer.safetensors", components: content.components)
            try engine.writeReference(to: "\(directory)/reference.safetensors", components: content.components)
            try content.schedule.json.write(to: "\(directory)/scheduler.json")
            try content.state.cursorJSON.write(to: "\(directory)/data_cursor.json")
            // Noise is a function of these three, so that there is no generator whose state could be lost.
            let random: JSON = [
                "generator": "philox4x32-10, keyed by seed, step and micro-batch",
                "seed": .int(Int64(bitPattern: engine.options.seed)), "step": .int(Int64(content.state.step)),
            ]
            try random.write(to: "\(directory)/rng_state.json")
        }
        try CheckpointStore.seal(directory)
        try place.place()
    }

    /// Puts weights and optimizer states into an engine that was made for the same model and tuner.
    package func restore(_ engine: TrainingEngine, components: any ComponentSource) throws {
        let seed = try JSON(file: "\(directory)/rng_state.json")["seed"]?.int
        guard seed == Int(Int64(bitPattern: engine.options.seed)) else {
            throw TrainingError(
                .invalid,
                "the run was begun with seed \(seed ?? 0), now it is \(engine.options.seed); a run goes on with its own seed",
                at: directory)
        }
        try loadWeights(engine, components: components)
        try engine.readState(from: "\(directory)/optimizer.safetensors", components: components)
        let reference = "\(directory)/reference.safetensors"
        if System.kind(of: reference) == .file { try engine.readReference(from: reference, components: components) }
    }

    /// Puts the trained weights alone into an engine.
    package func loadWeights(_ engine: TrainingEngine, components: any ComponentSource) throws {
        try Self.loadWeights(engine, from: directory, components: components)
    }

    static func loadWeights(_ engine: TrainingEngine, from directory: String, components: any ComponentSource) throws {
        if engine.options.tuner != nil {
            try engine.load(try Adapter(directory: directory, components: components))
        } else {
            try WeightExport(engine.model, changes: engine.changes).read(
                from: directory, components: components, into: engine.parameters.set)
        }
    }
}
