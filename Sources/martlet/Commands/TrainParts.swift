import Data
import Graph
import Host
import JSON
import Model
import PluginAPI
import Template
import Training

/// The parts of a training run, made from the command line.
struct TrainParts {
    let arguments: Arguments
    let model: Model
    let registry: Registry

    init(_ arguments: Arguments, _ model: Model, _ registry: Registry) {
        self.arguments = arguments
        self.model = model
        self.registry = registry
    }

    private var method: TrainMethod { get throws { try TrainMethod(arguments, registry) } }
    private var seed: UInt64 { UInt64(bitPattern: Int64(arguments.int("seed") ?? 42)) }

    /// The value of a flag that has to be one of `type`'s.
    private func choice<Choice: RawRepresentable & CaseIterable>(_ flag: String, _ type: Choice.Type) throws -> Choice
    where Choice.RawValue == String {
        let text = arguments.text(flag) ?? ""
        guard let value = Choice(rawValue: text) else {
            throw UsageError(
                "--\(flag) is \"\(text)\", wanted one of \(type.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return value
    }

    private var targets: [String] {
        let named = arguments.list("target_modules")
        return named == ["all-linear"] ? model.shape.defaultTargets : named
    }

    /// nil trains the weights themselves.
    /// - Parameter named: Instead of `--tuner_type`.
    func tuner(named: String? = nil) throws -> TunerHandle? {
        let id = named ?? arguments.text("tuner_type") ?? "lora"
        if id == "full" { return nil }
        let installed = registry.componentIDs(kind: MT_KIND_TUNER)
        guard installed.contains(id) else {
            throw UsageError(
                "--tuner_type is \"\(id)\", wanted full or an installed tuner: \(installed.joined(separator: ", "))")
        }
        if let adapter = arguments.text("adapters") {
            let config = try Adapter(directory: adapter, components: registry).config
            return try TunerHandle(id: id, adapterConfig: config, components: registry)
        }
        var settings: JSONObject = try arguments.pairs("tuner_args")
        let common: JSON = [
            "rank": .int(Int64(arguments.int("lora_rank") ?? 8)),
            "alpha": .double(arguments.double("lora_alpha") ?? 32),
            "dropout": .double(arguments.double("lora_dropout") ?? 0.05),
            "use_rslora": .bool(arguments.bool("use_rslora")),
            "use_dora": .bool(arguments.bool("use_dora")),
            "init_weights": .string(arguments.text("init_weights") ?? "true"),
            "target_modules": arguments.text("target_regex").map(JSON.string) ?? .array(targets.map(JSON.string)),
            "modules_to_save": arguments.has("modules_to_save")
                ? .array(arguments.list("modules_to_save").map(JSON.string)) : .null,
            "base_model": .string(model.path),
        ]
        for (key, value) in common.object ?? JSONObject() where settings[key] == nil { settings[key] = value }
        return try TunerHandle(id: id, settings: .object(settings), components: registry)
    }

    /// Whether a linear site gets an adapter.
    private func siteFilter() throws -> (String) -> Bool {
        guard let text = arguments.text("target_regex") else {
            let targets = targets
            return { name in targets.contains { name == $0 || name.hasSuffix("." + $0) } }
        }
        let regex = try Self.regex("target_regex", text)
        return { (try? regex.wholeMatch(in: $0)) != nil }
    }

    private static func regex(_ flag: String, _ text: String) throws -> Regex<AnyRegexOutput> {
        do {
            return try Regex(text)
        } catch {
            throw UsageError("--\(flag) is no regular expression: \(error)")
        }
    }

    /// Whether a weight is trained in full training: frozen by prefix, expression or share from the bottom, and let go again.
    private func weightFilter() throws -> (String) -> Bool {
        func matcher(_ prefixes: String, _ regex: String) throws -> (String) -> Bool {
            let starts = arguments.list(prefixes)
            let pattern = try arguments.text(regex).map { try Self.regex(regex, $0) }
            return { name in
                starts.contains { name.hasPrefix($0) } || pattern.map { (try? $0.firstMatch(in: name)) != nil } ?? false
            }
        }
        let isFrozen = try matcher("freeze_parameters", "freeze_parameters_regex")
        let isFreed = try matcher("trainable_parameters", "trainable_parameters_regex")
        let ratio = arguments.double("freeze_parameters_ratio") ?? 0
        guard (0...1).contains(ratio) else { throw UsageError("--freeze_parameters_ratio is \(ratio), wanted 0 to 1") }
        let bottom = ratio > 0 ? try bottom(ratio) : []
        return { isFreed($0) || !isFrozen($0) && !bottom.contains($0) }
    }

    /// The first parameters in the model's order that together make up a share of it.
    private func bottom(_ ratio: Double) throws -> Set<String> {
        let parameters = try model.outline().parameters
        var left = ratio * Double(parameters.reduce(0) { $0 + $1.shape.reduce(1, *) })
        var names: Set<String> = []
        for parameter in parameters {
            left -= Double(parameter.shape.reduce(1, *))
            if left < 0 { break }
            names.insert(parameter.name)
        }
        return names
    }

    /// Whether a weight is trained whole beside the adapter.
    private func savedFilter() -> (String) -> Bool {
        let saved = arguments.list("modules_to_save")
        return { name in
            let module = name.split(separator: ".").dropLast().joined(separator: ".")
            return saved.contains { module == $0 || module.hasSuffix("." + $0) }
        }
    }

    /// What a plan of the memory needs to know.
    func method(_ tuner: TunerHandle?) throws -> MemoryEstimate.Method {
        var method = MemoryEstimate.Method(
            tuner: tuner, optimizer: try self.method.optimizer(), objective: try self.method.objective(),
            isTarget: try tuner == nil ? weightFilter() : siteFilter())
        method.isSaved = savedFilter()
        method.recompute = arguments.bool("gradient_checkpointing") ? .blocks : .light
        return method
    }

    func engine(_ tuner: TunerHandle?) throws -> TrainingEngine {
        let adapter = try arguments.text("adapters").map { try Adapter(directory: $0, components: registry) }
        let isTarget =
            try adapter.map { adapter in { adapter.isTarget($0) } } ?? (tuner == nil ? weightFilter() : siteFilter())
        var options = TrainingEngine.Options(tuner: tuner, isTarget: isTarget)
        options.isSaved = adapter.map { adapter in { adapter.isSaved($0) } } ?? savedFilter()
        options.recompute = arguments.bool("gradient_checkpointing") ? .blocks : .light
        options.reference = try reference()
        options.seed = seed
        if arguments.bool("bf16"), arguments.text("torch_dtype")?.hasSuffix("32") != true { options.products = "bf16" }
        options.embeddingNoise = max(0, arguments.double("neftune_noise_alpha") ?? 0)
        let engine = try TrainingEngine(
            model: model, objective: method.objective(), optimizer: method.optimizer(), options: options)
        if let adapter { try engine.load(adapter) }
        return engine
    }

    /// The model that `--ref_model` names, which has to read the same tokens.
    private func reference() throws -> Model? {
        guard let name = arguments.text("ref_model") else { return nil }
        guard try method.objective().needsReference else {
            throw UsageError("--ref_model is given, and the objective has no reference; leave it out")
        }
        let path = try Session.modelPath(arguments, registry, name: name)
        let reference = try Session.model(arguments, registry, path: path)
        guard reference.shape.vocabulary == model.shape.vocabulary else {
            throw UsageError(
                "--ref_model \(name) has \(reference.shape.vocabulary) tokens, the model \(model.shape.vocabulary); "
                    + "name a model of the same vocabulary")
        }
        return reference
    }

    /// What the objective wants of a row.
    func purpose() throws -> RowSchema.Purpose {
        let objective = try method.objective()
        return objective.needsPairs ? .pair : objective.needsLabels ? .label : .answer
    }

    // MARK: The run

    func trainerSettings(
        _ data: TrainingData, _ tuner: TunerHandle?, _ checkpoint: TrainingCheckpoint?, epochs: Int
    ) throws -> Trainer.Settings {
        // Unless given: as many as make 16 rows, as in ms-swift.
        let rows = max(1, arguments.int("per_device_train_batch_size") ?? 1)
        let accumulation = max(1, arguments.int("gradient_accumulation_steps") ?? (16 + rows - 1) / rows)
        var settings = Trainer.Settings(schedule: try schedule(data, tuner, checkpoint, epochs: epochs, accumulation))
        settings.accumulation = accumulation
        settings.weightDecay = arguments.double("weight_decay") ?? 0.1
        settings.maximumNorm = arguments.double("max_grad_norm") ?? 1
        if let ratio = arguments.double("lorap_lr_ratio") { settings.rateRatios = ["b": ratio] }
        return settings
    }

    private func schedule(
        _ data: TrainingData, _ tuner: TunerHandle?, _ checkpoint: TrainingCheckpoint?, epochs: Int, _ accumulation: Int
    ) throws -> Schedule {
        let kind = try choice("lr_scheduler_type", Schedule.Kind.self)
        let peak = arguments.double("learning_rate") ?? (tuner == nil ? 1e-5 : 1e-4)
        let steps: Int
        if let maximum = maximumSteps {
            steps = maximum
        } else if let checkpoint {
            steps = checkpoint.state.plannedSteps
        } else if let batches = try data.batchCount(limit: 4096) {
            steps = (batches + accumulation - 1) / accumulation * epochs
        } else {
            throw UsageError("--streaming does not know how many rows there are: give --max_steps")
        }
        var warmup = arguments.int("warmup_steps") ?? 0
        if warmup == 0 { warmup = Int((Double(steps) * (arguments.double("warmup_ratio") ?? 0)).rounded(.up)) }
        let options: JSON
        do {
            options = try JSON(parsing: arguments.text("lr_scheduler_kwargs") ?? "{}")
        } catch {
            throw UsageError("--lr_scheduler_kwargs is no JSON: \(error)")
        }
        let schedule = Schedule(kind, peak: peak, steps: max(1, steps), warmup: warmup, options: options)
        try schedule.check()
        return schedule
    }

    private var maximumSteps: Int? { arguments.int("max_steps").flatMap { $0 > 0 ? $0 : nil } }

    func runSettings(_ directory: String) throws -> RunSettings {
        var settings = RunSettings(directory: directory)
        settings.epochs = max(1, arguments.int("num_train_epochs") ?? 3)
        settings.maximumSteps = maximumSteps
        settings.loggingSteps = arguments.int("logging_steps") ?? 5
        let saveSteps = arguments.int("save_steps") ?? 500
        settings.saves = try cadence("save_strategy", arguments.text("save_strategy") ?? "steps", saveSteps)
        settings.saveLimit = arguments.int("save_total_limit")
        settings.savesOnlyModel = arguments.bool("save_only_model")
        let evaluation = arguments.text("eval_strategy")
        settings.evaluates =
            evaluation == nil && !arguments.has("eval_steps")
            ? settings.saves
            : try cadence("eval_strategy", evaluation ?? "steps", arguments.int("eval_steps") ?? saveSteps)
        // Without checkpoints in between there is still the one at the end.
        if evaluation == nil, settings.evaluates == .never { settings.evaluates = .steps(.max) }
        settings.evaluatesFirst = arguments.bool("eval_on_start")
        settings.loadsBestAtEnd = arguments.bool("load_best_model_at_end")
        let metric = arguments.text("metric_for_best_model") ?? "eval_loss"
        settings.bestMetric = metric.hasPrefix("eval_") ? metric : "eval_" + metric
        settings.isGreaterBetter =
            arguments.has("greater_is_better")
            ? arguments.bool("greater_is_better") : !settings.bestMetric.hasSuffix("loss")
        settings.earlyStopInterval = arguments.int("early_stop_interval")
        settings.nonFinite = try choice("nonfinite_policy", RunSettings.NonFinitePolicy.self)
        return settings
    }

    private func cadence(_ flag: String, _ text: String, _ steps: Int) throws -> RunSettings.Cadence {
        switch text {
        case "no": return .never
        case "epoch": return .epoch
        case "steps":
            guard steps > 0 else { throw UsageError("steps between two times must be at least 1, found \(steps)") }
            return .steps(steps)
        default: throw UsageError("--\(flag) is \"\(text)\", wanted no, steps or epoch")
        }
    }

    // MARK: Data

    /// - Parameters:
    ///   - directory: Where rejected rows go; nil keeps none.
    ///   - continues: The run goes on from a checkpoint.
    func data(_ purpose: RowSchema.Purpose, directory: String?, continues: Bool = false) throws -> TrainingData {
        let names = arguments.list("dataset")
        guard !names.isEmpty else { throw UsageError("--dataset is missing") }
        let resolver = try DatasetNames(arguments, registry)
        var settings = try dataSettings(purpose, directory: directory)
        settings.continues = continues
        let data = try TrainingData(
            names.map(resolver.resolve), validation: arguments.list("val_dataset").map(resolver.resolve),
            settings: settings, formats: Session.rowFormats(registry),
            encoder: encoder(purpose))
        for note in data.notes { Terminal.error(note) }
        return data
    }

    private func dataSettings(_ purpose: RowSchema.Purpose, directory: String?) throws -> DataSettings {
        var settings = DataSettings()
        settings.purpose = purpose
        settings.system = arguments.text("system")
        settings.filters = try arguments.judges("row_filter", MT_KIND_FILTER, registry)
        for (key, flag) in [("{{NAME}}", "model_name"), ("{{AUTHOR}}", "model_author")] {
            if let text = arguments.text(flag) { settings.substitutions[key] = text }
        }
        settings.seed = arguments.int("data_seed").map { UInt64(bitPattern: Int64($0)) } ?? seed
        try mix(&settings)
        settings.shuffles = arguments.bool("dataset_shuffle")
        settings.streams = arguments.bool("streaming")
        settings.shuffleBuffer = max(1, arguments.int("shuffle_buffer_size") ?? 1000)
        settings.workers = max(0, arguments.int("dataset_num_proc") ?? 2)
        settings.maximumRejectRatio = arguments.double("max_reject_ratio") ?? 1
        settings.cacheDirectory = arguments.text("encoding_cache")
        settings.splitRatio = arguments.double("split_dataset_ratio") ?? 0
        // Never beyond what the model knows of positions.
        let own = model.shape.maximumPositions
        let length = arguments.has("max_length") || own == 0 ? arguments.int("max_length") ?? 2048 : min(2048, own)
        settings.truncation = Truncation(
            try choice("truncation_strategy", Truncation.Policy.self), maximumLength: length)
        settings.plan = BatchPlan(
            try arguments.bool("packing") ? choice("packing_strategy", PackingStrategy.self) : .none,
            tokens: max(length, arguments.int("packing_length") ?? length),
            rows: arguments.int("per_device_train_batch_size") ?? 1)
        settings.rejectsPath = directory.map { "\($0)/rejects.jsonl" }
        settings.validationRejectsPath = directory.map { "\($0)/rejects-val.jsonl" }
        return settings
    }

    /// The weights of data sets in a mixture.
    private func mix(_ settings: inout DataSettings) throws {
        guard arguments.has("interleave_prob") else { return }
        settings.interleaveWeights = try arguments.list("interleave_prob").map { text in
            guard let weight = Double(text) else {
                throw UsageError("--interleave_prob holds \"\(text)\", wanted numbers")
            }
            return weight
        }
        let named = arguments.text("stopping_strategy") ?? ""
        guard let stopping = InterleavedFeed.Stopping(rawValue: named) else {
            throw UsageError("--stopping_strategy is \"\(named)\", wanted first_exhausted or all_exhausted")
        }
        settings.stopping = stopping
    }

    func encoder(_ purpose: RowSchema.Purpose) throws -> TemplateEncoder {
        let tokenizer = try model.tokenizer
        var options = TrainingOptions()
        let named =
            arguments.has("loss_scale") || purpose == .answer ? arguments.text("loss_scale") ?? "" : "last_round"
        guard let turns = TrainingOptions.Turns(rawValue: named) else {
            throw UsageError("--loss_scale is \"\(named)\", wanted default, last_round or all")
        }
        options.turns = turns
        var renderer: TrainingRenderer?
        if model.files.chatTemplate != nil {
            let form = try ChatForm(model)
            options.render.specialTokens = form.variables
            renderer = TrainingRenderer(form.template, options: options)
        }
        return TemplateEncoder(
            identity: "\(model.path)|\(turns.rawValue)|\(model.files.chatTemplate ?? "")", renderer: renderer,
            endID: tokenizer.eos,
            tokenize: { try tokenizer.encode($0, options: .parseSpecial) },
            tokenizeText: { try tokenizer.encode($0, options: .addSpecial) },
            decode: { (try? tokenizer.decode($0, skipSpecial: false)) ?? "" })
    }
}
