import Testing

/// Functions of a library that knows nothing of Martlet, at work in training and in answering.
@Suite(.serialized, .enabled(if: Program.isThere, "the product martlet is not built")) struct ForeignRunTests {
    let scratch = Scratch()

    init() {
        let made = Program.run("martlet create Examples/facts/tiny-config.json --output_dir '\(scratch.path)/tiny'")
        #expect(made.status == 0, "\(made.text)")
        let compiled = Program.run(
            "cc -std=gnu11 -shared -fPIC -O1 -o '\(scratch.path)/libplain.so' Tests/Fixtures/foreign.c -lm")
        #expect(compiled.status == 0, "\(compiled.text)")
        scratch.file(
            "plugins.json",
            """
            {
              "schema": 1,
              "directories": ["\(Program.root)/Plugins"],
              "foreign": [
                {"kind": "martlet.filter/1", "id": "long_enough", "library": "libplain.so",
                 "function": "int long_enough(const char *text, int least)",
                 "arguments": {"text": "response"}, "constants": {"least": 9}},
                {"kind": "martlet.metric/1", "id": "agreement", "library": "libplain.so",
                 "function": "double agreement(const char *completion, const char *solution)",
                 "arguments": {"solution": "reference"}},
                {"kind": "martlet.reward/1", "id": "long_answer", "library": "libplain.so",
                 "function": "int long_enough(const char *text, int least)",
                 "arguments": {"text": "completion"}, "constants": {"least": 1}},
                {"kind": "martlet.metric/1", "id": "by_score", "library": "libplain.so",
                 "function": "double logarithm(double x)", "arguments": {"x": "score"}}
              ]
            }
            """)
        scratch.file(
            "rows.jsonl",
            """
            {"query": "One?", "response": "too short", "score": 1}
            {"query": "Two?", "response": "short"}
            {"query": "Three?", "response": "certainly long enough", "score": 2}
            {"query": "Four?", "response": "no"}

            """)
    }

    private func run(_ line: String) -> Program.Outcome {
        Program.run("export MARTLET_PLUGINS_JSON='\(scratch.path)/plugins.json'; \(line)")
    }

    @Test func aFilterOfAPlainLibraryChoosesWhatIsTrained() {
        let outcome = run(
            "martlet train --model '\(scratch.path)/tiny' --dataset '\(scratch.path)/rows.jsonl' --row_filter long_enough --max_steps 1 --report_to none --eval_strategy no --output_dir '\(scratch.path)/out'"
        )
        #expect(outcome.status == 0, "\(outcome.text)")
        let rejects = Program.run("cat '\(scratch.path)/out/rejects.jsonl'").text.split(separator: "\n")
        #expect(rejects.count == 2, "\(rejects)")
        #expect(rejects.allSatisfy { $0.contains("filtered: by long_enough") }, "\(rejects)")
        #expect(
            rejects.contains { $0.contains("rows.jsonl:2") } && rejects.contains { $0.contains("rows.jsonl:4") },
            "\(rejects)")
    }

    @Test func aFilterThatIsNotThereEndsTheRunBeforeItBegins() {
        let outcome = run(
            "martlet train --model '\(scratch.path)/tiny' --dataset '\(scratch.path)/rows.jsonl' --row_filter long_enogh --output_dir '\(scratch.path)/none'"
        )
        #expect(outcome.status != 0 && outcome.text.contains("long_enogh"), "\(outcome.text)")
        #expect(!scratch.has("none"))
    }

    @Test func metricsAndRewardsOfAPlainLibraryJudgeAnswers() {
        let outcome = run(
            "martlet infer --model '\(scratch.path)/tiny' --val_dataset '\(scratch.path)/rows.jsonl' --metric agreement,by_score --reward long_answer --temperature 0 --max_new_tokens 4 --ignore_eos --result_path '\(scratch.path)/answers.jsonl'"
        )
        // Two rows have no score.
        #expect(outcome.status == 1, "\(outcome.text)")
        #expect(
            outcome.text.contains("by_score: mean 0.346") && outcome.text.contains("of 2 rows, 2 failed: "),
            "\(outcome.text)")
        #expect(
            outcome.text.contains("agreement: mean ") && outcome.text.contains("long_answer: mean 1.0 of 4 rows"),
            "\(outcome.text)")
        let results = Program.run("cat '\(scratch.path)/answers.jsonl'").text.split(separator: "\n")
        #expect(results.count == 4)
        #expect(
            results.allSatisfy { $0.replacing(" ", with: "").contains("\"rewards\":{\"long_answer\":1.0}") },
            "\(results)")
        #expect(results.last?.replacing(" ", with: "").contains("\"by_score\":null") == true, "\(results)")
    }
}
