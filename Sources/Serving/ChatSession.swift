package import JSON
package import Model
package import Template

/// A conversation with a model, turn by turn.
package final class ChatSession {
    package let service: TextService
    package var settings: GenerationSettings
    package var system: String?
    /// What templates read beside the messages, such as `enable_thinking`.
    package var variables = JSONObject()
    package private(set) var messages: [Message] = []
    private let form: ChatForm

    package init(_ service: TextService, settings: GenerationSettings, system: String? = nil) throws {
        self.service = service
        self.settings = settings
        self.system = system
        form = try ChatForm(service.model)
    }

    package func clear() { messages = [] }

    /// Takes the last question and its answer back; the question.
    package func retract() -> String? {
        if messages.last?.role == "assistant" { messages.removeLast() }
        guard messages.last?.role == "user" else { return nil }
        return messages.removeLast().text
    }

    /// Asks, and waits for the answer. An answer that was interrupted stays in the conversation as far as it came.
    package func ask(_ text: String, isInterrupted: () -> Bool, onText: @escaping (String) -> Void) throws -> Answer {
        messages.append(Message("user", text))
        do {
            let head = system.map { [Message("system", $0)] } ?? []
            let ids = try service.encode(Conversation(head + messages, variables: variables), form)
            let answer = try service.submit(ids, settings, onText: onText)
            try service.finish(answer, isInterrupted: isInterrupted)
            if answer.end == .error { throw ModelError(.invalid, answer.message, at: "generation") }
            messages.append(Message("assistant", answer.text))
            return answer
        } catch {
            if messages.last?.role == "user" { messages.removeLast() }
            throw error
        }
    }
}

extension TextService {
    /// The prompt of a conversation that waits for an answer.
    package func encode(_ conversation: Conversation, _ form: ChatForm) throws -> [Int32] {
        let options = RenderOptions(addsGenerationPrompt: true, specialTokens: form.variables)
        return try model.tokenizer.encode(
            try form.template.render(conversation, options: options).text, options: .parseSpecial)
    }

    /// The prompt of a text to be continued.
    package func encode(_ text: String) throws -> [Int32] {
        let ids = try model.tokenizer.encode(text, options: .addSpecial)
        // A model that adds nothing to an empty text starts from its beginning token.
        return try ids.isEmpty ? model.tokenizer.bos.map { [$0] } ?? ids : ids
    }
}
