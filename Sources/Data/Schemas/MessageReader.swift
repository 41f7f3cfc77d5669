import JSON

/// Why a row fits no schema.
struct SchemaMismatch: Error {
    let cause: String
    init(_ cause: String) { self.cause = cause }
}

/// Reads messages in the spellings of OpenAI, Anthropic, ShareGPT and LLaMA-Factory.
enum MessageReader {
    private static let roles: [String: Role] = [
        "system": .system, "developer": .system,
        "user": .user, "human": .user, "prompter": .user,
        "assistant": .assistant, "gpt": .assistant, "bot": .assistant, "model": .assistant, "chatgpt": .assistant,
        "tool": .tool, "tool_response": .tool, "observation": .tool, "function": .tool, "function_response": .tool,
        "tool_call": .assistant, "function_call": .assistant,
    ]
    private static let callRoles: Set<String> = ["tool_call", "function_call"]

    /// A list of messages, or of ShareGPT's `{"human": …, "assistant": …}` pairs.
    static func messages(_ json: JSON, _ column: String) throws -> [RowMessage] {
        // Some tables keep the list as a JSON text.
        if let text = json.string, let parsed = try? JSON(parsing: text), parsed.array != nil {
            return try messages(parsed, column)
        }
        guard let list = json.array else {
            throw SchemaMismatch("wrong type: \"\(column)\" is a \(json.typeName), wanted a list of messages")
        }
        var out: [RowMessage] = []
        for (index, element) in list.enumerated() {
            guard let message = element.object else {
                throw SchemaMismatch("wrong type: \(column)[\(index)] is a \(element.typeName), wanted an object")
            }
            for message in try self.message(message, "\(column)[\(index)]") {
                // Parallel calls are one turn of the assistant.
                if let last = out.last, last.role == .assistant, message.role == .assistant, !last.toolCalls.isEmpty,
                    !message.toolCalls.isEmpty, message.parts.isEmpty
                {
                    out[out.count - 1].toolCalls += message.toolCalls
                } else {
                    out.append(message)
                }
            }
        }
        return out
    }

    private static func message(_ message: JSONObject, _ place: String) throws -> [RowMessage] {
        guard let role = (message["role"] ?? message["from"])?.string else { return try pair(message, place) }
        guard let known = roles[role.lowercased()] else {
            throw SchemaMismatch("unknown role: \(place) says \"\(role)\"")
        }
        let content = message["content"] ?? message["value"] ?? .null
        var out = RowMessage(known)
        out.lossWeight = lossWeight(message)
        out.name = message["name"]?.string
        out.toolCallID = message["tool_call_id"]?.string
        if callRoles.contains(role.lowercased()) {
            out.toolCalls = try calls(content, place)
            return [out]
        }
        if let reasoning = (message["reasoning_content"] ?? message["reasoning"])?.string, !reasoning.isEmpty {
            out.parts.append(.reasoning(reasoning))
        }
        var results: [RowMessage] = []
        switch content {
        case .string(let text): out.parts.append(.text(text))
        case .array(let parts):
            for part in parts { try read(part, into: &out, &results, place) }
        case .null: break
        case .int, .double, .bool: out.parts.append(.text(content.text()))
        case .object: try read(content, into: &out, &results, place)
        }
        if let list = message["tool_calls"], !list.isNull { out.toolCalls += try calls(list, place) }
        if let call = message["function_call"], !call.isNull { out.toolCalls += try calls(call, place) }
        if out.parts.isEmpty, out.toolCalls.isEmpty {
            if results.isEmpty { throw SchemaMismatch("empty message: \(place) has neither content nor tool calls") }
            return results
        }
        // Anthropic puts a tool's results before what the user says next.
        return results + [out]
    }

    /// ShareGPT's second form: one object a round.
    private static func pair(_ message: JSONObject, _ place: String) throws -> [RowMessage] {
        var out: [RowMessage] = []
        for (key, value) in message {
            guard let role = roles[key.lowercased()] else { continue }
            guard let text = value.string else {
                throw SchemaMismatch("wrong type: \(place).\(key) is a \(value.typeName), wanted a text")
            }
            out.append(RowMessage(role, text))
        }
        if out.isEmpty { throw SchemaMismatch("no role: \(place) has neither \"role\" nor \"from\"") }
        // A round is asked before it is answered, in whatever order its members stand.
        let rank: [Role: Int] = [.system: 0, .user: 1, .assistant: 2, .tool: 3]
        return out.sorted { (rank[$0.role] ?? 0) < (rank[$1.role] ?? 0) }
    }

    private static func lossWeight(_ message: JSONObject) -> Float? {
        if let weight = (message["loss_scale"] ?? message["loss_weight"])?.double { return Float(weight) }
        switch message["loss"] {
        case .bool(let isTrained)?: return isTrained ? 1 : 0
        case let number?: return number.double.map { Float($0) }
        case nil: return nil
        }
    }

    private static func read(
        _ part: JSON, into out: inout RowMessage, _ results: inout [RowMessage], _ place: String
    ) throws {
        if let text = part.string {
            out.parts.append(.text(text))
            return
        }
        guard let object = part.object else {
            throw SchemaMismatch("wrong type: a part of \(place) is a \(part.typeName)")
        }
        let type = object["type"]?.string ?? (object["text"] != nil ? "text" : object["image"] != nil ? "image" : "")
        func text(_ keys: String...) throws -> String {
            for key in keys { if let text = object[key]?.string { return text } }
            throw SchemaMismatch("empty part: a \"\(type)\" part of \(place) has no \(keys.joined(separator: " or "))")
        }
        switch type {
        case "text", "input_text", "output_text": out.parts.append(.text(try text("text", "value", "content")))
        case "reasoning", "thinking": out.parts.append(.reasoning(try text("reasoning", "thinking", "text", "value")))
        case "image", "image_url", "input_image": out.parts.append(.image(try media(object, "image", place)))
        case "video", "video_url": out.parts.append(.video(try media(object, "video", place)))
        case "audio", "audio_url", "input_audio": out.parts.append(.audio(try media(object, "audio", place)))
        case "tool_call", "function_call": out.toolCalls += try calls(object["value"] ?? part, place)
        case "tool_use":
            out.toolCalls.append(
                ToolCall(id: object["id"]?.string, name: try text("name"), arguments: object["input"] ?? [:]))
        case "tool_result":
            var result = RowMessage(.tool)
            result.toolCallID = object["tool_use_id"]?.string
            var nested: [RowMessage] = []
            for part in object["content"]?.array ?? [object["content"] ?? ""] {
                try read(part, into: &result, &nested, place)
            }
            results.append(result)
        default: throw SchemaMismatch("unknown part: \(place) has a part of type \"\(type)\"")
        }
    }

    /// The address of a medium in OpenAI's, Anthropic's or a plain form.
    private static func media(_ object: JSONObject, _ kind: String, _ place: String) throws -> String {
        for key in [kind, kind + "_url", "url", "path", "input_" + kind, "source", "value"] {
            guard let value = object[key] else { continue }
            if let text = value.string { return text }
            if let text = (value["url"] ?? value["path"])?.string { return text }
            if let data = value["data"]?.string {
                let type = value["media_type"]?.string ?? value["format"]?.string.map { "\(kind)/\($0)" } ?? "\(kind)/*"
                return "data:\(type);base64,\(data)"
            }
        }
        throw SchemaMismatch("empty part: a part of \(place) names no \(kind)")
    }

    /// Calls as a list or one object, each plain or inside OpenAI's "function", or all of it as a JSON text.
    static func calls(_ json: JSON, _ place: String) throws -> [ToolCall] {
        switch json {
        case .string(let text):
            guard let parsed = try? JSON(parsing: text), parsed.string == nil else {
                throw SchemaMismatch("broken tool call: \(place) is not JSON")
            }
            return try calls(parsed, place)
        case .array(let list): return try list.flatMap { try calls($0, place) }
        case .object(let object):
            let function = object["function"]?.object ?? object
            guard let name = function["name"]?.string else {
                throw SchemaMismatch("broken tool call: \(place) has no name")
            }
            var arguments = function["arguments"] ?? function["parameters"] ?? function["input"] ?? [:]
            if let text = arguments.string {
                if text.isEmpty {
                    arguments = [:]
                } else if let parsed = try? JSON(parsing: text) {
                    arguments = parsed
                }
            }
            return [ToolCall(id: object["id"]?.string, name: name, arguments: arguments)]
        default: throw SchemaMismatch("broken tool call: \(place) is a \(json.typeName)")
        }
    }
}
