package import Data
import Files
internal import JSON
package import Model

/// A run from its first step, or the step at which a checkpoint was written, to its end.
package final class TrainingRun {
    /// How a run ended.
    package enum Ending: String, Sendable { case finished, stoppedEarly = "stopped early", interrupted }

    package let trainer: Trainer
    package let settings: RunSettings
    package private(set) var state = TrainerState()
    private let data: TrainingData
    private let store: CheckpointStore
    private let log: RunLog
    private let components: any ComponentSource
    private let operationsPerToken: Double?
    private var savedStep: Int?
    private var lastEvaluation: Int?
    private var sessionStart = 0.0
    private var sessionFirstStep = 0
    private var earlierSeconds = 0.0
    /// Since the last line of the log.
    private var recent = RecentSteps()

    package init(
        _ trainer: Trainer, data: TrainingData, settings: RunSettings, log: RunLog, components: any ComponentSource
    ) {
        self.trainer = trainer
        self.data = data
        self.settings = settings
        self.log = log
        self.components = components
        store = CheckpointStore(settings.directory)
        operationsPerToken = settings.peakRate == nil ? nil : try? trainer.engine.operationsPerToken()
        state.plannedSteps = trainer.settings.schedule.steps
        state.epochCount = settings.epochs
    }

    /// Takes up a run where a checkpoint left it: weights, optimizer states, data and counts.
    package func resume(_ checkpoint: TrainingCheckpoint) throws {
        try checkpoint.restore(trainer.engine, components: components)
        state = checkpoint.state
        if let rows = state.rows { try data.ledger.restore(rows) }
        state.plannedSteps = trainer.settings.schedule.steps
        state.epochCount = settings.epochs
        savedStep = state.step
        earlierSeconds = state.seconds
    }

    /// Trains to the end.
    package func run() throws -> Ending {
        sessionStart = Clock.now
        sessionFirstStep = state.step
        let validates = data.validationBatches() != nil
        if validates, settings.evaluatesFirst, state.step == 0 { try evaluate() }
        let ending = try epochs(validates: validates)
        if ending != .interrupted, validates, settings.evaluates != .never, lastEvaluation != state.step {
            try evaluate()
        }
        if savedStep != state.step { try save() }
        try tellRows()
        if ending != .interrupted { try data.ledger.check(isFinal: true) }
        if ending != .interrupted, settings.loadsBestAtEnd, let best = state.bestStep, best != state.step {
            try TrainingCheckpoint.loadWeights(trainer.engine, from: store.path(best), components: components)
            log.note("weights of the best checkpoint, checkpoint-\(best)")
        }
        try log.close(ending.rawValue)
        return ending
    }

    /// Puts what became of the rows at the end of the log.
    private func tellRows() throws {
        var line = JSONObject([("step", .int(Int64(state.step))), ("rows", .object(data.ledger.counts.json))])
        let validation = data.validationLedger.counts
        if validation.read > 0 { line["eval_rows"] = .object(validation.json) }
        try log.summarize(.object(line))
    }

    private func epochs(validates: Bool) throws -> Ending {
        while settings.maximumSteps != nil || state.epoch < settings.epochs {
            let batches = try data.batches(epoch: state.epoch)
            let isResumed = state.cursor != nil
            if let cursor = state.cursor { try batches.restore(cursor) }
            var isEmpty = true
            while state.step < settings.maximumSteps ?? .max, let window = try window(of: batches) {
                isEmpty = false
                try advance(window, batches)
                if validates, settings.evaluates.isDue(state.step) { try evaluate() }
                if settings.saves.isDue(state.step) { try save() }
                if Interruption.isWanted { return .interrupted }
                if shouldStopEarly { return .stoppedEarly }
            }
            if let maximum = settings.maximumSteps, state.step >= maximum { return .finished }
            if isEmpty, !isResumed {
                throw TrainingError(.invalid, "no row is left to train on; rejects.jsonl says why", at: "dataset")
            }
            state.epoch += 1
            state.cursor = nil
            state.epochShare = 0
            if validates, settings.evaluates == .epoch { try evaluate() }
            if settings.saves == .epoch { try save() }
            if shouldStopEarly { return .stoppedEarly }
        }
        return .finished
    }

    private func window(of batches: BatchStream) throws -> [Batch]? {
        var window: [Batch] = []
        while window.count < trainer.settings.accumulation, let batch = try batches.next() { window.append(batch) }
        return window.isEmpty ? nil : window
    }

    // MARK: Steps

    private func advance(_ window: [Batch], _ batches: BatchStream) throws {
        do {
            let record = try trainer.step(state.step + 1, window)
            recent.add(record)
        } catch let error as TrainingError where error.code == .nonFinite && settings.nonFinite == .skip {
            state.skippedSteps += 1
            log.note("skipped: \(error)")
            try log.write(["step": .int(Int64(state.step + 1)), "skipped": .string(error.description)])
        }
        state.step += 1
        state.cursor = batches.state
        state.tokens += window.reduce(0) { $0 + $1.tokenCount }
        state.seconds = earlierSeconds + Clock.now - sessionStart
        state.epochShare =
            data.rowCount.map { rows in
                min(1, Double(batches.rowNumber) / Double(max(1, rows)))
            } ?? 0
        guard let last = recent.last else { return }
        log.show(progress(last))
        if state.step == 1 || state.step % max(1, settings.loggingSteps) == 0 || state.step == settings.maximumSteps {
            try write(recent.summary(state, peakShare: peakShare))
            recent = RecentSteps()
        }
    }

    private func progress(_ record: Trainer.Record) -> RunProgress {
        RunProgress(
            step: state.step, plannedSteps: settings.maximumSteps ?? state.plannedSteps, record: record,
            seconds: state.seconds - earlierSeconds, sessionSteps: state.step - sessionFirstStep,
            peakShare: peakShare(record.tokens, record.seconds))
    }

    private func peakShare(_ tokens: Int, _ seconds: Double) -> Double? {
        guard let peak = settings.peakRate, let operations = operationsPerToken, seconds > 0 else { return nil }
        return operations * Double(tokens) / seconds / peak
    }

    private func write(_ line: JSON) throws {
        state.history.append(line)
        try log.write(line)
    }

    // MARK: Evaluation

    private func evaluate() throws {
        let start = Clock.now
        guard let result = try trainer.evaluate(data.validationBatches) else { return }
        lastEvaluation = state.step
        var line = JSONObject([
            ("step", .int(Int64(state.step))), ("epoch", .double(Double(state.epoch) + state.epochShare)),
        ])
        line["eval_loss"] = .double(result.loss)
        for (name, value) in result.metrics.sorted(by: { $0.key < $1.key }) { line["eval_\(name)"] = .double(value) }
        line["eval_samples"] = .int(Int64(result.rows))
        line["eval_runtime"] = .double(Clock.now - start)
        try write(.object(line))
        guard let metric = line[settings.bestMetric]?.double else {
            throw TrainingError(
                .invalid,
                "is not measured; this run has \(line.map(\.key).filter { $0.hasPrefix("eval_") }.joined(separator: ", "))",
                at: "metric_for_best_model \(settings.bestMetric)")
        }
        if state.bestMetric.map({ settings.isGreaterBetter ? metric > $0 : metric < $0 }) ?? true {
            // Weights before the first step are no checkpoint.
            state.bestMetric = state.step == 0 ? nil : metric
            state.bestStep = state.step == 0 ? nil : state.step
            state.evaluationsSinceBest = 0
            try save()
        } else {
            state.evaluationsSinceBest += 1
        }
    }

    private var shouldStopEarly: Bool {
        guard let limit = settings.earlyStopInterval, state.evaluationsSinceBest >= limit else { return false }
        log.note("\(settings.bestMetric) has not become better over \(limit) evaluations: stopping early")
        return true
    }

    // MARK: Checkpoints

    private func save() throws {
        guard savedStep != state.step, state.step > 0 else { return }
        state.rows = data.ledger.state
        try TrainingCheckpoint.save(
            TrainingCheckpoint.Content(
                engine: trainer.engine, state: state, schedule: trainer.settings.schedule,
                arguments: settings.arguments,
                savesOnlyModel: settings.savesOnlyModel, components: components), in: store)
        savedStep = state.step
        for problem in store.prune(limit: settings.saveLimit, best: state.bestStep) { log.note(problem) }
    }
}
