import Export
import Files
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

    static func run(_ arguments: Arguments) throws {
        let registry = try Session.registry(arguments)
        let path = arguments.positional[0]
        let directory = try arguments.required("output_dir")
        let model = try NewModel(
            config: JSON(file: path), layout: try Session.dense(arguments) ?? "bf16",
            seed: UInt64(bitPattern: Int64(arguments.int("seed") ?? 42)), components: registry, at: path)
        let hasTokenizer = System.kind(of: System.join(directory, "tokenizer.json")) != nil
        try model.write(to: directory, hasTokenizer: hasTokenizer, components: registry)
        Terminal.line("\(directory): \(model.count) random numbers")
    }
}
