import Foundation
import Host
import JSON
import Testing

/// Plugins made by `plugin new`, which are the examples under other names: built by the printed steps, checked, used.
@Suite("Examples and plugin new")
struct ExamplesTests {
    /// Follows the steps that `plugin new` prints, each by a shell, with martlet on the path.
    static func make(_ scratch: Scratch, language: String, kind: String, name: String) throws -> String {
        let made = try Program.run("plugin", "new", "--lang", language, "--kind", kind, "--output", scratch.path, name)
        try #require(made.status == 0, "\(made.text)")
        let steps = made.text.split(separator: "\n").filter { $0.hasPrefix("  ") }.map {
            $0.trimmingCharacters(in: .whitespaces)
        }
        #expect(steps == ["cd \(scratch.path)/\(name)", "make", "martlet plugin check .", "martlet plugin add ."])
        let file = try scratch.write("plugins.json", #"{"schema": 1}"#)
        let (status, text) = try Project.run(
            "/bin/sh", ["-ec", steps.joined(separator: "\n")],
            environment: [
                "PATH": "\(FileSystem.parent(of: Program.path)):\(ProcessInfo.processInfo.environment["PATH"] ?? "")",
                "MARTLET_PLUGINS_JSON": file,
            ])
        #expect(status == 0, "\(text)")
        let installation = try Installation(path: file)
        #expect(installation.directories == ["\(scratch.path)/\(name)"])
        #expect(installation.policy.digests["example.\(name)"] != nil)
        return "\(scratch.path)/\(name)"
    }

    private static let inC = ["logger", "filter", "metric", "tuner", "optimizer", "loss", "dataset", "quantizer"].map {
        ("c", $0)
    }
    private static let inRust = ["logger", "reward", "filter", "tuner", "optimizer", "loss", "dataset", "quantizer"].map
    {
        ("rust", $0)
    }

    @Test(arguments: inC + (Project.has("cargo") ? inRust : []))
    func aNewPluginIsCheckedAndAddedByThePrintedSteps(language: String, kind: String) throws {
        let scratch = try Scratch()
        _ = try Self.make(scratch, language: language, kind: kind, name: "my_\(kind)")
    }

    /// Names that are words of the language or of the example become other types.
    @Test(
        .enabled(if: Project.has("cargo"), "cargo is missing"),
        arguments: [("self", "metric"), ("result", "metric"), ("model_family", "model")])
    func aNameThatIsTakenBuildsAllTheSame(name: String, kind: String) throws {
        let scratch = try Scratch()
        _ = try Self.make(scratch, language: "rust", kind: kind, name: name)
        let made = try Program.run(
            "plugin", "new", "--lang", "swift", "--kind", "filter", "--output", "\(scratch.path)/swift", "type")
        #expect(made.status == 0, "\(made.text)")
        let source = try String(contentsOfFile: "\(scratch.path)/swift/type/Sources/TypePlugin.swift", encoding: .utf8)
        #expect(source.contains("struct TypePlugin: RowFunction"), "\(source)")
    }

    /// The judgements of the three row functions on two rows, by hand.
    @Test(
        .enabled(if: Project.has("cargo"), "cargo is missing"),
        arguments: [
            ("c", "reward", #"{"completion": "Four is the answer"}"#, "0.2"),
            ("rust", "metric", #"{"completion": "the cat sat", "reference": "the cat, the dog"}"#, "0.5"),
        ])
    func aNewRowFunctionGivesItsNumber(language: String, kind: String, row: String, number: String) throws {
        let scratch = try Scratch()
        let path = try Self.make(scratch, language: language, kind: kind, name: "judge")
        let rows = try scratch.write("rows.jsonl", row + "\n")
        let called = try Program.run("plugin", "call", kind, "judge", rows, environment: ["MARTLET_PLUGIN_PATH": path])
        #expect(called.text.hasPrefix("row 1\t\(number)\n"), "\(called.text)")
    }

    /// Against transformers, on a model with random weights (Tests/Oracles/example_families.py).
    @Test(arguments: ["stablelm", "stablelm-parallel"])
    func aFamilyInCScoresACheckpointAsTransformersDoes(model: String) throws {
        let scratch = try Scratch()
        let path = try Self.make(scratch, language: "c", kind: "model", name: "stable_lm")
        try expectScores(scratch, plugin: path, model: "\(Project.root)/Tests/Goldens/examples/\(model)", golden: model)
    }

    @Test(.enabled(if: Project.has("cargo"), "cargo is missing"))
    func aFamilyInRustScoresACheckpointAsTransformersDoes() throws {
        let scratch = try Scratch()
        let path = try Self.make(scratch, language: "rust", kind: "model", name: "my_family")
        let model = try ExampleModel.llama(scratch, architecture: "MyFamilyForCausalLM")
        try expectScores(scratch, plugin: path, model: model, golden: "llama")
    }

    @Test func pluginsInSwiftBuildScoreAndFilter() throws {
        let scratch = try Scratch()
        let path = try Self.make(scratch, language: "swift", kind: "model", name: "my_swift_family")
        let model = try ExampleModel.llama(scratch, architecture: "MySwiftFamilyForCausalLM")
        try expectScores(scratch, plugin: path, model: model, golden: "llama")
        _ = try Self.make(scratch, language: "swift", kind: "loss", name: "my_loss")
        let filter = try Self.make(scratch, language: "swift", kind: "filter", name: "whole")
        let rows = try scratch.write(
            "rows.jsonl", "{\"query\": \"?\", \"response\": \"It is so.\"}\n{\"response\": \"It was cut of\"}\n")
        let called = try Program.run(
            "plugin", "call", "filter", "whole", rows, environment: ["MARTLET_PLUGIN_PATH": filter])
        #expect(called.text.hasPrefix("row 1\t1.0\nrow 2\t0.0\n"), "\(called.text)")
    }

    /// The templates of the other kinds, built in one package so that PluginKit is compiled once; each is checked, and used.
    @Test func aPluginOfEachKindInSwiftIsCheckedAndUsed() throws {
        let scratch = try Scratch()
        let kinds = [
            "tuner", "optimizer", "quantizer", "dataset", "tokenizer", "checkpoint", "hub", "device", "engine",
            "logger",
            "op",
        ]
        var targets = ""
        for kind in kinds {
            let made = try Program.run(
                "plugin", "new", "--lang", "swift", "--kind", kind, "--output", scratch.path, "my_\(kind)")
            try #require(made.status == 0, "\(made.text)")
            targets += """
                .target(
                    name: "my_\(kind)", dependencies: [.product(name: "PluginKit", package: "PluginKit")], path: "my_\(kind)/Sources",
                    linkerSettings: [.unsafeFlags(["-Xlinker", "--version-script=\(scratch.path)/my_\(kind)/exports.map"])]),

                """
        }
        let products = kinds.map { ".library(name: \"my_\($0)\", type: .dynamic, targets: [\"my_\($0)\"])" }.joined(
            separator: ", ")
        try scratch.write(
            "Package.swift",
            """
            // swift-tools-version: 6.1
            import PackageDescription
            let package = Package(
                name: "all", products: [\(products)], dependencies: [.package(path: "\(Project.root)/Tools/PluginKit")],
                targets: [\(targets)], swiftLanguageModes: [.v6])
            """)
        let copies = kinds.map { "cp .build/release/libmy_\($0).so my_\($0)" }.joined(separator: "\n")
        let built = try Project.run("/bin/sh", ["-ec", "cd '\(scratch.path)'\nswift build -c release\n\(copies)"])
        try #require(built.0 == 0, "\(built.1)")
        for kind in kinds {
            let checked = try Program.run("plugin", "check", "\(scratch.path)/my_\(kind)")
            #expect(checked.status == 0, "\(kind): \(checked.text)")
        }
        try useOfEachKind(scratch)
    }

    private func useOfEachKind(_ scratch: Scratch) throws {
        let environment = ["MARTLET_PLUGIN_PATH": scratch.path, "MARTLET_CACHE": "\(scratch.path)/cache"]
        func run(_ words: String...) throws -> String {
            let (status, text) = try Project.run(Program.path, words, environment: environment)
            #expect(status == 0, "\(words): \(text)")
            return text
        }
        // Weights in NumPy's files, and rounded to eight bits: the small Llama's own log-probabilities, exact and nearly so.
        let model = try ExampleModel.llama(scratch, architecture: "LlamaForCausalLM")
        try arrays(of: "\(model)/model.safetensors", to: "\(scratch.path)/arrays")
        try FileManager.default.copyItem(atPath: "\(model)/config.json", toPath: "\(scratch.path)/arrays/config.json")
        let ids = try scratch.write("ids.jsonl", "[28, 24, 74, 94, 14]\n")
        let scores = try ["\(model)", "\(scratch.path)/arrays"].map {
            try run("score", "--model", $0, "--ids", ids, "--json", "--activation_dtype", "f32")
        }
        #expect(scores[0] == scores[1])
        let rounded = try run(
            "score", "--model", model, "--ids", ids, "--json", "--activation_dtype", "f32", "--quant_method",
            "my_quantizer")
        let (exact, near) = (try ExampleModel.loss(scores[0]), try ExampleModel.loss(rounded))
        #expect(exact != near && abs(exact - near) < 0.02, "\(exact) and \(near)")
        let elsewhere = try run(
            "score", "--model", model, "--ids", ids, "--json", "--activation_dtype", "f32", "--device", "my_device")
        #expect(abs(try ExampleModel.loss(elsewhere) - exact) < 1e-5, "\(elsewhere)")
        // A training run with the tuner, the optimizer and the data set format of somebody else.
        try ExampleModel.trainable(scratch)
        // "é" is C3 A9, three on; 1 ends the text.
        let octets = try run("tokenize", "--model", "\(scratch.path)/trained", "--json", "é")
        #expect(octets.replacing(" ", with: "").contains("[198,172,1]"), "\(octets)")
        let rows = try scratch.write("rows.qa", "Q: $!$!\nA: %&%&\n\nQ: $!$!$!\nA: %&%&%&\n\nno question\n")
        let said = try run(
            "train", "--model", "\(scratch.path)/trained", "--dataset", rows, "--tuner_type", "my_tuner", "--optim",
            "my_optimizer",
            "--learning_rate", "0.01", "--max_steps", "8", "--gradient_accumulation_steps", "1", "--report_to",
            "my_logger",
            "--output_dir", "\(scratch.path)/run")
        #expect(said.contains("adapter saved"), "\(said)")
        let answers = try ["native", "my_engine"].map {
            try Self.answer(
                run(
                    "infer", "--model", "\(scratch.path)/trained", "--infer_backend", $0, "--temperature", "0",
                    "--max_new_tokens", "9", "--json", "!$!"))
        }
        #expect(answers[0] == answers[1] && answers[0].count > 1, "\(answers)")
        let table = try String(contentsOfFile: "\(scratch.path)/run/my_logger.tsv", encoding: .utf8)
        #expect(table.contains("\tloss\t"), "\(table)")
        let rejects = try String(contentsOfFile: "\(scratch.path)/run/rejects.jsonl", encoding: .utf8)
        #expect(rejects.contains("without Q: or A:"), "\(rejects)")
        let log = try String(contentsOfFile: "\(scratch.path)/run/logging.jsonl", encoding: .utf8)
        let losses = try log.split(separator: "\n").compactMap { try JSON(parsing: String($0))["loss"]?.double }
        #expect((losses.last ?? 9) < (losses.first ?? 0), "\(losses)")
    }

    /// The ids of an answer that `infer --json` gave.
    private static func answer(_ text: String) throws -> [Int] {
        let line = text.split(separator: "\n").first { $0.hasPrefix("{") } ?? ""
        return try JSON(parsing: String(line))["ids"]?.array?.compactMap(\.int) ?? []
    }

    /// Writes each f32 tensor of a safetensors file as NAME.npy (NEP 1, version 1).
    private func arrays(of file: String, to directory: String) throws {
        let data = try Data(contentsOf: URL(fileURLWithPath: file))
        let length = data.prefix(8).enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
        let header = try JSON(parsing: String(decoding: data[8..<8 + length], as: UTF8.self))
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        for (name, tensor) in header.object ?? JSONObject() where name != "__metadata__" {
            let dtype = tensor["dtype"]?.string
            try #require(dtype == "F32")
            let range = tensor["data_offsets"]?.array?.compactMap(\.int) ?? []
            try #require(range.count == 2)
            let shape = (tensor["shape"]?.array?.compactMap(\.int) ?? []).map { "\($0)," }.joined()
            let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(shape)), }"
            let padded = text + String(repeating: " ", count: 63 - (text.utf8.count + 10) % 64) + "\n"
            let size = padded.utf8.count
            let start = [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(size & 255), UInt8(size >> 8)] + Array(padded.utf8)
            try (Data(start) + data[(8 + length + range[0])..<(8 + length + range[1])]).write(
                to: URL(fileURLWithPath: "\(directory)/\(name).npy"))
        }
    }

    @Test func aKindWithoutATemplateIsRefusedWithThoseThatThereAre() throws {
        let scratch = try Scratch()
        let refused = try Program.run(
            "plugin", "new", "--lang", "c", "--kind", "tokenizer", "--output", scratch.path, "x")
        #expect(refused.status == 2)
        #expect(
            refused.text.contains(
                "there is no template for --kind tokenizer in c; there are: dataset, filter, logger, loss, metric, model, optimizer, quantizer, reward, tuner"
            ))
        #expect(
            try Program.run("plugin", "new", "--lang", "cobol", "x").text.contains(
                "--lang is \"cobol\", wanted c, rust or swift"))
    }

    private func expectScores(_ scratch: Scratch, plugin: String, model: String, golden: String) throws {
        let text = try String(
            contentsOfFile: "\(Project.root)/Tests/Goldens/examples/\(golden)/logprobs.json", encoding: .utf8)
        let wanted = try #require(try JSON(parsing: text).array)
        let ids = try scratch.write("ids.jsonl", wanted.compactMap { $0["ids"]?.text() }.joined(separator: "\n"))
        let scored = try Program.run(
            "score", "--model", model, "--ids", ids, "--json", "--activation_dtype", "f32",
            environment: ["MARTLET_PLUGIN_PATH": plugin])
        #expect(scored.status == 0, "\(scored.text)")
        let lines = scored.text.split(separator: "\n").filter { $0.hasPrefix("{\"index\"") }
        #expect(lines.count == wanted.count)
        for (line, golden) in zip(lines, wanted) {
            let found = try JSON(parsing: String(line))["logprobs"]?.array?.compactMap(\.double) ?? []
            let expected = golden["logprobs"]?.array?.compactMap(\.double) ?? []
            #expect(found.count == expected.count)
            #expect(zip(found, expected).allSatisfy { abs($0 - $1) < 2e-5 }, "\(found) \(expected)")
        }
    }
}
