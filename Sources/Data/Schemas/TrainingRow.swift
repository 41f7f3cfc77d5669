import JSON
import Template

/// A row in the one form that every schema is brought into.
package struct TrainingRow: Sendable, Equatable {
    /// The conversation; for a preference pair the one with the chosen answer. A text to be continued is one message
    /// of the assistant.
    package var conversation: Conversation
    /// The conversation with the rejected answer.
    package var rejected: Conversation?
    /// 1 desirable and 0 not (KTO), or a class or score.
    package var label: Float?
    package var margin: Float?
    /// The row is text to be continued and no conversation.
    package var isText = false
    /// Columns that no schema uses; reward functions get them.
    package var extra = JSONObject()

    package init(_ conversation: Conversation) { self.conversation = conversation }
}

/// A row on its way: messages as OpenAI writes them, before they become a conversation.
struct RowDraft {
    var messages: [JSON] = []
    var rejected: [JSON]?
    var isText = false

    static func message(_ role: String, _ text: String) -> JSON { ["role": .string(role), "content": .string(text)] }
}

extension JSON {
    /// The role of a message in a draft.
    var role: String { self["role"]?.string ?? "" }
}
