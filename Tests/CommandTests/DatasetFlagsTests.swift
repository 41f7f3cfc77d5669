import Testing

/// What `train` makes of data sets that are not what was meant, and what it says of their rows.
@Suite(.serialized, .enabled(if: Program.isThere, "the product martlet is not built")) struct DatasetFlagsTests {
    let scratch = Scratch()
    var model: String { "--model '\(scratch.path)/tiny'" }
    var out: String { "--output_dir '\(scratch.path)/out'" }

    init() {
        let made = Program.run("martlet create Examples/facts/tiny-config.json --output_dir '\(scratch.path)/tiny'")
        #expect(made.status == 0, "\(made.text)")
    }

    private func rows(_ name: String, kept: Int, empty: Int = 0, broken: Int = 0) -> String {
        let lines =
            (0..<kept).map { "{\"query\": \"q\($0)\", \"response\": \"a\($0)\"}" }
            + Array(repeating: "{\"messages\": []}", count: empty) + Array(repeating: "broken", count: broken)
        scratch.file(name, lines.joined(separator: "\n") + "\n")
        return "'\(scratch.path)/\(name)'"
    }

    @Test func theTaskOfARegistrationChoosesTheObjective() {
        scratch.file(
            "pairs.jsonl", "{\"query\": \"q\", \"response\": \"a\", \"rejected_response\": \"b\"}\n")
        _ = rows("plain.jsonl", kept: 2)
        scratch.file(
            "data.yaml",
            """
            mine: {train: pairs.jsonl, task: dpo}
            texts: {train: plain.jsonl, task: sft}
            odd: {train: plain.jsonl, task: nope}
            """)
        func plan(_ words: String) -> Program.Outcome {
            let info = "--custom_dataset_info '\(scratch.path)/data.yaml'"
            return Program.run("martlet train \(model) \(out) \(info) \(words) --dry_run")
        }
        #expect(plan("--dataset mine").text.contains("objective  dpo"))
        #expect(plan("--dataset texts").text.contains("objective  sft"))
        for (words, said) in [
            ("--dataset odd", "wanted sft, pt, pretrain"), ("--dataset mine --rlhf_type kto", "the run trains kto"),
            ("--dataset texts --rlhf_type dpo", "registered for the task sft"),
            ("--dataset mine texts", "texts is registered for the task sft, but mine for dpo"),
        ] {
            let refused = plan(words)
            #expect(refused.status == 2 && refused.text.contains(said), "\(words): \(refused.text)")
        }
    }

    @Test func columnsThatAreNotThereAreRefused() {
        let path = rows("plain.jsonl", kept: 2)
        let preview = "martlet train \(model) --dataset \(path) --preview"
        let unknown = Program.run("\(preview) --columns '{\"query\": \"quary\"}'")
        #expect(unknown.status == 2 && unknown.text.contains("did you mean query?"), "\(unknown.text)")
        let missing = Program.run("\(preview) --columns '{\"qq\": \"query\"}'")
        #expect(missing.status == 1 && missing.text.contains("query, response"), "\(missing.text)")
    }

    @Test func formsThatNeedCodeAreRefusedWithTheWayOut() {
        let outcome = Program.run(
            "martlet train \(model) \(out) --dataset AI-ModelScope/leetcode-solutions-python --dry_run")
        #expect(outcome.text.contains("--custom_dataset_info"), "\(outcome.text)")
    }

    @Test func rowsAreAccountedForInPlanAndRun() {
        let train = rows("train.jsonl", kept: 8, empty: 6, broken: 6)
        let held = rows("held.jsonl", kept: 4, broken: 1)
        let flags =
            "\(model) \(out) --dataset \(train) --val_dataset \(held) --num_train_epochs 1 --report_to none --gradient_accumulation_steps 4"
        let said = "20 rows read, 8 kept, 12 rejected: 6 x messages is empty, 6 x not valid JSON"
        let plan = Program.run("martlet train \(flags) --dry_run")
        #expect(plan.text.contains(said + "; 8 batches"), "\(plan.text)")
        #expect(plan.text.contains("5 rows read, 4 kept, 1 rejected"), "\(plan.text)")
        let run = Program.run("martlet train \(flags)")
        #expect(run.status == 0 && run.text.contains(said), "\(run.text.suffix(900))")
        #expect(run.text.contains("evaluation: 5 rows read, 4 kept, 1 rejected"), "\(run.text.suffix(900))")
        let list = Program.run("cat '\(scratch.path)/out/rejects.jsonl' '\(scratch.path)/out/rejects-val.jsonl'").text
        #expect(list.split(separator: "\n").count == 13)
        #expect(list.contains("train.jsonl:9\"") && list.contains("held.jsonl:5\""), "\(list)")
        // Clean rows into the same directory leave no old list behind.
        let clean = rows("clean.jsonl", kept: 4)
        let again = Program.run(
            "martlet train \(model) \(out) --dataset \(clean) --max_steps 1 --report_to none")
        #expect(again.status == 0 && again.text.contains("4 rows read, 4 kept, 0 rejected"), "\(again.text)")
        #expect(!scratch.has("out/rejects.jsonl") && !scratch.has("out/rejects-val.jsonl"))
    }

    @Test func aPreviewNamesTheLinesOfAllRows() {
        let path = rows("plain.jsonl", kept: 2, broken: 1)
        let text = Program.run("martlet train \(model) --dataset \(path) --dataset_shuffle false --preview").text
        for words in ["plain.jsonl:1: ", "plain.jsonl:2: ", "rejected: ", "plain.jsonl:3: not valid JSON"] {
            #expect(text.contains(words), "\(words): \(text)")
        }
        let json = Program.run("martlet train \(model) --dataset \(path) --preview --json").text
        let lines = json.split(separator: "\n")
        #expect(lines.count == 3 && lines.allSatisfy { $0.hasPrefix("{\"place\"") }, "\(json)")
    }

    @Test func aMessageWithoutContentIsRenderedAsItIsTrained() {
        scratch.file(
            "row.jsonl",
            "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{\"function\": {\"name\": \"look\", \"arguments\": \"{}\"}}]}]}\n"
        )
        let rendered = Program.run("martlet render \(model) --add_generation_prompt false '\(scratch.path)/row.jsonl'")
        #expect(rendered.status == 0 && rendered.text.contains("assistant\n<|im_end|>"), "\(rendered.text)")
        let preview = Program.run("martlet train \(model) --dataset '\(scratch.path)/row.jsonl' --preview")
        #expect(preview.text.contains("tools are lost: "), "\(preview.text)")
    }
}
