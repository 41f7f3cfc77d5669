import Testing

/// `martlet verify` over a plugin that breaks one of its claims: the claim is named, and the exit status says so.
@Suite(.serialized, .enabled(if: Program.isThere, "the product martlet is not built")) struct VerifyTests {
    let scratch = Scratch()

    /// Compiles a plugin of Tests/BrokenPlugins/Kinds and gives the shell words that put it in force.
    private func install(_ source: String, kind: String, id: String) -> String {
        let compiled = Program.run(
            "cc -std=gnu11 -shared -fPIC -fvisibility=hidden -D'ID=\"\(id)\"' -I Sources/PluginAPI/include -o '\(scratch.path)/libbroken.so' Tests/BrokenPlugins/Kinds/\(source)"
        )
        #expect(compiled.status == 0, "\(compiled.text)")
        scratch.file(
            "plugin.json",
            """
            {"schema": 1, "id": "test.broken", "version": "1.0.0", "abi": {"major": 1, "minor": 0},
             "library": "libbroken.so", "runtime": "c", "os": "linux",
             "architectures": ["x86_64", "aarch64", "riscv64"], "description": "Breaks a claim.", "license": "Apache-2.0",
             "provides": [{"kind": "\(kind)", "id": "\(id)"}]}
            """)
        let file = scratch.file(
            "plugins.json",
            """
            {"schema": 1, "directories": ["\(Program.root)/Plugins", "."],
             "preferences": {"\(kind)": {"\(id)": "test.broken"}}}
            """)
        return "export MARTLET_PLUGINS_JSON='\(file)';"
    }

    /// The claims that the report says have failed.
    private func failures(_ outcome: Program.Outcome) -> [String] {
        outcome.text.split(separator: "\n").filter { $0.hasPrefix("FAILED ") }.map {
            String($0.dropFirst(7).prefix { $0 != ":" })
        }
    }

    private func verify(_ environment: String, _ config: String, _ flags: String = "") -> Program.Outcome {
        let model = scratch.path + "/model"
        let made = Program.run("\(environment) martlet create \(config) --output_dir '\(model)'")
        #expect(made.status == 0, "\(made.text)")
        return Program.run("\(environment) martlet verify '\(model)' \(flags)")
    }

    private static let tiny = "Examples/facts/tiny-config.json"
    private static let splits = [
        "packed rows and single rows give the same gradient", "any accumulation gives the same gradient",
    ]

    @Test func aSoundModelPasses() {
        let outcome = verify("", Self.tiny, "--quant_method bnb")
        #expect(outcome.status == 0 && failures(outcome).isEmpty, "\(outcome.text)")
        for claim in Self.splits + ["quantized weights keep the quantizer's bound"] {
            #expect(outcome.text.contains("ok     \(claim)"), "\(outcome.text)")
        }
    }

    @Test func aModelWhoseRowsSeeEachOtherIsFound() {
        let environment = install("model_crosses.c", kind: "martlet.model/1", id: "broken")
        let config = scratch.file(
            "config.json", #"{"architectures": ["BrokenForCausalLM"], "vocab_size": 512, "hidden_size": 8}"#)
        let outcome = verify(environment, config)
        #expect(outcome.status == 1 && failures(outcome) == Self.splits, "\(outcome.text)")
    }

    @Test func aLossThatAveragesEachBatchByItselfIsFound() {
        let environment = install("alignment_batch.c", kind: "martlet.alignment/1", id: "sft")
        let outcome = verify(environment, Self.tiny)
        #expect(outcome.status == 1 && failures(outcome) == Self.splits, "\(outcome.text)")
    }

    @Test func aQuantizerThatBreaksItsWordIsFound() {
        let environment = install("quantizer_error.c", kind: "martlet.quantizer/1", id: "broken")
        let outcome = verify(environment, Self.tiny, "--quant_method broken")
        #expect(
            outcome.status == 1 && failures(outcome) == ["quantized weights keep the quantizer's bound"],
            "\(outcome.text)")
    }
}
