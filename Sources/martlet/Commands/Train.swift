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
        let parts = TrainParts(arguments, model, registry)
        let tuner = try parts.tuner()
        let engine = try parts.engine(tuner)
        let data = try parts.data(parts.purpose(), directory: directory, continues: checkpoint != nil)
        var settings = try parts.runSettings(directory)
        let trainer = Trainer(
            engine, settings: try parts.trainerSettings(data, tuner, checkpoint, epochs: settings.epochs))
        settings.arguments = arguments.json
        if ["", "cpu"].contains(arguments.text("device") ?? "") {
            let rate = (engine.options.products == "bf16" ? Ceiling.bf16.measure() : nil) ?? Ceiling.f32.measure()
            settings.peakRate = rate.map { $0 * 1e9 }
        }
        // All that was asked for is there: only now is anything written or moved.
        try System.makeDirectories(directory)
        try prepare(directory, checkpoint)
        if checkpoint == nil { data.ledger.removeStale() }
        data.validationLedger.removeStale()
        try settings.arguments.write(to: "\(directory)/args.json")
        Terminal.line("\(engine.parameters.count) trained numbers in \(engine.parameters.entries.count) tensors")
        let log = try makeLog(arguments, directory, settings, continues: checkpoint != nil, registry)
        let run = TrainingRun(trainer, data: data, settings: settings, log: log, components: registry)
        if let checkpoint {
            try run.resume(checkpoint)
            Terminal.line("going on after step \(run.state.step) of \(checkpoint.directory)")
        }
        Interruption.listen()
        let ending: TrainingRun.Ending
        do {
            ending = try run.run()
        } catch {
            tellRows(data)
            throw error
        }
        tellRows(data)
        if ending == .interrupted {
            Terminal.error("interrupted after step \(run.state.step); go on with --resume_from_checkpoint last")
            throw ExitStatus(code: 130)
        }
        if let tuner {
            try Adapter.save(engine, tuner: tuner, to: directory, components: registry)
            Terminal.line("adapter saved in \(directory)")
        } else {
            Terminal.line("weights saved in \(directory)/checkpoint-\(run.state.finalStep(settings))")
        }
    }

    static func plan(_ plan: inout Plan) throws {
        try TrainPlan(plan.arguments, Session.registry(plan.arguments)).fill(&plan)
    }

    /// What became of the rows.
    private static func tellRows(_ data: TrainingData) {
        for (what, ledger) in [("", data.ledger), ("evaluation: ", data.validationLedger)]
        where ledger.counts.read > 0 {
            let listed = ledger.counts.rejectedRows > 0 ? ledger.path.map { "; \($0) lists them" } : nil
            Terminal.line(what + ledger.counts.summary + (listed ?? ""))
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
    private static func checkpoint(_ arguments: Arguments, _ directory: String) throws -> TrainingCheckpoint? {
        guard let named = arguments.text("resume_from_checkpoint"), named != "false" else { return nil }
        guard ["last", "true"].contains(named) else { return try TrainingCheckpoint(named) }
        let newest = try CheckpointStore(directory).newestComplete()
        for problem in newest.problems { Terminal.error("checkpoint passed over: \(problem)") }
        guard let path = newest.path else {
            throw TrainingError(
                .notFound, "holds no whole checkpoint to go on from; leave out --resume_from_checkpoint", at: directory)
        }
        return try TrainingCheckpoint(path)
    }

    /// Clears away what killed runs left, and moves checkpoints aside that this run does not go on from.
    private static func prepare(_ directory: String, _ checkpoint: TrainingCheckpoint?) throws {
        try ReplacementDirectory.sweep(directory)
        if let place = try CheckpointStore(directory).setAside(above: checkpoint?.state.step ?? -1) {
            Terminal.line("checkpoints of an earlier run moved to \(place)")
        }
    }

    private static func makeLog(
        _ arguments: Arguments, _ directory: String, _ settings: RunSettings, continues: Bool, _ registry: Registry
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
        let display = ProgressDisplay()
        return try RunLog(
            directory: directory, continues: continues, loggers: loggers, index: index, watch: display.show)
    }
}
