import JSON

extension Conversation {
    /// How the arguments of tool calls are handed to a template. Most write them with `tojson` and need an object;
    /// some older ones add them to a text and need the JSON as text.
    enum ArgumentForm { case object, text }

    /// The messages as templates know them from transformers.
    func messagesJSON(_ form: ArgumentForm) -> JSON { .array(messages.map { $0.json(form) }) }
}

extension Message {
    fileprivate func json(_ form: Conversation.ArgumentForm) -> JSON {
        var object = JSONObject([("role", .string(role))])
        if isText {
            object["content"] = .string(text)
        } else {
            object["content"] = .array(
                content.map { part in
                    switch part {
                    case .text(let text): return ["type": "text", "text": .string(text)]
                    case .media(let media):
                        let kind = media.kind.rawValue
                        let source = media.source.isNull ? [] : [(kind, media.source)]
                        return .object(JSONObject([("type", .string(kind))] + source))
                    }
                })
        }
        if !toolCalls.isEmpty { object["tool_calls"] = .array(toolCalls.map { $0.json(form) }) }
        if let toolCallID { object["tool_call_id"] = .string(toolCallID) }
        if let name { object["name"] = .string(name) }
        if let reasoning {
            // The newer name, and the one that gpt-oss reads.
            object["reasoning_content"] = .string(reasoning)
            object["thinking"] = .string(reasoning)
        }
        return .object(object)
    }
}

extension ToolCall {
    fileprivate func json(_ form: Conversation.ArgumentForm) -> JSON {
        let arguments =
            form == .object || self.arguments.string != nil ? self.arguments : .string(self.arguments.text(.python))
        var object = JSONObject([
            ("type", "function"), ("function", ["name": .string(name), "arguments": arguments]),
        ])
        if let id { object["id"] = .string(id) }
        return .object(object)
    }
}

/// What a rendering needs beside the conversation.
package struct RenderOptions: Sendable {
    /// End with the words that make the model answer.
    package var addsGenerationPrompt = false
    /// End within the last message, for the model to go on with it, instead of closing its turn.
    package var continuesFinalMessage = false
    /// Texts of the special tokens by the names that templates use: `bos_token`, `eos_token`, …
    package var specialTokens = JSONObject()
    package var budget = TemplateBudget()
    package var now: TemplateTime?

    package init(addsGenerationPrompt: Bool = false, specialTokens: JSONObject = JSONObject()) {
        self.addsGenerationPrompt = addsGenerationPrompt
        self.specialTokens = specialTokens
    }
}

extension Template {
    /// The text of a conversation, with the variables that transformers' `apply_chat_template` sets.
    package func render(
        _ conversation: Conversation, options: RenderOptions = RenderOptions()
    ) throws(TemplateError) -> Rendering {
        if options.continuesFinalMessage { return try continuation(conversation, options) }
        var variables = options.specialTokens
        variables["tools"] = conversation.tools.isEmpty ? .null : .array(conversation.tools)
        variables["documents"] = .null
        for (name, value) in conversation.variables { variables[name] = value }
        variables["add_generation_prompt"] = .bool(options.addsGenerationPrompt)
        variables["messages"] = conversation.messagesJSON(.object)
        let now = options.now ?? .current()
        do { return try render(variables, budget: options.budget, now: now) } catch {
            guard error.kind == .value || error.kind == .raised,
                conversation.messages.contains(where: { !$0.toolCalls.isEmpty })
            else { throw error }
            variables["messages"] = conversation.messagesJSON(.text)
            guard let rendering = try? render(variables, budget: options.budget, now: now) else { throw error }
            return rendering
        }
    }

    /// Renders with a mark after the last message's text and cuts there. The space of the mark tells whether the
    /// template trims what is said, in which case the text's own trailing space goes too, as in transformers.
    private func continuation(
        _ conversation: Conversation, _ options: RenderOptions
    ) throws(TemplateError) -> Rendering {
        let mark = "\u{F8FF}continue\u{F8FF}"
        var marked = conversation
        let last = conversation.messages.count - 1
        let part = conversation.messages.last?.content.lastIndex { if case .text = $0 { true } else { false } }
        guard last >= 0, let part, case .text(let text) = conversation.messages[last].content[part] else {
            throw failure("there is no text at the end of the conversation that the model could go on with")
        }
        marked.messages[last].content[part] = .text(text + mark + " ")
        var plain = options
        plain.continuesFinalMessage = false
        plain.addsGenerationPrompt = false
        let whole = try render(marked, options: plain)
        let bytes = Array(whole.text.utf8)
        guard let cut = Text.findLast(Array(mark.utf8), in: bytes) else {
            throw failure("the template leaves out the text of the last message, so the model cannot go on with it")
        }
        let isTrimmed = !bytes[(cut + mark.utf8.count)...].starts(with: [0x20])
        let head = Text.string(bytes[..<cut])
        let kept = isTrimmed ? Text.strip(head, left: false) : head
        let generated = whole.generated?.map { $0.clamped(to: 0..<kept.utf8.count) }
        return Rendering(text: kept, generated: generated)
    }

    private func failure(_ message: String) -> TemplateError { TemplateError(message, template: name) }
}
