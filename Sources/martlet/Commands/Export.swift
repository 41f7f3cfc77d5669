import Export
import Files
import Host
import JSON
import Model
import Training

/// Writes a model for other programs.
enum ExportCommand: Command {
    static let name = "export"
    static let summary = "Write a model as a Hugging Face directory or a GGUF file, with an adapter merged into it"
    static let flags =
        Session.modelFlags.filter { $0.name != "activation_dtype" } + [
            Flag("adapters", .text, "Adapter directory (PEFT) to merge", aliases: ["ckpt_dir"]),
            Flag("merge_lora", .boolean, "Work the adapter into the weights", default: "false"),
            Flag("output_dir", .text, "Where the model goes; must not exist. With --adapters: ADAPTER-merged"),
            Flag("exist_ok", .boolean, "Replace what is there", default: "false"),
            Flag("max_shard_size", .text, "Largest safetensors file, such as 5GB", default: "5GB"),
            Flag("to_gguf", .boolean, "Write OUTPUT_DIR/model.gguf instead, as llama.cpp reads it", default: "false"),
            Flag(
                "gguf_type", .text,
                "Its matrices: f32, f16, bf16, q8_0, q6_k, q5_k, q5_1, q5_0, q4_k, q4_1, q4_0; "
                    + "without: as they are"),
            Flag(
                "merge_tolerance", .number,
                "Refuse above this: nats a token from the adapter [0.05, in f32 0.001]; without one, a logit's share of their spread [0.1]"
            ),
        ]
    static var operandCount: ClosedRange<Int> { 0...0 }

    static func plan(_ plan: inout Plan) throws {
        let arguments = plan.arguments
        let registry = try Session.registry(arguments)
        try refuseQuantizing(arguments)
        let path = try free(arguments, adapterPath(arguments))
        if let model = try plan.model(registry, activation: "f32") {
            if let adapter = try plan.adapter(registry) {
                let merge = try AdapterMerge(adapter, model: model, components: registry)
                plan.add("merge", "\(merge.count) weights, in f32, rounded once")
            }
        }
        let layout = arguments.text("gguf_type").map { " in \($0)" } ?? ""
        plan.add(
            "output", "\(path)\(layout)" + (System.kind(of: path) == nil ? "" : ", in the place of what is there"))
    }

    private static func refuseQuantizing(_ arguments: Arguments) throws {
        guard !arguments.has("quant_method"), !arguments.has("quant_bits") else {
            throw UsageError(
                "--quant_method quantizes while a model is loaded and is not written yet; --to_gguf true --gguf_type q8_0 writes a quantized file"
            )
        }
    }

    static func run(_ arguments: Arguments) throws {
        let registry = try Session.registry(arguments)
        try refuseQuantizing(arguments)
        let adapterPath = try adapterPath(arguments)
        let target = try target(arguments, adapterPath)
        let model = try Session.model(arguments, registry, activation: "f32")
        try CheckpointAudit(model).check(model.path)
        let adapter = try adapterPath.map { try Adapter(directory: $0, components: registry) }
        let merge = try adapter.map { try AdapterMerge($0, model: model, components: registry) }
        var export = ModelExport(model, merge: merge, components: registry)
        export.layout = model.options.dense
        export.shardBytes = try ByteCount.read(arguments.text("max_shard_size") ?? "5GB", flag: "max_shard_size")
        export.ggufLayout = arguments.text("gguf_type")
        let progress = ProgressLine(isQuiet: arguments.bool("json"))
        export.progress = { progress.report("writing \(target)", share: $0) }
        let held = try Held(model, adapter, registry)
        if arguments.bool("to_gguf") { try export.writeGGUF(target) } else { try export.writeDirectory(target) }
        progress.end()
        let outcome = try held.compare(target, tolerance: arguments.double("merge_tolerance"))
        if arguments.bool("json") {
            Terminal.line(
                JSON.object(
                    JSONObject([
                        ("output", .string(target)), ("merged", .int(Int64(merge?.count ?? 0))),
                        ("difference", .double(outcome.figure)),
                        ("limit", .double(outcome.limit)), ("measure", .string(outcome.measure)),
                    ])
                ).text())
        } else {
            Terminal.line("\(target)" + (merge.map { ": \($0.count) weights merged" } ?? " written"))
            Terminal.line(
                "held against the original: \(Terminal.short(outcome.figure)) \(outcome.measure), limit \(Terminal.short(outcome.limit))"
            )
        }
        // A quantized file's error is the layout's own; it is reported.
        guard arguments.text("gguf_type") != nil || outcome.figure <= outcome.limit else {
            try ReplacementDirectory.remove(target)
            throw ExportError(
                .tolerance,
                "the written model differs by \(Terminal.short(outcome.figure)) \(outcome.measure), more than \(outcome.limit); it was removed. Write --torch_dtype float32, or raise --merge_tolerance",
                at: target)
        }
    }

    /// What the model says before it is written, to be compared with what it says after.
    private struct Held {
        let model: Model
        let registry: Registry
        let verification: Verification
        let probe: LogitProbe
        /// Of an adapter: log-probabilities of texts; else logits.
        let adapted: [Double]?
        let logits: [[Float]]

        init(_ model: Model, _ adapter: Adapter?, _ registry: Registry) throws {
            self.model = model
            self.registry = registry
            verification = try Verification(model, adapter: adapter, components: registry) { _ in }
            probe = try LogitProbe(model)
            adapted = try adapter == nil ? nil : verification.adaptedLogps()
            logits = try adapter == nil ? probe.logits(model) : []
        }

        func compare(_ path: String, tolerance: Double?) throws -> (figure: Double, limit: Double, measure: String) {
            if let adapted {
                let check = try verification.merged(path, adapted)
                return (check.figure, tolerance ?? check.limit, "nats a token from the adapter")
            }
            var options = model.options
            options.dense = nil
            let written = try Model(path: path, options: options, components: registry)
            let difference = try probe.compare(logits, probe.logits(written), vocabulary: LogitProbe.width(model))
            return (difference.relative, tolerance ?? 0.1, "of the logits' spread")
        }
    }

    private static func adapterPath(_ arguments: Arguments) throws -> String? {
        let path = arguments.text("adapters")
        if arguments.bool("merge_lora"), path == nil { throw UsageError("--merge_lora wants --adapters") }
        if path != nil, !arguments.bool("merge_lora") {
            throw UsageError(
                "--adapters is given without --merge_lora; say --merge_lora true to work it into the weights")
        }
        return path
    }

    /// The file or directory to be written, where nothing is or may be replaced.
    private static func free(_ arguments: Arguments, _ adapter: String?) throws -> String {
        var path =
            try arguments.text("output_dir") ?? adapter.map { "\(Self.trimmed($0))-merged" }
            ?? arguments.required("output_dir")
        path = trimmed(path)
        if arguments.bool("to_gguf") { path = System.join(path, "model.gguf") }
        guard System.kind(of: path) == nil || arguments.bool("exist_ok") else {
            throw UsageError(
                "\(path) is there already; choose another --output_dir, or say --exist_ok true to replace it")
        }
        return path
    }

    /// The same; nothing is there any more when this returns.
    private static func target(_ arguments: Arguments, _ adapter: String?) throws -> String {
        let path = try free(arguments, adapter)
        if arguments.bool("to_gguf"), let directory = System.parent(of: path) { try System.makeDirectories(directory) }
        if System.kind(of: path) != nil { try ReplacementDirectory.remove(path) }
        return path
    }

    private static func trimmed(_ path: String) -> String {
        path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    }
}
