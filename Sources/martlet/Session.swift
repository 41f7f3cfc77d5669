import Data
import Files
import Foreign
import Glibc
import Graph
import Host
import Hub
import JSON
import Model
import PluginAPI
import Training

/// What commands that run models start from: the installation with its services.
enum Session {
    static func registry(_ arguments: Arguments) throws -> Registry {
        Services.shared.register("martlet.graph/1", at: GraphService.table)
        Services.shared.log.redirect { level, source, message in
            if level >= .warning { Terminal.error("\(source): \(message)") }
        }
        let registry = try installed(arguments)
        for problem in registry.problems { Terminal.error("plugins: \(problem)") }
        return registry
    }

    /// What is installed, for commands that open no plugin, or few.
    static func installed(_ arguments: Arguments) throws -> Registry {
        Terminal.keepOutput()
        let text = FileSystem.environment("MARTLET_PLUGIN_TIMEOUT") ?? "30"
        guard let limit = Int(text), 1...86400 ~= limit else {
            throw UsageError("MARTLET_PLUGIN_TIMEOUT is \"\(text)\", wanted a whole number of seconds, 1 to 86400")
        }
        OpeningWatch.start(seconds: limit, status: ExitStatus.plugin.code)
        return Registry(try Installation.standard(extra: arguments.list("plugin_path")), bind: ForeignFunction.bind)
    }

    /// The data set formats of an installation. A plugin that cannot be opened is reported and left out.
    /// - Throws: Why the last one cannot be opened, when none can.
    static func rowFormats(_ registry: Registry) throws -> RowFormats {
        var formats: [RowFormat] = []
        var failure: HostError?
        for id in registry.componentIDs(kind: MT_KIND_DATASET) {
            do throws(HostError) {
                if let format = RowFormat(try registry.component(kind: MT_KIND_DATASET, id: id)) {
                    formats.append(format)
                }
            } catch {
                Terminal.error("plugin left out: \(error)")
                failure = error
            }
        }
        if formats.isEmpty, let failure { throw failure }
        return RowFormats(formats)
    }

    static let modelFlags: [Flag] = [
        Flag("model", .text, "Model directory, weight file or id"),
        Flag("model_revision", .text, "Branch, tag or commit of a model that is fetched", aliases: ["revision"]),
        Flag("use_hf", .boolean, "Ask Hugging Face rather than ModelScope", default: "false"),
        Flag("hub_token", .text, "Token of the hub", aliases: ["token"]),
        Flag("torch_dtype", .text, "float32, bfloat16 or float16 for unquantized weights"),
        Flag("activation_dtype", .text, "What products round activations to: auto, f32, bf16, int8", default: "auto"),
        Flag("quant_method", .text, "Quantize the linear weights as they are loaded: bnb"),
        Flag("quant_bits", .integer, "Bits of a weight", default: "4", aliases: ["quantization_target_bits"]),
        Flag("bnb_4bit_quant_type", .text, "nf4 or fp4", default: "nf4"),
        Flag("bnb_4bit_use_double_quant", .boolean, "Quantize the scales too", default: "true"),
        Flag("device", .text, "Device plugin to run on", aliases: ["device_map"]),
        Flag(
            "profile", .boolean, "Say at the end what each op took and its share of the machine's peak",
            default: "false"),
    ]

    /// What ops took, with `--profile`.
    static let profile = RunProfile()

    /// - Parameters:
    ///   - path: The files, where they are known already.
    ///   - activation: Instead of `--activation_dtype`, for commands without it.
    ///   - quantizes: To NF4, whatever the flags say.
    static func model(
        _ arguments: Arguments, _ registry: Registry, path: String? = nil, activation: String? = nil,
        quantizes: Bool = false
    ) throws -> Model {
        var options = Model.Options()
        options.activation =
            try activation ?? choice(arguments, "activation_dtype", ["auto", "f32", "bf16", "int8"]) ?? "auto"
        options.dense = try dense(arguments)
        options.device = device(arguments)
        options.quantizer = try quantizer(arguments, registry, otherwise: quantizes ? "bnb" : nil)
        let model = try Model(path: try path ?? modelPath(arguments, registry), options: options, components: registry)
        if arguments.bool("profile") {
            model.device.profile = profile
            model.device.fallback?.profile = profile
        }
        return model
    }

    /// The device component that `--device` names; what stands behind a colon is the device's number.
    static func device(_ arguments: Arguments) -> String? {
        arguments.text("device").map { String($0.prefix { $0 != ":" }) }
    }

    /// The layout that `--torch_dtype` names.
    static func dense(_ arguments: Arguments) throws -> String? {
        let dense = [
            "float32": "f32", "bfloat16": "bf16", "float16": "f16", "f32": "f32", "bf16": "bf16", "f16": "f16",
        ]
        return try choice(arguments, "torch_dtype", Array(dense.keys)).flatMap { dense[$0] }
    }

    /// The files behind `--model`: a path, or what the cache or a hub has of that name.
    /// - Parameter name: Instead of `--model`.
    static func modelPath(_ arguments: Arguments, _ registry: Registry, name: String? = nil) throws -> String {
        let name = try name ?? modelName(arguments)
        if System.kind(of: name) != nil {
            try refuseAdapter(name)
            return name
        }
        var options = downloadOptions(arguments)
        let progress = ProgressLine(isQuiet: arguments.bool("json"))
        options.note = progress.note
        options.progress = progress.report
        defer { progress.end() }
        return try NameResolver(registry).path(name, usesHuggingFace: usesHuggingFace(arguments), options)
    }

    /// What `--model` names, or what the adapter says that it was trained over.
    static func modelName(_ arguments: Arguments) throws -> String {
        guard !arguments.has("model"), let adapter = arguments.text("adapters") else {
            return try arguments.required("model")
        }
        guard let base = baseModel(of: adapter) else {
            throw UsageError("--model is missing, and \(adapter) names no model that it was trained over")
        }
        Terminal.note("model \(base), over which \(adapter) was trained")
        return base
    }

    /// The model that an adapter was trained over: as it was named then, where that is still there, else as PEFT has it.
    private static func baseModel(of adapter: String) -> String? {
        let named = (try? JSON(file: System.join(adapter, "args.json")))?["model"]?.string
        let published = (try? JSON(file: System.join(adapter, "adapter_config.json")))?["base_model_name_or_path"]?
            .string
        let known = [named, published].compactMap { $0 }.filter { !$0.isEmpty }
        return known.first { System.kind(of: $0) != nil } ?? known.first
    }

    /// - Throws: `UsageError` when a directory holds what training wrote and no model, saying how it is used.
    static func refuseAdapter(_ path: String) throws {
        func has(_ name: String) -> Bool { System.kind(of: System.join(path, name)) != nil }
        guard System.kind(of: path) == .directory, !has("config.json") else { return }
        if has("adapter_config.json") {
            let base = baseModel(of: path).map { " --model \($0)" } ?? " --model MODEL"
            throw UsageError("\(path) holds an adapter and no model; say\(base) --adapters \(path)")
        }
        if has("args.json"), let newest = try CheckpointStore(path).steps().last {
            let checkpoint = System.join(path, "checkpoint-\(newest)")
            throw UsageError("\(path) is a training run's directory; its newest model is \(checkpoint)")
        }
    }

    static func downloadOptions(_ arguments: Arguments) -> DownloadOptions {
        var options = DownloadOptions()
        options.revision = arguments.text("model_revision")
        options.token = arguments.text("hub_token")
        return options
    }

    static func usesHuggingFace(_ arguments: Arguments) -> Bool {
        if arguments.has("use_hf") { return arguments.bool("use_hf") }
        return ["1", "true"].contains(getenv("USE_HF").map { String(cString: $0).lowercased() } ?? "")
    }

    /// The quantizer that --quant_method names; --quant_bits alone names bitsandbytes'.
    static func quantizer(
        _ arguments: Arguments, _ registry: Registry, otherwise: String? = nil
    ) throws -> QuantizerHandle? {
        guard let id = arguments.text("quant_method") ?? (arguments.has("quant_bits") ? "bnb" : otherwise) else {
            return nil
        }
        return try QuantizerHandle(
            id: id,
            settings: [
                "bits": .int(Int64(arguments.int("quant_bits") ?? 4)),
                "bnb_4bit_quant_type": .string(arguments.text("bnb_4bit_quant_type") ?? "nf4"),
                "bnb_4bit_use_double_quant": .bool(arguments.bool("bnb_4bit_use_double_quant")),
            ], components: registry)
    }

    /// Puts a PEFT adapter over a model.
    static func adapt(_ model: Model, _ directory: String, _ registry: Registry) throws {
        let adapter = try Adapter(directory: directory, components: registry)
        let kind = adapter.config["peft_type"]?.string?.lowercased() ?? "lora"
        let tuner = try TunerHandle(id: kind, adapterConfig: adapter.config, components: registry)
        try adapter.place(over: model, tuner: tuner)
    }

    private static func choice(_ arguments: Arguments, _ name: String, _ known: [String]) throws -> String? {
        guard let text = arguments.text(name) else { return nil }
        guard known.contains(text) else {
            throw UsageError("--\(name) is \"\(text)\", wanted one of \(known.sorted().joined(separator: ", "))")
        }
        return text
    }
}
