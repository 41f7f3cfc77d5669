import JSON

/// Who speaks.
package enum Role: String, Sendable {
    case system, user, assistant, tool
}

/// A part of what is said.
package enum ContentPart: Sendable, Equatable {
    case text(String)
    /// What the model thinks before it answers.
    case reasoning(String)
    /// A path, an address or a data: text.
    case image(String)
    case video(String)
    case audio(String)
}

/// A call of a tool; arguments are an object.
package struct ToolCall: Sendable, Equatable {
    package var id: String?
    package var name: String
    package var arguments: JSON

    package init(id: String? = nil, name: String, arguments: JSON) {
        self.id = id
        self.name = name
        self.arguments = arguments
    }
}

/// One turn of a conversation.
package struct RowMessage: Sendable, Equatable {
    package var role: Role
    package var parts: [ContentPart]
    package var toolCalls: [ToolCall]
    /// The call that a tool's message answers.
    package var toolCallID: String?
    package var name: String?
    /// The weight that the row itself gives this message's tokens; nil leaves it to the settings.
    package var lossWeight: Float?

    package init(_ role: Role, _ text: String? = nil) {
        self.role = role
        parts = text.map { [.text($0)] } ?? []
        toolCalls = []
    }

    /// The text parts joined; reasoning and media are left out.
    package var text: String {
        parts.reduce(into: "") { out, part in if case .text(let text) = part { out += text } }
    }
}

/// A row in the one form that every schema is brought into.
package struct TrainingRow: Sendable, Equatable {
    /// The conversation; for a preference pair the one with the chosen answer.
    package var messages: [RowMessage] = []
    /// The conversation with the rejected answer.
    package var rejected: [RowMessage]?
    /// 1 desirable and 0 not (KTO), or a class or score.
    package var label: Float?
    package var margin: Float?
    /// A list of tool descriptions.
    package var tools: JSON?
    package var images: [String] = []
    package var videos: [String] = []
    package var audios: [String] = []
    /// The row is text to be continued and no conversation.
    package var isText = false
    /// Columns that no schema uses; reward functions get them.
    package var extra = JSONObject()

    package init() {}
}
