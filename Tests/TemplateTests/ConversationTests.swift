import JSON
import Template
import Testing

@Suite("Conversations")
struct ConversationTests {
    private func parse(_ text: String) throws -> Conversation { try Conversation(JSON(parsing: text)) }

    @Test("read OpenAI's tool calls, arguments as text or object")
    func openAI() throws {
        let talk = try parse(
            #"""
            {"messages": [{"role": "user", "content": "w?"},
             {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function",
               "function": {"name": "f", "arguments": "{\"a\": 1}"}}]},
             {"role": "tool", "tool_call_id": "c1", "content": "21"}],
             "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}
            """#)
        #expect(talk.messages[1].toolCalls == [ToolCall(id: "c1", name: "f", arguments: ["a": 1])])
        #expect(talk.messages[1].content.isEmpty)
        #expect(talk.messages[2].toolCallID == "c1" && talk.messages[2].text == "21")
        #expect(talk.tools.count == 1)
    }

    @Test("read Anthropic's tool calls as the same conversation as OpenAI's")
    func anthropic() throws {
        let talk = try parse(
            #"""
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "w?"},
              {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}]},
             {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "let me"},
              {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}}]},
             {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "21"}]},
              {"type": "text", "text": "so?"}]}],
             "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}}]}
            """#)
        #expect(talk.messages.map(\.role) == ["user", "assistant", "tool", "user"])
        #expect(talk.messages[0].content[1] == .media(Media(.image, source: "data:image/png;base64,AA==")))
        #expect(talk.messages[1].reasoning == "hm" && talk.messages[1].text == "let me")
        #expect(talk.messages[1].toolCalls == [ToolCall(id: "c1", name: "f", arguments: ["a": 1])])
        #expect(talk.messages[2].toolCallID == "c1" && talk.messages[2].text == "21")
        #expect(talk.tools[0]["function"]?["parameters"] == ["type": "object"])
    }

    @Test("read training files: calls as messages of their own, loss, tools as text")
    func trainingFiles() throws {
        let talk = try parse(
            #"""
            {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "calling"},
             {"role": "tool_call", "content": "{\"name\": \"f\", \"arguments\": {\"a\": 1}}"},
             {"role": "tool_call", "content": "{\"name\": \"g\", \"arguments\": {}}"},
             {"role": "tool_response", "content": "r"}, {"role": "assistant", "content": "done", "loss": false},
             {"role": "assistant", "content": "x", "loss_scale": 0.5}], "tools": "[{\"name\": \"f\"}]",
             "chat_template_kwargs": {"enable_thinking": false}}
            """#)
        #expect(talk.messages.map(\.role) == ["user", "assistant", "tool", "assistant", "assistant"])
        #expect(talk.messages[1].toolCalls.map(\.name) == ["f", "g"])
        #expect(talk.messages[3].isTrained == false && talk.messages[4].lossScale == 0.5)
        #expect(talk.tools[0]["function"]?["name"] == "f" && talk.variables["enable_thinking"] == false)
    }

    @Test("put media where the tags stand, or before the first question, and count them")
    func media() throws {
        let tagged = try parse(
            #"{"messages": [{"role": "user", "content": "<image>a<image>b"}], "images": ["1.png", "2.png"]}"#)
        #expect(
            tagged.messages[0].content == [
                .media(Media(.image, source: "1.png")), .text("a"), .media(Media(.image, source: "2.png")), .text("b"),
            ])
        let loose = try parse(#"{"messages": [{"role": "user", "content": "a"}], "audios": ["1.wav"]}"#)
        #expect(loose.messages[0].content.first == .media(Media(.audio, source: "1.wav")))
        #expect(throws: ConversationError.self) {
            try parse(#"{"messages": [{"role": "user", "content": "<video>"}], "videos": ["a", "b"]}"#)
        }
    }

    @Test("name the message that is wrong")
    func errors() {
        #expect(throws: ConversationError("it has no \"role\"; give one of system, user, assistant, tool", at: 1)) {
            try parse(#"[{"role": "user", "content": "a"}, {"content": "b"}]"#)
        }
        for bad in [
            #"{}"#, #"{"messages": 3}"#, #"[{"role": "user", "content": 3}]"#,
            #"[{"role": "user", "content": [{"type": "odd"}]}]"#, #"[{"role": "tool_call", "content": "{"}]"#,
            #"[{"role": "assistant", "tool_calls": [{"function": {}}]}]"#, #"{"messages": [], "tools": "["}"#,
        ] {
            #expect(throws: ConversationError.self) { try parse(bad) }
        }
    }

    @Test("hand arguments to templates as an object, or as text where the template adds them to one")
    func argumentForms() throws {
        let talk = try parse(
            #"[{"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {"a": [1, 2]}}}]}]"#
        )
        let asObject = try Template("{{ messages[0].tool_calls[0].function.arguments | tojson }}")
        let asText = try Template("{{ 'args: ' + messages[0].tool_calls[0].function.arguments }}")
        #expect(try asObject.render(talk).text == #"{"a": [1, 2]}"#)
        #expect(try asText.render(talk).text == #"args: {"a": [1, 2]}"#)
    }

    @Test("end within the last message when the model is to go on with it")
    func continuation() throws {
        var options = RenderOptions()
        options.continuesFinalMessage = true
        let talk = Conversation([Message("user", "q"), Message("assistant", "so far ")])
        let keeping = try Template("{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}")
        let trimming = try Template("{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}<end>{% endfor %}")
        let deaf = try Template("{{ messages[0].content }}")
        #expect(try keeping.render(talk, options: options).text == "<user>q<end><assistant>so far ")
        #expect(try trimming.render(talk, options: options).text == "<user>q<end><assistant>so far")
        #expect(throws: TemplateError.self) { try deaf.render(talk, options: options) }
        #expect(throws: TemplateError.self) { try keeping.render(Conversation([]), options: options) }
    }
}
