package import Data
package import Model

/// Whether a run that is taken up from a checkpoint ends in the bits of one that was never stopped.
package struct ResumeProof {
    /// Numbers of weights and optimizer states that differ in any bit, of how many.
    package let differing: Int
    package let count: Int
    /// The first tensor that differs.
    package let place: String?

    /// Takes steps over windows of batches: once through, with a checkpoint after the first, and again from that checkpoint on.
    /// - Parameters:
    ///   - windows: The batches of each step, two steps at least.
    ///   - directory: Where the checkpoint is written.
    ///   - engine: Makes an engine as it is before the first step. It is called twice; the first engine is gone by then.
    package init(
        _ windows: [[Batch]], in directory: String, components: any ComponentSource,
        engine: () throws -> TrainingEngine
    ) throws {
        let schedule = Schedule(.cosine, peak: 1e-3, steps: windows.count + 1)
        var settings = Trainer.Settings(schedule: schedule)
        settings.accumulation = windows.map(\.count).max() ?? 1
        let store = CheckpointStore(directory)
        func train(_ engine: TrainingEngine, _ steps: Range<Int>) throws {
            let trainer = Trainer(engine, settings: settings)
            for step in steps { _ = try trainer.step(step + 1, windows[step]) }
        }
        var wanted: [(name: String, bits: [UInt32])] = []
        do {
            let whole = try engine()
            try train(whole, 0..<1)
            var state = TrainerState()
            state.step = 1
            try TrainingCheckpoint.save(
                TrainingCheckpoint.Content(
                    engine: whole, state: state, schedule: schedule, arguments: [:], savesOnlyModel: false,
                    components: components), in: store)
            try train(whole, 1..<windows.count)
            wanted = try Self.bits(whole)
        }
        let resumed = try engine()
        try TrainingCheckpoint(store.path(1)).restore(resumed, components: components)
        try train(resumed, 1..<windows.count)
        var (differing, count) = (0, 0)
        var place: String?
        for (one, other) in zip(wanted, try Self.bits(resumed)) {
            let here = zip(one.bits, other.bits).reduce(0) { $1.0 == $1.1 ? $0 : $0 + 1 }
            if here > 0, place == nil { place = one.name }
            differing += here
            count += one.bits.count
        }
        (self.differing, self.count, self.place) = (differing, count, place)
    }

    /// The bits of all that is trained, and of the optimizer's states.
    private static func bits(_ engine: TrainingEngine) throws -> [(name: String, bits: [UInt32])] {
        try engine.parameters.entries.flatMap { entry in
            let states = try entry.states.map { state in
                let bits =
                    state.type.element == .u8
                    ? try state.buffer.read(UInt8.self, count: state.type.count).map(UInt32.init)
                    : try state.buffer.read(Float.self, count: state.type.count).map(\.bitPattern)
                return (name: "\(entry.name)/\(state.name)", bits: bits)
            }
            return [(name: entry.name, bits: try engine.parameters.values(entry.name).map(\.bitPattern))] + states
        }
    }
}
