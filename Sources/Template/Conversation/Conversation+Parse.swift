import JSON

/// Reading conversations in the forms of OpenAI's and Anthropic's APIs and of training files, mixed as they come.
extension Conversation {
    /// An object with `messages` (and `tools`, `images`, `videos`, `audios`, `chat_template_kwargs`), or a list of
    /// messages alone.
    package init(_ json: JSON) throws(ConversationError) {
        guard let list = json.array ?? json["messages"]?.array ?? json["conversation"]?.array else {
            throw ConversationError(
                "expected \"messages\", a list; found \(json["messages"]?.typeName ?? json.typeName)")
        }
        self.init([])
        for (index, message) in list.enumerated() {
            do { try append(message) } catch { throw ConversationError(error.message, at: index) }
        }
        tools = try Conversation.tools(json["tools"] ?? .null)
        variables = json["chat_template_kwargs"]?.object ?? JSONObject()
        for kind in Media.Kind.allCases {
            guard let sources = json["\(kind.rawValue)s"]?.array else { continue }
            try place(kind, sources)
        }
    }

    /// Tools as a list, or as the JSON text of one.
    private static func tools(_ json: JSON) throws(ConversationError) -> [JSON] {
        var json = json
        if let text = json.string {
            if text.isEmpty { return [] }
            do { json = try JSON(parsing: text) } catch { throw ConversationError("\"tools\" is not JSON: \(error)") }
        }
        if json.isNull { return [] }
        guard let list = json.array else {
            throw ConversationError("\"tools\" should be a list of functions; found \(json.typeName)")
        }
        return list.map { tool in
            if tool["function"] != nil { return tool }
            var function = tool.object ?? JSONObject()
            // Anthropic calls the parameters' schema so.
            if let schema = function["input_schema"] {
                function["input_schema"] = nil
                function["parameters"] = schema
            }
            return ["type": "function", "function": .object(function)]
        }
    }

    // MARK: One message

    private mutating func append(_ json: JSON) throws(ConversationError) {
        guard let role = (json["role"] ?? json["from"])?.string else {
            throw ConversationError("it has no \"role\"; give one of system, user, assistant, tool")
        }
        let content = json["content"] ?? json["value"] ?? .null
        switch role {
        case "tool_call", "function_call": return try appendToolCall(content, json)
        default: break
        }
        var message = Message(role: Self.roles[role] ?? role, content: [])
        message.toolCallID = json["tool_call_id"]?.string
        message.name = json["name"]?.string
        message.reasoning = ["reasoning_content", "thinking", "reasoning"].lazy.compactMap { json[$0]?.string }.first
        message.isTrained = json["loss"]?.bool ?? json["loss"]?.double.map { $0 != 0 }
        message.lossScale = json["loss_scale"]?.double.map(Float.init)
        message.toolCalls = try Self.calls(json["tool_calls"] ?? .null)
        var results: [Message] = []
        switch content {
        case .null: break
        case .string(let text): message.content = [.text(text)]
        case .array(let parts):
            for part in parts { try Self.read(part, into: &message, results: &results) }
        default:
            // A tool's answer is often an object; the template sees its JSON.
            guard message.role == "tool" else {
                throw ConversationError("\"content\" should be a text or a list of parts; found \(content.typeName)")
            }
            message.content = [.text(content.text(.python))]
        }
        // Anthropic puts the answers of tools at the head of the user's next message.
        messages += results
        if results.isEmpty || !message.content.isEmpty { messages.append(message) }
    }

    private static let roles = [
        "human": "user", "gpt": "assistant", "bot": "assistant", "tool_response": "tool", "observation": "tool",
        "function": "tool", "tool_responses": "tool",
    ]

    /// A message of its own for a call, as training files have it: part of what the assistant says.
    private mutating func appendToolCall(_ content: JSON, _ json: JSON) throws(ConversationError) {
        var call = content
        if let text = content.string {
            do { call = try JSON(parsing: text) } catch {
                throw ConversationError("the call is not JSON: \(error)")
            }
        }
        let calls = try Self.calls(call)
        let loss = json["loss"]?.bool
        if let last = messages.last, last.role == "assistant", last.isTrained == loss {
            messages[messages.count - 1].toolCalls += calls
        } else {
            var message = Message(role: "assistant", content: [], toolCalls: calls)
            message.isTrained = loss
            message.lossScale = json["loss_scale"]?.double.map(Float.init)
            messages.append(message)
        }
    }

    private static func calls(_ json: JSON) throws(ConversationError) -> [ToolCall] {
        if json.isNull { return [] }
        var calls: [ToolCall] = []
        for call in json.array ?? [json] {
            let function = call["function"] ?? call
            guard let name = function["name"]?.string else {
                throw ConversationError("a tool call has no \"name\"")
            }
            let arguments =
                function["arguments"] ?? function["parameters"] ?? function["input"] ?? .object(JSONObject())
            calls.append(ToolCall(id: call["id"]?.string, name: name, arguments: parsed(arguments)))
        }
        return calls
    }

    /// Arguments that are the JSON text of an object become that object.
    private static func parsed(_ arguments: JSON) -> JSON {
        guard let text = arguments.string, let value = try? JSON(parsing: text), value.object != nil else {
            return arguments
        }
        return value
    }

    // MARK: Parts of a content

    private static func read(
        _ part: JSON, into message: inout Message, results: inout [Message]
    ) throws(ConversationError) {
        if let text = part.string {
            message.content.append(.text(text))
            return
        }
        let type = part["type"]?.string ?? (part["text"] != nil ? "text" : "")
        switch type {
        case "text", "input_text", "output_text", "refusal":
            message.content.append(.text(part["text"]?.string ?? part[type]?.string ?? ""))
        case "thinking", "reasoning": message.reasoning = (message.reasoning ?? "") + (part[type]?.string ?? "")
        case "redacted_thinking": break
        case "tool_use":
            message.toolCalls += try calls([part])
        case "tool_result":
            var result = Message(role: "tool", content: [])
            result.toolCallID = part["tool_use_id"]?.string
            for inner in part["content"]?.array ?? [part["content"] ?? ""] {
                var nested: [Message] = []
                try read(inner, into: &result, results: &nested)
            }
            results.append(result)
        case "image", "image_url", "input_image": message.content.append(.media(media(.image, part)))
        case "audio", "audio_url", "input_audio": message.content.append(.media(media(.audio, part)))
        case "video", "video_url": message.content.append(.media(media(.video, part)))
        default:
            throw ConversationError(
                "unknown part of a content, type \"\(type)\"; known are text, image, audio, video, tool_use, tool_result"
            )
        }
    }

    private static func media(_ kind: Media.Kind, _ part: JSON) -> Media {
        let name = kind.rawValue
        let names = [name + "_url", "input_" + name, name, "source", "url", "path"]
        let holder = names.lazy.compactMap { part[$0] }.first ?? .null
        if let data = holder["data"]?.string {
            let type = holder["media_type"]?.string ?? holder["format"]?.string.map { "\(kind.rawValue)/\($0)" }
            return Media(kind, source: .string("data:\(type ?? "");base64,\(data)"))
        }
        return Media(kind, source: holder["url"] ?? holder)
    }

    /// Puts the files that stand beside the messages where the texts have tags such as `<image>`, in order. Where no
    /// text has one, they stand before the first user's text.
    private mutating func place(_ kind: Media.Kind, _ sources: [JSON]) throws(ConversationError) {
        var rest = sources[...]
        var tags = 0
        for index in messages.indices {
            var parts: [ContentPart] = []
            for part in messages[index].content {
                switch part {
                case .media(var media) where media.kind == kind && media.source.isNull:
                    tags += 1
                    media.source = rest.popFirst() ?? .null
                    parts.append(.media(media))
                case .media: parts.append(part)
                case .text(let text):
                    for (at, piece) in Text.split(text, kind.tag, limit: -1).enumerated() {
                        if at > 0 {
                            tags += 1
                            parts.append(.media(Media(kind, source: rest.popFirst() ?? .null)))
                        }
                        if !piece.isEmpty { parts.append(.text(piece)) }
                    }
                    if text.isEmpty { parts.append(part) }
                }
            }
            messages[index].content = parts
        }
        if tags == 0, let user = messages.firstIndex(where: { $0.role == "user" }) {
            messages[user].content.insert(contentsOf: sources.map { .media(Media(kind, source: $0)) }, at: 0)
        } else if tags != sources.count {
            throw ConversationError(
                "the texts have \(tags) \(kind.tag), but \"\(kind.rawValue)s\" has \(sources.count)")
        }
    }
}
