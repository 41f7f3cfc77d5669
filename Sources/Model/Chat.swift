package import JSON
package import Template

/// A model's chat form: its template with what the template reads of the tokenizer.
package struct ChatForm: Sendable {
    package let template: Template
    private let specials: JSONObject

    /// - Throws: `ModelError` when the model brings no template.
    package init(_ model: Model) throws {
        guard let text = model.files.chatTemplate else {
            throw ModelError(
                .notFound, "this model has no chat template; give plain text with --raw", at: model.path)
        }
        template = try Template(text, name: "chat template of \(model.path)")
        let tokenizer = try model.tokenizer
        var specials = JSONObject()
        for (key, id) in [("bos_token", tokenizer.bos), ("eos_token", tokenizer.eos)] {
            let listed = model.files.tokenizerConfig[key]
            let text = listed?.string ?? listed?["content"]?.string ?? id.flatMap(tokenizer.piece)
            specials[key] = .string(text ?? "")
        }
        self.specials = specials
    }

    /// What the template reads beside the messages.
    package var variables: JSONObject { specials }

    /// The prompt's text for a conversation in the form of OpenAI's messages.
    package func prompt(_ messages: JSON, tools: JSON? = nil, addGenerationPrompt: Bool = true) throws -> String {
        var variables = specials
        variables["messages"] = messages
        variables["add_generation_prompt"] = .bool(addGenerationPrompt)
        if let tools { variables["tools"] = tools }
        return try template.render(variables).text
    }
}
