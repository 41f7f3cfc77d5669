import Export
import Files
import Glibc
import Host
import JSON
import Model
import Training

/// Holds a model, or an adapter over it, against what training and answering take it for.
enum VerifyCommand: Command {
    static let name = "verify"
    static let summary = "Check a model or adapter: shapes, numbers, template, packing, accumulation, resuming, merging"
    static let operands = "[MODEL]"
    static let flags =
        Session.modelFlags.filter { $0.name != "activation_dtype" } + [
            Flag("adapters", .text, "Adapter directory (PEFT), or a checkpoint of a run", aliases: ["ckpt_dir"])
        ]
    static var operandCount: ClosedRange<Int> { 0...1 }

    static func plan(_ plan: inout Plan) throws {
        let registry = try Session.registry(plan.arguments)
        let model = try plan.model(registry, named: plan.arguments.positional.first, activation: "f32")
        let adapter = try plan.adapter(registry)
        guard let model else { return }
        if let adapter {
            plan.add("merge", "\(try AdapterMerge(adapter, model: model, components: registry).count) weights")
        }
        plan.add("scratch", scratch)
    }

    /// Where the merged model and a run's checkpoint are written, and removed.
    private static var scratch: String { "\(FileSystem.environment("TMPDIR") ?? "/tmp")/martlet-verify-\(getpid())" }

    static func run(_ arguments: Arguments) throws {
        let registry = try Session.registry(arguments)
        let path = try Session.modelPath(arguments, registry, name: arguments.positional.first)
        let model = try Session.model(arguments, registry, path: path, activation: "f32")
        let isJSON = arguments.bool("json")
        var failures = 0
        if let directory = arguments.text("adapters"),
            System.kind(of: System.join(directory, "trainer_state.json")) != nil
        {
            // Files, sizes and digests of a run's checkpoint.
            _ = try TrainingCheckpoint(directory)
        }
        let adapter = try arguments.text("adapters").map { try Adapter(directory: $0, components: registry) }
        let verification = try Verification(model, adapter: adapter, components: registry) { check in
            if !check.passed { failures += 1 }
            if isJSON {
                let line: JSON = [
                    "claim": .string(check.claim), "figure": .double(check.figure), "limit": .double(check.limit),
                    "passed": .bool(check.passed), "detail": .string(check.detail),
                ]
                Terminal.line(line.text())
            } else {
                let figures = "\(Terminal.short(check.figure)) (limit \(Terminal.short(check.limit)))"
                Terminal.line("\(check.passed ? "ok    " : "FAILED") \(check.claim): \(figures), \(check.detail)")
            }
        }
        try verification.run(scratch: scratch)
        guard failures == 0 else {
            Terminal.error("\(path): \(failures) checks failed")
            throw ExitStatus.failure
        }
    }
}
