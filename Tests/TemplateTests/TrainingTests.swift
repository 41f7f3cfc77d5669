import JSON
import Template
import Testing

private let chatml = """
    {%- for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}
    {%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
    """
/// As templates of hybrid thinking models are: thoughts before the last question are dropped, and a turn without
/// thoughts gets empty ones.
private let thinking = """
    {%- set ns = namespace(last=0) %}
    {%- for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}
    {%- for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}
    {%- if m.role == 'assistant' and loop.index0 > ns.last %}
    {{- '<think>\\n' + m.reasoning_content | default('') + '\\n</think>\\n\\n' }}{% endif %}
    {{- m.content + '<|im_end|>\\n' }}{% endfor %}
    {%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is false %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}{% endif %}
    """

private func conversation(_ turns: (String, String)...) -> Conversation {
    Conversation(turns.map { Message($0.0, $0.1) })
}

@Suite("Training encoding")
struct TrainingTests {
    let tokenizer = TinyTokenizer()
    let talk = conversation(
        ("system", "S"), ("user", "a"), ("assistant", "one"), ("user", "b"), ("assistant", "two"))

    private func trained(
        _ source: String, _ conversation: Conversation, _ change: (inout TrainingOptions) -> Void = { _ in }
    ) throws -> String {
        var options = TrainingOptions()
        change(&options)
        let renderer = TrainingRenderer(try Template(source), options: options)
        let sequence = try renderer.encode(conversation, tokenize: tokenizer.encode)
        return tokenizer.trained(sequence.ids, sequence.weights)
    }

    @Test("marks the tokens that transformers marks, with generation blocks and without, at clean and unclean edges")
    func transformersMasks() throws {
        for golden in try #require(try SharedData.golden("training_masks.json").array) {
            let name = golden["name"]?.string ?? ""
            let merges = golden["merges"]?.array?.compactMap(\.string) ?? []
            let wanted = try #require(golden["mask"]?.array).map { $0.int ?? 0 }
            let pieces = try #require(golden["pieces"]?.array).compactMap(\.string)
            let talk = try Conversation(golden)
            let source = try #require(golden["template"]?.string)
            let plain = source.replacing("{% generation %}", with: "").replacing("{% endgeneration %}", with: "")

            for source in [source, plain] {
                let tokenizer = TinyTokenizer(merges: merges)
                let renderer = TrainingRenderer(try Template(source))
                let sequence = try renderer.encode(talk, tokenize: tokenizer.encode)
                #expect(sequence.ids.map { tokenizer.pieces[Int($0)] } == pieces, "\(name)")
                #expect(sequence.weights.map { $0 == 0 ? 0 : 1 } == wanted, "\(name)")
            }
        }
    }

    @Test("trains what the assistant says and the token that ends it, not the line break after it")
    func labels() throws {
        #expect(try trained(chatml, talk) == "one<|im_end|>¦two<|im_end|>")
    }

    @Test("trains the last round alone, or everything, by policy")
    func policies() throws {
        #expect(try trained(chatml, talk) { $0.turns = .lastRound } == "two<|im_end|>")
        var tools = talk
        tools.messages += [Message("tool", "r"), Message("assistant", "three")]
        #expect(try trained(chatml, tools) { $0.turns = .lastRound } == "two<|im_end|>¦three<|im_end|>")
        let all = try trained(chatml, conversation(("user", "a"), ("assistant", "b"))) { $0.turns = .all }
        #expect(all == "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n")
    }

    @Test("lets a message's own loss win over the policy")
    func messageLoss() throws {
        var talk = talk
        talk.messages[2].isTrained = true
        talk.messages[4].isTrained = false
        #expect(try trained(chatml, talk) { $0.turns = .lastRound } == "one<|im_end|>")
        talk.messages[2].isTrained = false
        #expect(throws: TrainingError.nothingTrained) { try trained(chatml, talk) }
    }

    @Test("gives tokens the weight of their message, and tells where the answer begins")
    func weights() throws {
        var talk = talk
        talk.messages[4].lossScale = 2.5
        let sequence = try TrainingRenderer(try Template(chatml)).encode(talk, tokenize: tokenizer.encode)
        #expect(Set(sequence.weights) == [0, 1, 2.5])
        #expect(sequence.weights.firstIndex(of: 2.5) == sequence.promptLength)
        #expect(sequence.ids == tokenizer.encode(sequence.text))
    }

    @Test("does not train a turn that the template rewrites, and gives each round whole on request")
    func rewrittenHistory() throws {
        var talk = talk
        talk.messages[2].reasoning = "t1"
        talk.messages[4].reasoning = "t2"
        let renderer = TrainingRenderer(try Template(thinking))
        let sequence = try renderer.encode(talk, tokenize: tokenizer.encode)
        #expect(tokenizer.trained(sequence.ids, sequence.weights) == "<think>\nt2\n</think>\n\ntwo<|im_end|>")
        #expect(sequence.rewrittenTurns == 1)
        let rounds = try renderer.encodeRounds(talk, tokenize: tokenizer.encode)
        #expect(
            rounds.map { tokenizer.trained($0.ids, $0.weights) }
                == ["<think>\nt1\n</think>\n\none<|im_end|>", "<think>\nt2\n</think>\n\ntwo<|im_end|>"])
        #expect(throws: TrainingError.rewritesHistory(message: 2)) {
            try trained(thinking, talk) { $0.rewritten = .refused }
        }
    }

    @Test("leaves empty thoughts untrained unless asked")
    func emptyThinking() throws {
        let one = conversation(("user", "a"), ("assistant", "b"))
        #expect(try trained(thinking, one) == "b<|im_end|>")
        #expect(
            try trained(thinking, one) { $0.ignoresEmptyThinking = false } == "<think>\n\n</think>\n\nb<|im_end|>")
        var off = one
        off.variables["enable_thinking"] = false
        #expect(try trained(thinking, off) { $0.ignoresEmptyThinking = false } == "b<|im_end|>")
    }

    @Test("begins where prompt and text part if the prompt opens thoughts that the turn has not")
    func openedThoughts() throws {
        let source = """
            {%- for m in messages %}{{ '<s>' + m.role + ':' + m.content + '</s>' }}{% endfor %}
            {%- if add_generation_prompt %}{{ '<s>assistant:<think>\\n' }}{% endif %}
            """
        #expect(try trained(source, conversation(("user", "a"), ("assistant", "<tool>x"))) == "<tool>x</s>")
        #expect(try trained(source, conversation(("user", "a"), ("assistant", "b"))) == "b</s>")
    }

    @Test("refuses a template whose text before a turn depends on the turn")
    func ambiguity() throws {
        let source = "{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}"
        #expect(throws: TrainingError.self) { try trained(source, conversation(("user", "a"), ("assistant", "b"))) }
    }

    @Test("keeps the ids of the whole text whatever the tokenizer merges over an edge")
    func mergingTokenizers() throws {
        for merges in [["\no", "on"], ["e<"], ["\nt", "tw", "wo"], ["t\n"]] {
            let tokenizer = TinyTokenizer(merges: merges)
            let sequence = try TrainingRenderer(try Template(chatml)).encode(talk, tokenize: tokenizer.encode)
            #expect(sequence.ids == tokenizer.encode(sequence.text))
            let text = tokenizer.trained(sequence.ids, sequence.weights)
            #expect(text.contains("ne<|im_end|>") && text.contains("wo<|im_end|>") && !text.contains("user"))
        }
    }
}
