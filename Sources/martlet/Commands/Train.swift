import Bench
import Data
import Files
import Glibc
import Host
import JSON
import Model
import PluginAPI
import Training

/// Fine-tunes a model on files of conversations.
enum TrainCommand: Command {
    static let name = "train"
    static let summary = "Fine-tune a model: LoRA, full; supervised or DPO"
    static var operandCount: ClosedRange<Int> { 0...0 }

    static func run(_ arguments: Arguments) throws {
        let registry = try Session.registry(arguments)
        if arguments.bool("preview") { return try preview(arguments, registry) }
        let directory = try arguments.required("output_dir")
        let checkpoint = try checkpoint(arguments, directory)
        let model = try Session.model(arguments, registry)
        try CheckpointAudit(model).check(model.path)
        let parts = TrainParts(arguments, model, registry)
        try parts.check()
        let tuner = try parts.tuner()
        let engine = try parts.engine(tuner)
        let data = try parts.data(parts.purpose(), directory: directory, continues: checkpoint != nil)
        var settings = try parts.runSettings(directory)
        try parts.checkEvaluation(data, settings)
        let trainer = Trainer(
            engine, settings: try parts.trainerSettings(data, tuner, checkpoint, epochs: settings.epochs))
        settings.arguments = arguments.json
        if ["", "cpu"].contains(arguments.text("device") ?? "") {
            let rate = (engine.options.products == "bf16" ? Ceiling.bf16.measure() : nil) ?? Ceiling.f32.measure()
            settings.peakRate = rate.map { $0 * 1e9 }
        }
        let display = ProgressDisplay(asJSON: arguments.bool("json"))
        // All that was asked for is there: only now is anything written or moved.
        try System.makeDirectories(directory)
        try prepare(directory, checkpoint, display)
        if checkpoint == nil { data.ledger.removeStale() }
        data.validationLedger.removeStale()
        try settings.arguments.write(to: "\(directory)/args.json")
        display.say("\(engine.parameters.count) trained numbers in \(engine.parameters.entries.count) tensors")
        let log = try makeLog(arguments, directory, settings, display, continues: checkpoint != nil, registry)
        let run = TrainingRun(trainer, data: data, settings: settings, log: log, components: registry)
        do {
            if let checkpoint {
                try run.resume(checkpoint)
                display.say("going on after step \(run.state.step) of \(checkpoint.directory)")
            }
            Interruption.listen()
            defer { tellRows(data, display) }
            let ending = try run.run()
            if ending != .interrupted, let tuner {
                try Adapter.save(engine, tuner: tuner, to: directory, components: registry)
            }
            try report(run, ending, display, isAdapter: tuner != nil)
        } catch let status as ExitStatus {
            throw status
        } catch {
            log.fail(error)
            throw error
        }
    }

    /// Says how the run ended and where its weights are.
    private static func report(
        _ run: TrainingRun, _ ending: TrainingRun.Ending, _ display: ProgressDisplay, isAdapter: Bool
    ) throws {
        let directory = run.settings.directory
        let isInterrupted = ending == .interrupted
        let last = isInterrupted ? run.state.step : run.state.finalStep(run.settings)
        let weights = isAdapter && !isInterrupted ? directory : "\(directory)/checkpoint-\(last)"
        display.end([
            "status": .string(ending.rawValue), "steps": .int(Int64(run.state.step)), "weights": .string(weights),
        ])
        if isInterrupted {
            Terminal.error("interrupted after step \(last); go on with --resume_from_checkpoint last")
            throw ExitStatus(code: 130)
        }
        display.say("\(isAdapter ? "adapter" : "weights") saved in \(weights)")
    }

    static func plan(_ plan: inout Plan) throws {
        try TrainPlan(plan.arguments, Session.registry(plan.arguments)).fill(&plan)
    }

    /// What became of the rows.
    private static func tellRows(_ data: TrainingData, _ display: ProgressDisplay) {
        for (what, ledger) in [("", data.ledger), ("evaluation: ", data.validationLedger)]
        where ledger.counts.read > 0 {
            let listed = ledger.counts.rejectedRows > 0 ? ledger.path.map { "; \($0) lists them" } : nil
            display.say(what + ledger.counts.summary + (listed ?? ""))
        }
    }

    /// Shows the first rows in the order of training, and the first that could not be read.
    private static func preview(_ arguments: Arguments, _ registry: Registry) throws {
        let parts = TrainParts(arguments, try Session.model(arguments, registry), registry)
        let purpose = try parts.purpose()
        let (data, encoder) = (try parts.data(purpose, directory: nil), try parts.encoder(purpose))
        let feed = try data.preview()
        let preview = Preview(Terminal.isInteractive ? .color : .brackets)
        let isJSON = arguments.bool("json")
        func tell(_ reject: Reject) {
            if isJSON { Terminal.line(reject.json.text()) } else { Terminal.error("rejected: \(reject)") }
        }
        data.unreadable.prefix(previewed).forEach(tell)
        var shown = 0
        while shown < previewed, let row = try feed.next() {
            switch row {
            case .examples(let examples, _, let place):
                for example in examples {
                    if isJSON {
                        Terminal.line(Preview.json(example, at: place, encoder: encoder).text())
                    } else {
                        Terminal.write(preview.text(example, at: place, encoder: encoder))
                    }
                }
                shown += 1
            case .rejected(let reject): tell(reject)
            }
        }
    }

    /// Rows that a preview shows.
    private static let previewed = 5

    /// The checkpoint that the run is to go on from.
    static func checkpoint(_ arguments: Arguments, _ directory: String) throws -> TrainingCheckpoint? {
        guard let named = arguments.text("resume_from_checkpoint"), named != "false" else { return nil }
        guard ["last", "true"].contains(named) else { return try goingOn(from: named, arguments) }
        let newest = try CheckpointStore(directory).newestComplete()
        for problem in newest.problems { Terminal.error("checkpoint passed over: \(problem)") }
        guard let path = newest.path else {
            throw TrainingError(
                .notFound, "holds no whole checkpoint to go on from; leave out --resume_from_checkpoint", at: directory)
        }
        return try goingOn(from: path, arguments)
    }

    /// A checkpoint of this very training; what is otherwise and may be is said.
    private static func goingOn(from path: String, _ arguments: Arguments) throws -> TrainingCheckpoint {
        let checkpoint = try TrainingCheckpoint(path)
        let resume = TrainResume(from: checkpoint.arguments, to: arguments.json)
        try resume.check(path)
        for difference in resume.allowed { Terminal.note(difference.text) }
        return checkpoint
    }

    /// Clears away what killed runs left, and moves checkpoints aside that this run does not go on from.
    private static func prepare(
        _ directory: String, _ checkpoint: TrainingCheckpoint?, _ display: ProgressDisplay
    ) throws {
        try ReplacementDirectory.sweep(directory)
        if let place = try CheckpointStore(directory).setAside(above: checkpoint?.state.step ?? -1) {
            display.say("checkpoints of an earlier run moved to \(place)")
        }
    }

    private static func makeLog(
        _ arguments: Arguments, _ directory: String, _ settings: RunSettings, _ display: ProgressDisplay,
        continues: Bool, _ registry: Registry
    ) throws -> RunLog {
        let name = arguments.text("run_name") ?? System.lastComponent(of: directory)
        let installed = registry.componentIDs(kind: MT_KIND_LOGGER)
        let wanted = arguments.list("report_to").flatMap { $0 == "all" ? installed : [$0] }.filter { $0 != "none" }
        let loggers = try wanted.compactMap { id -> LoggerHandle? in
            do {
                return try LoggerHandle(
                    id: id, directory: directory, run: name, configuration: settings.arguments, components: registry)
            } catch  where !arguments.has("report_to") {
                // What nobody asked for must not keep anybody from training.
                Terminal.error("without the logger \(id): \(error)")
                return nil
            }
        }
        var index: RunIndex?
        do {
            index = try RunIndex(RunIndex.standardPath)
            try index?.begin(
                name: name, directory: FileSystem.real(directory) ?? directory, arguments: settings.arguments,
                continues: continues)
        } catch {
            Terminal.error("without the index of runs: \(error)")
            index = nil
        }
        return try RunLog(
            directory: directory, continues: continues, loggers: loggers, index: index, watch: display.show)
    }
}
