import Foundation
import JSON
import Template
import Testing

@Suite("Chat formats by name")
struct NamedTemplateTests {
    let formats: NamedTemplates
    private let tokenizer = TinyTokenizer()
    private let special = JSONObject([("bos_token", "<s>"), ("eos_token", "</s>")])

    static let plain = ["user", "user_no_gen", "ends_with_assistant"]

    init() throws { formats = try NamedTemplates(resources) }

    @Test("all parse, and give every turn of a plain conversation in order")
    func everyFormat() throws {
        let talk = Conversation([Message("user", "QQ1"), Message("assistant", "AA1"), Message("user", "QQ2")])
        #expect(formats.names.count >= 90)
        for name in formats.names {
            let format = try formats.template(named: name)
            let text = try format.render(talk, system: "SYS", options: RenderOptions(specialTokens: special)).text
            var rest = text[...]
            for piece in ["QQ1", "AA1", "QQ2"] {
                let found = try #require(rest.range(of: piece), "\(name): \(text)")
                rest = rest[found.upperBound...]
            }
            #expect(text.contains("SYS"), "\(name)")
        }
    }

    @Test("train every answer with its end token and nothing of the question")
    func everyFormatTrains() throws {
        var options = TrainingOptions()
        options.render.specialTokens = special
        let talk = Conversation([
            Message("user", "QQ1"), Message("assistant", "AA1"), Message("user", "QQ2"), Message("assistant", "AA2"),
        ])
        for name in formats.names {
            let format = try formats.template(named: name)
            let renderer = TrainingRenderer(format.template, options: options)
            let sequence = try renderer.encode(format.with(nil, talk), tokenize: tokenizer.encode)
            let trained = tokenizer.trained(sequence.ids, sequence.weights)
            #expect(
                trained.contains("AA1") && trained.contains("AA2") && !trained.contains("QQ"), "\(name): \(trained)")
            let ends = format.stop.contains { trained.hasSuffix($0) } || trained.hasSuffix("</s>") || name == "yuan"
            #expect(ends, "\(name): \(trained)")
            // What is asked at inference is what stands before the answer in training.
            var prompt = talk
            prompt.messages.removeLast()
            var asking = options.render
            asking.addsGenerationPrompt = true
            let text = try format.render(prompt, options: asking).text
            let before = String(decoding: sequence.text.utf8.prefix(text.utf8.count), as: UTF8.self)
            #expect(before == text || text.hasSuffix("<think>\n") || text.hasSuffix("<think>"), "\(name)")
        }
    }

    @Test(
        "equal the published templates where those are at hand",
        .enabled(if: SharedData.templates != nil, "no shared data folder"),
        arguments: [
            (
                "qwen2_5", "Qwen-Qwen2.5-7B-Instruct",
                plain + ["tools_user", "tool_roundtrip", "system_user", "multi_turn"]
            ),
            ("llama3_2", "meta-llama-Llama-3.2-3B-Instruct", plain + ["system_user", "reasoning_history"]),
            ("gemma", "google-gemma-2-2b-it", plain + ["reasoning_history", "thinking_on"]),
            ("mistral_nemo", "mistralai-Mistral-Nemo-Instruct-2407", plain + ["system_user", "multi_turn"]),
            ("kimi_k2", "Kimi-K2-Instruct", ["system_user", "multi_turn"]),
            ("seed_oss", "ByteDance-Seed-OSS", plain + ["system_user", "multi_turn"]),
            ("gpt_oss", "openai-gpt-oss-120b", ["user", "user_no_gen", "system_user", "reasoning_history"]),
            ("mistral_2501", "Mistral-Small-3.2-24B-Instruct-2506", ["system_user", "multi_turn"]),
        ])
    func published(_ name: String, _ file: String, _ cases: [String]) throws {
        let folder = try #require(SharedData.templates)
        let reference = try JSON(parsing: SharedData.gunzip(folder.appending(path: "reference_renderings.json.gz")))
        let format = try formats.template(named: name)
        for label in cases {
            let wanted = reference["renderings"]?.array?.first {
                $0["template"]?.string == file + ".jinja" && $0["case"]?.string == label
            }
            let text = try #require(wanted?["text"]?.string)
            let input = try #require(reference["cases"]?[label])
            var options = RenderOptions(specialTokens: special)
            options.addsGenerationPrompt = input["add_generation_prompt"]?.bool ?? false
            options.now = referenceTime
            var found = try format.render(Conversation(input), options: options).text
            for bos in ["<bos>", "<|begin_of_text|>"] where found.hasPrefix(bos) {
                found = "<s>" + found.dropFirst(bos.count)
            }
            #expect(found == text, "\(name) / \(label)")
        }
    }

    @Test("refuse what they cannot say, and name what is near an unknown name")
    func refusals() throws {
        let talk = Conversation([Message("user", "q")], tools: [["type": "function", "function": ["name": "f"]]])
        #expect(throws: TemplateError.self) { try formats.template(named: "zephyr").render(talk) }
        do {
            _ = try formats.template(named: "qwen25")
            Issue.record("found")
        } catch { #expect(error.candidates.contains("qwen2_5")) }
        #expect(try formats.template(named: "Qwen2-5").name == "qwen2_5")
    }
}
