import Testing

/// `train` and `runs` as they are typed, over a tiny model.
@Suite(.serialized, .enabled(if: Program.isThere, "the product martlet is not built")) struct TrainingCommandTests {
    let scratch = Scratch()
    private var cache: String { "MARTLET_CACHE='\(scratch.path)/cache'" }

    init() {
        let made = Program.run("martlet create Examples/facts/tiny-config.json --output_dir '\(scratch.path)/tiny'")
        #expect(made.status == 0, "\(made.text)")
    }

    private func train(_ flags: String, to output: String = "out", data: String = "Examples/facts/facts.jsonl")
        -> Program.Outcome
    {
        Program.run(
            "\(cache) martlet train --model '\(scratch.path)/tiny' --dataset '\(data)' --report_to none --gradient_accumulation_steps 1 --output_dir '\(scratch.path)/\(output)' \(flags)"
        )
    }

    private func runs(_ words: String) -> Program.Outcome { Program.run("\(cache) martlet runs \(words)") }

    // MARK: Going on

    @Test func anotherTrainingDoesNotGoOnFromACheckpoint() {
        #expect(train("--max_steps 2 --save_steps 1").status == 0)
        for (flags, old, new) in [
            ("--lora_alpha 64", "32", "64"), ("--use_rslora true", "false", "true"),
            ("--optim lion_32bit", "adamw_torch", "lion_32bit"), ("--loss_scale all", "default", "all"),
            ("--system 'Be brief.'", "not given", "Be brief."), ("--max_length 64", "2048", "64"),
            ("--packing true", "false", "true"), ("--weight_decay 0.5", "0.1", "0.5"),
            ("--dataset Examples/facts/held-out.jsonl", "facts.jsonl", "held-out.jsonl"),
        ] {
            let outcome = train("--max_steps 3 --resume_from_checkpoint last \(flags)")
            let flag = flags.prefix { $0 != " " }
            #expect(outcome.status == 2, "\(flags): \(outcome.text)")
            for word in ["\(flag) was", old, new, "--adapters \(scratch.path)/out/checkpoint-2"] {
                #expect(outcome.text.contains(word), "\(flags): \(outcome.text)")
            }
        }
        let other = train(
            "--max_steps 3 --resume_from_checkpoint last --learning_rate 2e-4 --save_steps 3 --optim adamw_torch")
        #expect(other.status == 0, "\(other.text)")
        #expect(other.text.contains("--learning_rate was not given, now 0.0002"), "\(other.text)")
        #expect(other.text.contains("--save_steps was 1, now 3") && !other.text.contains("--optim was"))
        #expect(scratch.has("out/checkpoint-3"))
    }

    // MARK: What cannot work

    @Test(arguments: [
        ("--learning_rate -1", "at least 0"), ("--per_device_train_batch_size 0", "at least 1"),
        ("--num_train_epochs 0", "at least 1"), ("--warmup_ratio 3", "from 0.0 to 1.0"),
        ("--split_dataset_ratio 1.5", "from 0.0 to 1.0"), ("--split_dataset_ratio 1", "no row to train on"),
        ("--max_steps 0", "at least 1"), ("--modules_to_save nothere", "no module of that name"),
        ("--target_modules q_proj,v_prj", "did you mean v_proj"), ("--eval_strategy steps", "--val_dataset"),
        ("--load_best_model_at_end true", "--val_dataset"), ("--early_stop_interval 2", "--val_dataset"),
        ("--eval_strategy no --load_best_model_at_end true --split_dataset_ratio 0.1", "--eval_strategy is no"),
    ]) func aFlagThatCannotWorkIsRefused(flags: String, message: String) {
        let outcome = train("--max_steps 1 \(flags)")
        #expect(outcome.status == 2 && outcome.text.contains(message), "\(flags): \(outcome.text)")
        #expect(!scratch.has("out"))
    }

    // MARK: Output

    @Test func everyLineForProgramsIsAnObject() {
        let outcome = train("--max_steps 2 --logging_steps 1 --split_dataset_ratio 0.1 --json true 2>/dev/null")
        let lines = outcome.text.split(separator: "\n")
        #expect(outcome.status == 0 && lines.count > 4, "\(outcome.text)")
        #expect(lines.allSatisfy { $0.hasPrefix("{") && $0.hasSuffix("}") }, "\(outcome.text)")
        #expect(lines.filter { $0.contains("\"loss\":") }.count == 2, "\(outcome.text)")
        #expect(lines.contains { $0.contains("\"eval_loss\":") })
        #expect(lines.last?.hasPrefix(#"{"status":"finished","steps":2,"weights":"#) == true, "\(outcome.text)")
    }

    @Test func runsAreListedShownAndCompared() {
        #expect(train("--max_steps 2 --logging_steps 1 --learning_rate 1e-6", to: "one").status == 0)
        #expect(train("--max_steps 1 --lora_rank 4", to: "two").status == 0)
        let list = runs("list").text.split(separator: "\n")
        #expect(list.count == 3 && list[1].contains("two") && list[1].contains("finished"), "\(list)")
        let shown = runs("show one").text
        // The second step's rate: half of the cosine.
        let rates = shown.split(separator: "\n").first { $0.hasPrefix("learning_rate") } ?? ""
        #expect(rates.contains(" 1e-06 ") && rates.contains(" 5e-07 "), "\(shown)")
        #expect(shown.contains("finished, 2 steps") && shown.contains("--lora_rank 8"), "\(shown)")
        let compared = runs("compare one two").text
        #expect(compared.contains("--lora_rank") && compared.contains("5e-07"), "\(compared)")
        #expect(!compared.contains("--lora_alpha"))
        let json = runs("show one --json").text
        #expect(json.contains("\"values\":{") && json.contains("\"loss\":[[1,"), "\(json)")
        #expect(runs("list --json").text.hasPrefix("[{\"id\":2,"))
        #expect(runs("show nothing").status == 1)
        #expect(runs("compare one").status == 2)
    }

    @Test func aRunThatFailsOrIsKilledDoesNotGoOnForEver() {
        // The step's numbers leave what f32 holds.
        let failed = train("--max_steps 20 --learning_rate 1e38 --max_grad_norm 0", to: "failed")
        #expect(failed.status == 1, "\(failed.text)")
        #expect(runs("list").text.contains("failed: "), "\(runs("list").text)")
        let killed = Program.run(
            """
            '\(Program.path)' train --model '\(scratch.path)/tiny' --dataset Examples/facts/facts.jsonl --report_to none \
            --output_dir '\(scratch.path)/gone' --num_train_epochs 1000 > '\(scratch.path)/said' 2>&1 & run=$!
            for i in $(seq 600); do grep -q '^step' '\(scratch.path)/said' && break; sleep 0.1; done
            '\(Program.path)' runs list; kill -9 $run; wait $run; '\(Program.path)' runs list
            """.replacing("'\(Program.path)'", with: "\(cache) '\(Program.path)'"))
        let states = killed.text.split(separator: "\n").filter { $0.contains("/gone") }
        #expect(states.count == 2 && states[0].contains("running") && states[1].contains("killed"), "\(killed.text)")
    }
}
