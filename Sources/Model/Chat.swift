package import JSON
package import Template

/// A model's chat form: its template with what the template reads of the tokenizer.
package struct ChatForm: Sendable {
    package let template: Template
    private let specials: JSONObject

    /// - Throws: `ModelError` when the model brings no template.
    package init(_ model: Model) throws {
        try self.init(
            model.files.chatTemplate, settings: model.files.tokenizerConfig, tokenizer: model.tokenizer, at: model.path)
    }

    /// - Parameters:
    ///   - text: The template's Jinja text.
    ///   - settings: tokenizer_config.json's content.
    package init(_ text: String?, settings: JSON, tokenizer: TokenizerHandle, at path: String) throws {
        guard let text else {
            throw ModelError(.notFound, "this model has no chat template; give plain text with --raw", at: path)
        }
        template = try Template(text, name: "chat template of \(path)")
        var specials = JSONObject()
        for (key, id) in [("bos_token", tokenizer.bos), ("eos_token", tokenizer.eos)] {
            let listed = settings[key]
            let text = listed?.string ?? listed?["content"]?.string ?? id.flatMap(tokenizer.piece)
            specials[key] = .string(text ?? "")
        }
        self.specials = specials
    }

    /// What the template reads beside the messages.
    package var variables: JSONObject { specials }

    /// The prompt's text for a conversation in the form of OpenAI's messages, read as training reads them.
    package func prompt(_ messages: JSON, tools: JSON? = nil, addGenerationPrompt: Bool = true) throws -> String {
        let conversation = try Conversation(["messages": messages, "tools": tools ?? .null])
        let options = RenderOptions(addsGenerationPrompt: addGenerationPrompt, specialTokens: specials)
        return try template.render(conversation, options: options).text
    }
}
