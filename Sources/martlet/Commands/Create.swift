import Export
import Files
import Host
import JSON
import Training

/// Makes a model with random weights.
enum CreateCommand: Command {
    static let name = "create"
    static let summary = "Make a model with random weights from a config.json, to train from the beginning"
    static let operands = "CONFIG"
    static let flags = [
        Flag("output_dir", .text, "Where the model goes"),
        Flag("torch_dtype", .text, "float32, bfloat16 or float16", default: "bfloat16"),
        Flag("seed", .integer, "Seed of the weights", default: "42"),
    ]
    static var operandCount: ClosedRange<Int> { 1...1 }

    private static func model(_ arguments: Arguments, _ registry: Registry) throws -> NewModel {
        let path = arguments.positional[0]
        return try NewModel(
            config: JSON(file: path), layout: try Session.dense(arguments) ?? "bf16",
            seed: UInt64(bitPattern: Int64(arguments.int("seed") ?? 42)), components: registry, at: path)
    }

    static func plan(_ plan: inout Plan) throws {
        let layout = try Session.dense(plan.arguments) ?? "bf16"
        let count = try model(plan.arguments, Session.registry(plan.arguments)).count
        plan.add("config", plan.arguments.positional[0])
        plan.add(
            "weights", "\(count) random numbers in \(layout), \(ProgressLine.size(count * (layout == "f32" ? 4 : 2)))")
        plan.add("output", try plan.arguments.required("output_dir"))
    }

    static func run(_ arguments: Arguments) throws {
        let registry = try Session.registry(arguments)
        let directory = try arguments.required("output_dir")
        let model = try model(arguments, registry)
        let hasTokenizer = System.kind(of: System.join(directory, "tokenizer.json")) != nil
        try model.write(to: directory, hasTokenizer: hasTokenizer, components: registry)
        Terminal.line("\(directory): \(model.count) random numbers")
    }
}
