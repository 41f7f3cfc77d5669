import Data
import Files
import Host
import Hub
import JSON
import Model
import Training

/// What a training run would do: `--dry_run`.
struct TrainPlan {
    private let arguments: Arguments
    private let registry: Registry

    init(_ arguments: Arguments, _ registry: Registry) {
        self.arguments = arguments
        self.registry = registry
    }

    /// Resolves all that can be without fetching or writing, and says it.
    func fill(_ plan: inout Plan) throws {
        let model = try plan.model(registry)
        if let name = arguments.text("ref_model"), let path = try plan.locate("reference", name, registry) {
            plan.add("reference", path)
        }
        guard !arguments.list("dataset").isEmpty else { throw UsageError("--dataset is missing") }
        try plan.datasets(["dataset", "val_dataset"], registry)
        // What does not hang on the model is checked in any case.
        let method = try TrainMethod(arguments, registry)
        plan.add("objective", method.objectiveID)
        plan.add("optimizer", try method.optimizerID())
        _ = try (method.objective(), method.optimizer())
        if let model, plan.holdsAll { try fill(&plan, model) }
        let output = try arguments.required("output_dir")
        if let checkpoint = try TrainCommand.checkpoint(arguments, output) {
            plan.add("goes on", "after step \(checkpoint.state.step) of \(checkpoint.directory)")
        }
        plan.add("output", output)
    }

    private func fill(_ plan: inout Plan, _ model: Model) throws {
        let parts = TrainParts(arguments, model, registry)
        try parts.check()
        let tuner = try parts.tuner()
        let data = try parts.data(parts.purpose(), directory: nil)
        let run = try parts.runSettings("")
        try parts.checkEvaluation(data, run)
        var longest = MemoryEstimate.Batch(tokens: 16, rows: 1)
        var (batches, tokens) = (0, 0)
        let stream = try data.batches(epoch: 0)
        while batches < 4096, let batch = try stream.next() {
            batches += 1
            tokens += batch.tokenCount
            if batch.tokenCount > longest.tokens {
                longest = .init(tokens: batch.tokenCount, rows: batch.sequenceCount)
            }
        }
        let rows = batches < 4096 ? "" : data.rowCount.map { "of \($0): " } ?? "of a stream: "
        plan.add(
            "rows",
            "\(rows)\(data.ledger.counts.summary); \(batches) batches of \(tokens) tokens in all, the longest \(longest.tokens)"
        )
        if let stream = data.validationBatches() {
            var read = 0
            while read < 4096, try stream.next() != nil { read += 1 }
            plan.add("evaluation", data.validationLedger.counts.summary)
        }
        let settings = try parts.trainerSettings(data, tuner, nil, epochs: run.epochs)
        plan.add(
            "steps",
            "\(settings.schedule.steps) of \(settings.accumulation) batches, peak learning rate \(settings.schedule.peak)"
        )
        let memory = try MemoryEstimate(training: model, parts.method(tuner), batch: longest)
        let trained = memory.parts.first { $0.name == "trained tensors" }?.bytes ?? 0
        let what = tuner == nil ? "the weights themselves" : arguments.text("tuner_type") ?? "lora"
        plan.add("trained", "\(trained / 4) numbers, \(what)")
        plan.memory(memory)
    }
}
