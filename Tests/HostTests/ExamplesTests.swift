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
        let steps = made.text.split(separator: "\n").filter { $0.hasPrefix("  ") }.map { $0.trimmingCharacters(in: .whitespaces) }
        #expect(steps == ["cd \(scratch.path)/\(name)", "make", "martlet plugin check .", "martlet plugin add ."])
        let file = try scratch.write("plugins.json", #"{"schema": 1}"#)
        let (status, text) = try Project.run(
            "/bin/sh", ["-ec", steps.joined(separator: "\n")],
            environment: ["PATH": "\(FileSystem.parent(of: Program.path)):\(ProcessInfo.processInfo.environment["PATH"] ?? "")", "MARTLET_PLUGINS_JSON": file])
        #expect(status == 0, "\(text)")
        let installation = try Installation(path: file)
        #expect(installation.directories == ["\(scratch.path)/\(name)"])
        #expect(installation.policy.digests["example.\(name)"] != nil)
        return "\(scratch.path)/\(name)"
    }

    private static func has(_ tool: String) throws -> Bool {
        try Project.run("/bin/sh", ["-c", "command -v \(tool)"]).0 == 0
    }

    @Test(arguments: [("c", "logger"), ("c", "filter"), ("c", "metric"), ("rust", "logger"), ("rust", "reward"), ("rust", "filter")])
    func aNewPluginIsCheckedAndAddedByThePrintedSteps(language: String, kind: String) throws {
        guard language == "c" ? true : try Self.has("cargo") else { return }
        let scratch = try Scratch()
        _ = try Self.make(scratch, language: language, kind: kind, name: "my_\(kind)")
    }

    /// The judgements of the three row functions on two rows, by hand.
    @Test(arguments: [
        ("c", "reward", #"{"completion": "Four is the answer"}"#, "0.2"),
        ("rust", "metric", #"{"completion": "the cat sat", "reference": "the cat, the dog"}"#, "0.5"),
    ])
    func aNewRowFunctionGivesItsNumber(language: String, kind: String, row: String, number: String) throws {
        guard language == "c" ? true : try Self.has("cargo") else { return }
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

    @Test func aFamilyInRustScoresACheckpointAsTransformersDoes() throws {
        guard try Self.has("cargo") else { return }
        let scratch = try Scratch()
        let path = try Self.make(scratch, language: "rust", kind: "model", name: "my_family")
        let model = try llama(scratch, architecture: "MyFamilyForCausalLM")
        try expectScores(scratch, plugin: path, model: model, golden: "llama")
    }

    @Test func pluginsInSwiftBuildScoreAndFilter() throws {
        let scratch = try Scratch()
        let start = Date()
        let path = try Self.make(scratch, language: "swift", kind: "model", name: "my_swift_family")
        #expect(Date().timeIntervalSince(start) < 600)
        let model = try llama(scratch, architecture: "MySwiftFamilyForCausalLM")
        try expectScores(scratch, plugin: path, model: model, golden: "llama")
        _ = try Self.make(scratch, language: "swift", kind: "loss", name: "my_loss")
        let filter = try Self.make(scratch, language: "swift", kind: "filter", name: "whole")
        let rows = try scratch.write("rows.jsonl", "{\"query\": \"?\", \"response\": \"It is so.\"}\n{\"response\": \"It was cut of\"}\n")
        let called = try Program.run("plugin", "call", "filter", "whole", rows, environment: ["MARTLET_PLUGIN_PATH": filter])
        #expect(called.text.hasPrefix("row 1\t1.0\nrow 2\t0.0\n"), "\(called.text)")
    }

    @Test func aKindWithoutATemplateIsRefusedWithThoseThatThereAre() throws {
        let scratch = try Scratch()
        let refused = try Program.run("plugin", "new", "--lang", "c", "--kind", "tokenizer", "--output", scratch.path, "x")
        #expect(refused.status == 2)
        #expect(refused.text.contains("there is no template for --kind tokenizer in c; there are: filter, logger, metric, model, reward"))
        #expect(try Program.run("plugin", "new", "--lang", "cobol", "x").text.contains("--lang is \"cobol\", wanted c, rust or swift"))
    }

    /// The small Llama of the golden families under another architecture's name.
    private func llama(_ scratch: Scratch, architecture: String) throws -> String {
        let source = "\(Project.root)/Tests/Goldens/families/llama"
        let config = try String(contentsOfFile: "\(source)/config.json", encoding: .utf8)
        try scratch.write("model/config.json", config.replacing("LlamaForCausalLM", with: architecture))
        try FileManager.default.copyItem(atPath: "\(source)/model.safetensors", toPath: "\(scratch.path)/model/model.safetensors")
        return "\(scratch.path)/model"
    }

    private func expectScores(_ scratch: Scratch, plugin: String, model: String, golden: String) throws {
        let text = try String(contentsOfFile: "\(Project.root)/Tests/Goldens/examples/\(golden)/logprobs.json", encoding: .utf8)
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
