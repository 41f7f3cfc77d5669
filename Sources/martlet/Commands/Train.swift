import Data
import Files
import Glibc
import Graph
import Host
import JSON
import Model
import PluginAPI
import PluginKit
import Template
import Training

/// Fine-tunes a model on files of conversations.
enum TrainCommand: Command {
    static let name = "train"
    static let summary = "Fine-tune a model: LoRA, full; supervised or DPO"
    static let flags =
        Session.modelFlags + [
            Flag("dataset", .list, "Files, directories or names, each with #n to sample n rows"),
            Flag("val_dataset", .list, "Data sets to evaluate on"),
            Flag("split_dataset_ratio", .number, "Share of the rows kept for evaluation", default: "0"),
            Flag("rlhf_type", .text, "dpo trains on preference pairs; without it: supervised"),
            Flag("beta", .number, "DPO's beta", default: "0.1"),
            Flag("loss_type", .text, "DPO's variant", default: "sigmoid"),
            Flag("tuner_type", .text, "lora or full", default: "lora", aliases: ["train_type", "sft_type"]),
            Flag("lora_rank", .integer, "Rank of the low-rank matrices", default: "8"),
            Flag("lora_alpha", .number, "Their scale is alpha / rank", default: "32"),
            Flag("lora_dropout", .number, "Dropout before them", default: "0.05"),
            Flag("use_rslora", .boolean, "Scale by alpha / sqrt(rank)", default: "false"),
            Flag("target_modules", .list, "Last names of the linear sites, or all-linear", default: "all-linear"),
            Flag("adapters", .text, "Adapter directory to go on from"),
            Flag("output_dir", .text, "Where the adapter and the logs go", default: "output"),
            Flag("num_train_epochs", .integer, "Passes over the data", default: "3"),
            Flag("max_steps", .integer, "Stop after this many optimizer steps; -1 = off", default: "-1"),
            Flag("per_device_train_batch_size", .integer, "Rows a batch", default: "1", aliases: ["batch_size"]),
            Flag("gradient_accumulation_steps", .integer, "Batches an optimizer step", default: "16"),
            Flag("row_filter", .list, "Filters (plugin list --kind filter) that a row must pass"),
            Flag("packing", .boolean, "Fill batches up to max_length with whole rows", default: "false"),
            Flag("max_length", .integer, "Longest row in tokens", default: "2048"),
            Flag("truncation_strategy", .text, "delete, left, right or split", default: "delete"),
            Flag("learning_rate", .number, "Peak learning rate; 1e-4 with LoRA, 1e-5 without"),
            Flag("lr_scheduler_type", .text, "constant, linear, cosine or constant_with_warmup", default: "cosine"),
            Flag("warmup_ratio", .number, "Share of the steps that warm up", default: "0"),
            Flag("weight_decay", .number, "Decoupled weight decay", default: "0.1"),
            Flag("max_grad_norm", .number, "Longest gradient", default: "1"),
            Flag("gradient_checkpointing", .boolean, "Compute blocks again in the backward pass", default: "true"),
            Flag("logging_steps", .integer, "Report every so many steps", default: "5"),
            Flag("seed", .integer, "Seed of initial values, order and dropout", default: "42"),
            Flag("system", .text, "System message for rows without one"),
        ]
    static var operandCount: ClosedRange<Int> { 0...0 }

    static func run(_ arguments: Arguments) throws {
        let registry = try Session.registry(arguments)
        let model = try Session.model(arguments, registry)
        let directory = try arguments.required("output_dir")
        try System.makeDirectories(directory)
        let tuner = try makeTuner(arguments, model, registry)
        let trainer = try makeTrainer(arguments, model, tuner, registry)
        let data = try makeData(arguments, model, registry, pairs: trainer.engine.objective.needsPairs, directory: directory)
        let log = try RunLog("\(directory)/logging.jsonl")
        Terminal.line("\(trainer.engine.parameters.count) trained numbers in \(trainer.engine.parameters.entries.count) tensors")
        let validation = try all(data.validationBatches())
        if !validation.isEmpty { try report(log, 0, try trainer.evaluate(validation)) }
        try loop(arguments, trainer, data, log)
        if !validation.isEmpty { try report(log, -1, try trainer.evaluate(validation)) }
        if let tuner {
            try Adapter.save(trainer.engine, tuner: tuner, to: directory, components: registry)
            Terminal.line("adapter saved in \(directory)")
        } else {
            throw TrainingError(.unsupported, "full weights are trained but not written yet; use --tuner_type lora", at: "save")
        }
    }

    private static func loop(_ arguments: Arguments, _ trainer: Trainer, _ data: TrainingData, _ log: RunLog) throws {
        let last = arguments.int("max_steps") ?? -1
        let every = max(1, arguments.int("logging_steps") ?? 5)
        var step = 0
        for epoch in 0..<(last > 0 ? Int.max : arguments.int("num_train_epochs") ?? 3) {
            let batches = try data.batches(epoch: epoch)
            var isEmpty = true
            while true {
                var window: [Batch] = []
                while window.count < trainer.settings.accumulation, let batch = try batches.next() { window.append(batch) }
                if window.isEmpty { break }
                isEmpty = false
                step += 1
                let record = try trainer.step(step, window)
                try log.write(record)
                if step == 1 || step % every == 0 || step == last { show(record, trainer) }
                if step == last { return }
            }
            if isEmpty { throw TrainingError(.invalid, "no row is left to train on; see rejects.jsonl", at: "dataset") }
        }
    }

    private static func show(_ record: Trainer.Record, _ trainer: Trainer) {
        let rate = Int(Double(record.tokens) / max(1e-9, record.seconds))
        let metrics = record.metrics.sorted { $0.key < $1.key }.map { " \($0.key) \(rounded($0.value))" }.joined()
        Terminal.line(
            "step \(record.step)/\(trainer.settings.schedule.steps) loss \(rounded(record.loss)) grad_norm \(rounded(record.gradientNorm)) \(rate) tokens/s\(metrics)")
    }

    private static func rounded(_ value: Double) -> String { String(Double(Int(value * 10000)) / 10000) }

    private static func report(_ log: RunLog, _ step: Int, _ loss: Double) throws {
        Terminal.line("evaluation loss \(rounded(loss))\(step == 0 ? " before training" : "")")
        try log.write(["eval_loss": .double(loss), "when": .string(step == 0 ? "before" : "after")])
    }

    private static func all(_ stream: BatchStream?) throws -> [Batch] {
        var batches: [Batch] = []
        while let batch = try stream?.next() { batches.append(batch) }
        return batches
    }

    // MARK: Parts

    private static func makeTuner(_ arguments: Arguments, _ model: Model, _ registry: Registry) throws -> TunerHandle? {
        switch arguments.text("tuner_type") {
        case "full": return nil
        case "lora": break
        case let other: throw UsageError("--tuner_type is \"\(other ?? "")\", wanted lora or full")
        }
        if let adapter = arguments.text("adapters") {
            let config = try Adapter(directory: adapter, components: registry).config
            return try TunerHandle(id: "lora", adapterConfig: config, components: registry)
        }
        let targets = arguments.list("target_modules")
        let modules = targets == ["all-linear"] ? model.shape.defaultTargets : targets
        return try TunerHandle(
            id: "lora",
            settings: [
                "rank": .int(Int64(arguments.int("lora_rank") ?? 8)), "alpha": .double(arguments.double("lora_alpha") ?? 32),
                "dropout": .double(arguments.double("lora_dropout") ?? 0.05), "use_rslora": .bool(arguments.bool("use_rslora")),
                "target_modules": .array(modules.map(JSON.string)), "base_model": .string(model.path),
            ], components: registry)
    }

    private static func makeTrainer(
        _ arguments: Arguments, _ model: Model, _ tuner: TunerHandle?, _ registry: Registry
    ) throws -> Trainer {
        let targets = arguments.list("target_modules")
        let modules = targets == ["all-linear"] ? model.shape.defaultTargets : targets
        let adapter = try arguments.text("adapters").map { try Adapter(directory: $0, components: registry) }
        var options = TrainingEngine.Options(tuner: tuner) { name in
            if let adapter { return adapter.isTarget(name) }
            return tuner == nil || modules.contains { name == $0 || name.hasSuffix("." + $0) }
        }
        options.recompute = arguments.bool("gradient_checkpointing") ? .blocks : .none
        options.seed = UInt64(bitPattern: Int64(arguments.int("seed") ?? 42))
        let objective: ObjectiveHandle
        switch arguments.text("rlhf_type") {
        case nil: objective = try ObjectiveHandle(id: "sft", settings: [:], components: registry)
        case let id?:
            objective = try ObjectiveHandle(
                id: id,
                settings: [
                    "beta": .double(arguments.double("beta") ?? 0.1), "loss_type": .string(arguments.text("loss_type") ?? "sigmoid"),
                ], components: registry)
        }
        let engine = try TrainingEngine(
            model: model, objective: objective, optimizer: try OptimizerHandle(id: "adamw", settings: [:], components: registry),
            options: options)
        if let adapter { try engine.load(adapter) }
        guard let kind = Schedule.Kind(rawValue: arguments.text("lr_scheduler_type") ?? "") else {
            throw UsageError("--lr_scheduler_type wants one of \(Schedule.Kind.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        let peak = arguments.double("learning_rate") ?? (tuner == nil ? 1e-5 : 1e-4)
        var settings = Trainer.Settings(schedule: Schedule(kind, peak: peak, steps: max(1, arguments.int("max_steps") ?? 1)))
        settings.accumulation = max(1, arguments.int("gradient_accumulation_steps") ?? 1)
        settings.weightDecay = arguments.double("weight_decay") ?? 0.1
        settings.maximumNorm = arguments.double("max_grad_norm") ?? 1
        return Trainer(engine, settings: settings)
    }

    private static func makeData(
        _ arguments: Arguments, _ model: Model, _ registry: Registry, pairs: Bool, directory: String
    ) throws -> TrainingData {
        let resolver = DatasetResolver()
        let names = arguments.list("dataset")
        guard !names.isEmpty else { throw UsageError("--dataset is missing") }
        var settings = DataSettings()
        settings.purpose = pairs ? .pair : .answer
        settings.system = arguments.text("system")
        settings.filters = try arguments.list("row_filter").compactMap {
            RowJudge(try registry.component(kind: MT_KIND_FILTER, id: $0))
        }
        settings.seed = UInt64(bitPattern: Int64(arguments.int("seed") ?? 42))
        settings.splitRatio = arguments.double("split_dataset_ratio") ?? 0
        guard let policy = Truncation.Policy(rawValue: arguments.text("truncation_strategy") ?? "") else {
            throw UsageError("--truncation_strategy wants one of \(Truncation.Policy.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        let length = arguments.int("max_length") ?? 2048
        settings.truncation = Truncation(policy, maximumLength: length)
        settings.plan = BatchPlan(
            arguments.bool("packing") ? .binpack : .none, tokens: length,
            rows: arguments.int("per_device_train_batch_size") ?? 1)
        settings.rejectsPath = "\(directory)/rejects.jsonl"
        let tokenizer = try model.tokenizer
        var options = TrainingOptions()
        if pairs { options.turns = .lastRound }
        var renderer: TrainingRenderer?
        if model.files.chatTemplate != nil {
            let form = try ChatForm(model)
            options.render.specialTokens = form.variables
            renderer = TrainingRenderer(form.template, options: options)
        }
        let encoder = TemplateEncoder(
            identity: model.path, renderer: renderer, endID: tokenizer.eos,
            tokenize: { try tokenizer.encode($0, options: .parseSpecial) },
            tokenizeText: { try tokenizer.encode($0, options: .addSpecial) },
            decode: { (try? tokenizer.decode($0, skipSpecial: false)) ?? "" })
        return try TrainingData(
            names.map(resolver.resolve), validation: arguments.list("val_dataset").map(resolver.resolve), settings: settings,
            formats: try Session.rowFormats(registry), encoder: encoder)
    }
}

/// A file of JSON lines that grows with the run.
final class RunLog {
    private let descriptor: Int32

    init(_ path: String) throws {
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        if descriptor < 0 { throw TrainingError(.io, String(cString: strerror(errno)), at: path) }
    }

    deinit { close(descriptor) }

    func write(_ record: Trainer.Record) throws {
        var line = JSONObject([
            ("step", .int(Int64(record.step))), ("loss", .double(record.loss)), ("grad_norm", .double(record.gradientNorm)),
            ("learning_rate", .double(record.learningRate)), ("tokens", .int(Int64(record.tokens))),
            ("seconds", .double(record.seconds)),
        ])
        for (name, value) in record.metrics.sorted(by: { $0.key < $1.key }) { line[name] = .double(value) }
        try write(.object(line))
    }

    func write(_ line: JSON) throws {
        var text = line.text() + "\n"
        let written = text.withUTF8 { Glibc.write(descriptor, $0.baseAddress, $0.count) == $0.count }
        if !written { throw TrainingError(.io, String(cString: strerror(errno)), at: "logging.jsonl") }
    }
}
