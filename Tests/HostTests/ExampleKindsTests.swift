import Foundation
import JSON
import Testing

/// The templates of the kinds that train, in C and in Rust, at work together: somebody else's rows, tuner and optimizer in one
/// run, their loss in another, their quantizer on a model.
@Suite("Examples of kinds, used")
struct ExampleKindsTests {
    /// What a language's data set format reads: three rows, one of them damaged, and what is said of that one.
    private static let rows = [
        "c": (
            "rows.tab", "query\tresponse\nWho?\tA martlet.\nonly one column\nWhere?\tOn a shield.\n",
            "found 1 columns, wanted 2"
        ),
        "rust": (
            "rows.my_dataset",
            "query: Who?\nresponse: A martlet.\n\nno colon here\n\nquery: Where?\nresponse: On a shield.\n",
            "found a line without"
        ),
    ]

    @Test(arguments: ["c"] + (Project.has("cargo") ? ["rust"] : []))
    func newPluginsTrainTogether(language: String) throws {
        let scratch = try Scratch()
        for kind in ["tuner", "optimizer", "dataset", "loss", "quantizer"] {
            let made = try Program.run(
                "plugin", "new", "--lang", language, "--kind", kind, "--output", scratch.path, "my_\(kind)")
            try #require(made.status == 0, "\(made.text)")
            let built = try Project.run(
                "/usr/bin/env", ["make", "-C", "\(scratch.path)/my_\(kind)"],
                environment: ["MARTLET_INCLUDE": "\(Project.root)/Sources/PluginAPI/include"])
            try #require(built.0 == 0, "\(built.1)")
        }
        func run(_ words: String...) throws -> String {
            let (status, text) = try Project.run(
                Program.path, words, environment: ["MARTLET_PLUGIN_PATH": scratch.path])
            #expect(status == 0, "\(words): \(text)")
            return text
        }
        let model = "\(scratch.path)/tiny"
        _ = try run("create", "\(Project.root)/Examples/facts/tiny-config.json", "--output_dir", model)
        let (name, text, cause) = try #require(Self.rows[language])
        let rows = try scratch.write(name, text)
        let common = [
            "train", "--model", model, "--max_steps", "6", "--gradient_accumulation_steps", "1", "--report_to", "none",
            "--per_device_train_batch_size", "2", "--logging_steps", "1", "--learning_rate",
            language == "c" ? "0.1" : "0.01",
        ]
        func train(_ words: [String], _ output: String) throws -> [Double] {
            let (status, said) = try Project.run(
                Program.path, common + words + ["--output_dir", "\(scratch.path)/\(output)"],
                environment: ["MARTLET_PLUGIN_PATH": scratch.path])
            try #require(status == 0, "\(said)")
            let log = try String(contentsOfFile: "\(scratch.path)/\(output)/logging.jsonl", encoding: .utf8)
            return try log.split(separator: "\n").compactMap { try JSON(parsing: String($0))["loss"]?.double }
        }
        let losses = try train(
            ["--dataset", rows, "--tuner_type", "my_tuner", "--optim", "my_optimizer"], "run")
        #expect(losses.count > 1 && (losses.last ?? 9) < (losses.first ?? 0), "\(losses)")
        let rejects = try String(contentsOfFile: "\(scratch.path)/run/rejects.jsonl", encoding: .utf8)
        #expect(rejects.contains(cause), "\(rejects)")
        // The adapter is PEFT's: Martlet's own LoRA reads the one that is a LoRA.
        let config = try String(contentsOfFile: "\(scratch.path)/run/adapter_config.json", encoding: .utf8)
        #expect(config.contains(language == "c" ? "IA3" : "LORA"), "\(config)")
        if language == "rust" {
            _ = try run(
                "infer", "--model", model, "--adapters", "\(scratch.path)/run", "--max_new_tokens", "2",
                "--temperature",
                "0", "Who?")
        }
        try expectLoss(language, scratch, train)
        // Rounded to four bits and to eight: near the exact scores, and not the same.
        let scores = try [[], ["--quant_method", "my_quantizer"]].map { more in
            try ExampleModel.loss(
                Project.run(
                    Program.path,
                    ["score", "--model", model, "--json", "--activation_dtype", "f32", "A martlet on a shield."] + more,
                    environment: ["MARTLET_PLUGIN_PATH": scratch.path]
                ).1)
        }
        #expect(scores[0] != scores[1] && abs(scores[0] - scores[1]) < (language == "c" ? 0.5 : 0.05), "\(scores)")
    }

    /// The first loss by hand: with a model of random weights, each label's probability is about one in the vocabulary.
    private func expectLoss(
        _ language: String, _ scratch: Scratch, _ train: ([String], String) throws -> [Double]
    ) throws {
        if language == "c" {
            let rows = try scratch.write(
                "plain.jsonl", #"{"query": "Who?", "response": "A martlet."}"# + "\n")
            let plain = try train(["--dataset", rows], "plain")
            let poly = try train(
                ["--dataset", rows, "--rlhf_type", "my_loss", "--rlhf_args", "epsilon=2"], "poly")
            // -log p + 2 (1 - p), with p of a percent or less.
            let (first, other) = (try #require(plain.first), try #require(poly.first))
            #expect(abs(other - first - 2) < 0.05, "\(first) and \(other)")
            #expect((poly.last ?? 9) < (poly.first ?? 0), "\(poly)")
        } else {
            let rows = try scratch.write(
                "pairs.jsonl",
                #"{"query": "Who?", "response": "A martlet.", "rejected_response": "A dragon on a hill."}"# + "\n")
            let hinge = try train(
                ["--dataset", rows, "--rlhf_type", "my_loss", "--rlhf_args", "margin=3"], "hinge")
            // The margin, less by how far chance puts the chosen answer ahead.
            let first = try #require(hinge.first)
            #expect(abs(first - 3) < 0.5, "\(hinge)")
            #expect((hinge.last ?? 9) < first, "\(hinge)")
        }
    }
}
