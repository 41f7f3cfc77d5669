package import JSON

/// Where a run stands: all that the next step depends on besides weights and optimizer states.
package struct TrainerState: Sendable {
    /// Optimizer steps done.
    package var step = 0
    /// The epoch of the next batch, counted from 0.
    package var epoch = 0
    /// Where in the epoch the next batch stands; nil at its beginning.
    package var cursor: JSON?
    /// What became of the rows so far, as `RejectLedger` keeps it.
    package var rows: JSON?
    package var tokens = 0
    /// Seconds spent in this and earlier sessions of the run.
    package var seconds = 0.0
    package var skippedSteps = 0
    /// Of the metric that the best checkpoint is chosen by.
    package var bestMetric: Double?
    package var bestStep: Int?
    /// Evaluations since the metric was last better.
    package var evaluationsSinceBest = 0
    /// What was logged, as transformers keeps it.
    package var history: [JSON] = []
    /// Steps that the schedule was laid out for.
    package var plannedSteps = 0
    package var epochCount = 0
    /// The share of the present epoch that is done, for display.
    package var epochShare = 0.0

    package init() {}

    /// The step whose weights a finished run ends with.
    package func finalStep(_ settings: RunSettings) -> Int { settings.loadsBestAtEnd ? bestStep ?? step : step }

    /// trainer_state.json under transformers' names.
    var json: JSON {
        [
            "global_step": .int(Int64(step)), "epoch": .double(Double(epoch) + epochShare),
            "max_steps": .int(Int64(plannedSteps)),
            "num_train_epochs": .int(Int64(epochCount)), "best_metric": bestMetric.map(JSON.double) ?? .null,
            "best_global_step": bestStep.map { .int(Int64($0)) } ?? .null,
            "best_model_checkpoint": bestStep.map { .string("checkpoint-\($0)") } ?? .null,
            "evaluations_since_best": .int(Int64(evaluationsSinceBest)), "total_tokens": .int(Int64(tokens)),
            "elapsed_seconds": .double(seconds), "skipped_steps": .int(Int64(skippedSteps)), "rows": rows ?? .null,
            "log_history": .array(history),
        ]
    }

    /// data_cursor.json.
    var cursorJSON: JSON { ["epoch": .int(Int64(epoch)), "batches": cursor ?? .null, "ledger": rows ?? .null] }

    init(_ json: JSON, cursor document: JSON, at path: String) throws {
        guard let step = json["global_step"]?.int, let epoch = document["epoch"]?.int, step >= 0, epoch >= 0 else {
            throw TrainingError(.invalid, "trainer_state.json or data_cursor.json lacks its step or epoch", at: path)
        }
        self.step = step
        self.epoch = epoch
        if let batches = document["batches"], batches.object != nil { cursor = batches }
        rows = document["ledger"]?.object == nil ? cursor?["ledger"] : document["ledger"]
        epochShare = max(0, (json["epoch"]?.double ?? 0) - Double(epoch))
        tokens = json["total_tokens"]?.int ?? 0
        seconds = json["elapsed_seconds"]?.double ?? 0
        skippedSteps = json["skipped_steps"]?.int ?? 0
        bestMetric = json["best_metric"]?.double
        bestStep = json["best_global_step"]?.int
        evaluationsSinceBest = json["evaluations_since_best"]?.int ?? 0
        history = json["log_history"]?.array ?? []
        plannedSteps = json["max_steps"]?.int ?? 0
        epochCount = json["num_train_epochs"]?.int ?? 0
    }
}
