import JSON

/// What people, a model and its tools said to each other, free of the form in which a file or a request had it.
package struct Conversation: Sendable, Equatable {
    package var messages: [Message]
    /// Functions on offer, each an object as OpenAI's API has it: `{"type": "function", "function": {…}}`.
    package var tools: [JSON]
    /// What else a template may ask for, such as `enable_thinking`.
    package var variables: JSONObject

    package init(_ messages: [Message], tools: [JSON] = [], variables: JSONObject = JSONObject()) {
        self.messages = messages
        self.tools = tools
        self.variables = variables
    }
}

package struct Message: Sendable, Equatable {
    /// "system", "user", "assistant", "tool", or a name of the template's own.
    package var role: String
    package var content: [ContentPart]
    package var toolCalls: [ToolCall]
    /// Of a tool's answer: the call that it answers.
    package var toolCallID: String?
    /// Of a tool's answer: the function's name.
    package var name: String?
    /// What the model thought before it answered.
    package var reasoning: String?
    /// Whether an assistant's message is trained; nil leaves it to the policy.
    package var isTrained: Bool?
    /// What an assistant's message is worth to the loss, times what the policy gives.
    package var lossScale: Float?

    package init(role: String, content: [ContentPart], toolCalls: [ToolCall] = []) {
        self.role = role
        self.content = content
        self.toolCalls = toolCalls
    }

    package init(_ role: String, _ text: String) { self.init(role: role, content: [.text(text)]) }

    /// The texts of the content, joined.
    package var text: String {
        content.reduce(into: "") { if case .text(let text) = $1 { $0 += text } }
    }

    /// True if nothing but text stands in the content.
    package var isText: Bool {
        content.allSatisfy { if case .text = $0 { true } else { false } }
    }
}

package enum ContentPart: Sendable, Equatable {
    case text(String)
    case media(Media)
}

/// A picture, sound or film that stands in a message.
package struct Media: Sendable, Equatable {
    package enum Kind: String, Sendable, CaseIterable {
        case image, audio, video
        /// The tag that stands for one in a text.
        package var tag: String { "<\(rawValue)>" }
    }
    package var kind: Kind
    /// Where it is: a path, a URL, `data:` with base64, or a list of frames; null if only its place is known.
    package var source: JSON

    package init(_ kind: Kind, source: JSON = .null) {
        self.kind = kind
        self.source = source
    }
}

package struct ToolCall: Sendable, Equatable {
    package var id: String?
    package var name: String
    /// An object, or the text that a model wrote where an object should be.
    package var arguments: JSON

    package init(id: String? = nil, name: String, arguments: JSON) {
        self.id = id
        self.name = name
        self.arguments = arguments
    }
}

/// What is wrong with a conversation, and in which message, counted from 0.
package struct ConversationError: Error, Equatable, Sendable, CustomStringConvertible {
    package let message: String
    package let index: Int?

    package init(_ message: String, at index: Int? = nil) {
        self.message = message
        self.index = index
    }

    package var description: String { index.map { "message \($0): \(message)" } ?? message }
}
