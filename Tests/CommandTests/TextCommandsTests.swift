import Testing

/// Commands over texts and ids, with a tiny model whose tokens are bytes; and what they refuse.
@Suite(.serialized, .enabled(if: Program.isThere, "the product martlet is not built")) struct TextCommandsTests {
    let scratch = Scratch()
    var model: String { "--model '\(scratch.path)/tiny'" }

    init() {
        let made = Program.run("martlet create Examples/facts/tiny-config.json --output_dir '\(scratch.path)/tiny'")
        #expect(made.status == 0, "\(made.text)")
    }

    private func lines(_ command: String) -> [String] {
        let outcome = Program.run(command)
        #expect(outcome.status == 0, "\(command): \(outcome.text)")
        return outcome.text.split(separator: "\n").map(String.init)
    }

    /// - Parameter words: What the message says.
    private func refused(_ command: String, _ words: String..., status: Int32 = 2) {
        let outcome = Program.run(command)
        #expect(outcome.status == status, "\(command): \(outcome.text)")
        for word in words { #expect(outcome.text.contains(word), "\(command): \(outcome.text)") }
    }

    // MARK: Tokens

    @Test func aTextBecomesIdsAndPieces() {
        #expect(lines("martlet tokenize \(model) Hi") == ["72\t\"H\"", "105\t\"i\""])
        #expect(
            lines("martlet tokenize \(model) --json 'Hi<|im_end|>'") == [
                #"{"ids":[72,105,258],"pieces":["H","i","<|im_end|>"]}"#
            ])
        // As with transformers' add_special_tokens=False, what the text spells out stays one token.
        #expect(lines("martlet tokenize \(model) --no_special '<|im_end|>'") == ["258\t\"<|im_end|>\""])
    }

    @Test func idsBecomeTheirText() {
        #expect(lines("martlet tokenize \(model) --decode 72 105 258") == ["Hi<|im_end|>"])
        #expect(lines("martlet tokenize \(model) --decode '[72, 105]' --json") == [#"{"ids":[72,105],"text":"Hi"}"#])
        #expect(lines("printf '72 105\\n{\"ids\": [72]}\\n' | martlet tokenize \(model) --decode") == ["Hi", "H"])
    }

    @Test(arguments: ["abc", "-1", "259", "99999999999", "1.5"]) func whatIsNoIdIsNamed(word: String) {
        refused("martlet tokenize \(model) --decode -- '[72,\(word)]'", "\"\(word)\"", "0 to 258")
    }

    // MARK: Prompts

    @Test func aConversationBecomesItsPrompt() {
        let messages = scratch.file("messages.json", #"[{"role": "user", "content": "Hi"}]"#)
        let prompt = "<|im_start|>user\nHi<|im_end|>\n"
        let shown = Program.run("martlet render \(model) '\(messages)'")
        #expect(shown.status == 0 && shown.text.hasPrefix(prompt + "<|im_start|>assistant\n"), "\(shown.text)")
        let json = lines("martlet render \(model) --add_generation_prompt false --json < '\(messages)'")
        #expect(
            json == [
                #"{"text":"<|im_start|>user\nHi<|im_end|>\n","ids":[257,117,115,101,114,10,72,105,258,10]}"#
            ])
        refused("martlet render \(model) '\(scratch.path)/none.json'", "none.json")
        refused("martlet render \(model) '\(scratch.file("bad.json", "[{"))'", "bad.json")
    }

    @Test func anEmptyPromptIsNotAnswered() {
        refused("martlet infer \(model) ''", "the prompt is empty")
        refused("martlet infer \(model) < /dev/null", "standard input is empty")
        refused("echo | martlet infer \(model)", "standard input is empty")
        refused("martlet infer \(model) --max_new_tokens 0 Hi", "--max_new_tokens", "at least 1")
        refused("martlet score \(model) ''", "nothing to score")
        let single = lines("martlet score \(model) --json A Hi")
        #expect(single.first?.contains("\"perplexity\":null") == true, "\(single)")
    }

    // MARK: Names of models

    @Test func whatTrainingWroteSaysHowItIsUsed() {
        let train = "martlet train \(model) --dataset Examples/facts/facts.jsonl --max_steps 1 --report_to none"
        let cache = "MARTLET_CACHE='\(scratch.path)/cache'"
        #expect(Program.run("\(cache) \(train) --output_dir '\(scratch.path)/out'").status == 0)
        refused(
            "martlet infer --model '\(scratch.path)/out' Hi", "adapter", "--model \(scratch.path)/tiny --adapters")
        let answered = Program.run("martlet infer --adapters '\(scratch.path)/out' --max_new_tokens 2 Hi")
        #expect(answered.status == 0 && answered.text.contains("model \(scratch.path)/tiny"), "\(answered.text)")
        let full = Program.run("\(cache) \(train) --tuner_type full --output_dir '\(scratch.path)/full'")
        #expect(full.status == 0, "\(full.text)")
        refused("martlet infer --model '\(scratch.path)/full' Hi", "\(scratch.path)/full/checkpoint-1")
        #expect(
            Program.run("martlet infer --model '\(scratch.path)/full/checkpoint-1' --max_new_tokens 2 Hi").status == 0)
    }

    @Test func aTensorThatNothingReadsIsNamedForTheOneThatIsMissing() {
        let renamed = Program.run(
            "sed -i 's/layers.0.self_attn.q_proj.weight/layers.0.self_attn.q_prjo.weight/' '\(scratch.path)/tiny/model.safetensors'"
        )
        #expect(renamed.status == 0)
        refused("martlet infer \(model) Hi", "q_proj", "nothing reads", "q_prjo", status: 1)
    }

    @Test func aMergedModelIsWrittenInTheLayoutThatIsAskedFor() {
        let place = scratch.path
        #expect(
            Program.run(
                "martlet create Examples/facts/tiny-config.json --torch_dtype float32 --output_dir '\(place)/wide'"
            ).status == 0)
        let trained = Program.run(
            "MARTLET_CACHE='\(place)/cache' martlet train --model '\(place)/wide' --dataset Examples/facts/facts.jsonl --max_steps 2 --learning_rate 0.01 --report_to none --output_dir '\(place)/adapter'"
        )
        #expect(trained.status == 0, "\(trained.text)")
        let export = "martlet export --model '\(place)/wide' --adapters '\(place)/adapter' --merge_lora true"
        let half = Program.run("\(export) --torch_dtype bfloat16 --output_dir '\(place)/half'")
        #expect(half.status == 0 && half.text.contains("limit 0.05"), "\(half.text)")
        let whole = Program.run("\(export) --output_dir '\(place)/whole'")
        #expect(whole.status == 0 && whole.text.contains("limit 0.001"), "\(whole.text)")
        let check = Program.run("martlet score --model '\(place)/half' --check; cat '\(place)/half/config.json'")
        #expect(check.text.contains("(bf16") && check.text.contains("\"bfloat16\""), "\(check.text)")
    }

    // MARK: Downloads and plugins

    @Test func aDownloadReadsNamesAsTrainingDoes() {
        let plan = "MARTLET_OFFLINE=0 MARTLET_CACHE='\(scratch.path)/none' martlet download --dry_run"
        for name in ["alpaca-en#500", "hf::tatsu-lab/alpaca", "ms::AI-ModelScope/ruozhiba:title-good/title-norm"] {
            let outcome = Program.run("\(plan) --dataset '\(name)'")
            #expect(outcome.status == 0 && outcome.text.contains("would be fetched from https://"), "\(outcome.text)")
        }
        refused("\(plan) --dataset AI-ModelScope/ruozhiba:nothing", "no sub-set", "title-good", status: 1)
        refused("\(plan) --dataset xx::a/b", "\"xx::\"", status: 1)
        refused(
            "martlet download --model '\(scratch.path)/tiny' --local_dir '\(scratch.path)/copy'", "nothing was copied")
        let near = Program.run("martlet download --dataset alpaca-gpt9 2>&1").text.split(separator: ",")
        #expect(Set(near).count == near.count, "\(near)")
    }

    @Test func addingAPluginIsPlannedByItsManifestAndThePolicy() {
        let planned = Program.run("martlet plugin add Plugins/Losses/DPO --dry_run")
        #expect(planned.status == 0 && planned.text.contains("allowed by the policy"), "\(planned.text)")
        refused("martlet plugin add '\(scratch.path)' --dry_run", "plugin.json", status: 3)
    }
}
