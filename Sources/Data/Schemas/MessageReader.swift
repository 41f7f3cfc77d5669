import JSON

/// Why a row fits no schema.
struct SchemaMismatch: Error {
    let cause: String
    init(_ cause: String) { self.cause = cause }
}

/// Brings messages in the spellings of ShareGPT, ms-swift and LLaMA-Factory into the one that `Conversation` reads.
enum MessageReader {
    private static let roles: [String: String] = [
        "system": "system", "developer": "system",
        "user": "user", "human": "user", "prompter": "user",
        "assistant": "assistant", "gpt": "assistant", "bot": "assistant", "model": "assistant", "chatgpt": "assistant",
        "tool": "tool", "tool_response": "tool", "tool_responses": "tool", "observation": "tool", "function": "tool",
        "function_response": "tool",
        "tool_call": "tool_call", "function_call": "tool_call",
    ]

    /// A list of messages, or of ShareGPT's `{"human": …, "assistant": …}` rounds.
    static func messages(_ json: JSON, _ column: String) throws -> [JSON] {
        // Some tables keep the list as a JSON text.
        if let text = json.string, let parsed = try? JSON(parsing: text), parsed.array != nil {
            return try messages(parsed, column)
        }
        guard let list = json.array else {
            throw SchemaMismatch("wrong type: \"\(column)\" is a \(json.typeName), wanted a list of messages")
        }
        return try list.enumerated().flatMap { index, element in
            guard let message = element.object else {
                throw SchemaMismatch("wrong type: \(column)[\(index)] is a \(element.typeName), wanted an object")
            }
            return try self.message(message, "\(column)[\(index)]")
        }
    }

    private static func message(_ message: JSONObject, _ place: String) throws -> [JSON] {
        guard let role = (message["role"] ?? message["from"])?.string else { return try round(message, place) }
        guard let known = roles[role.lowercased()] else {
            throw SchemaMismatch("unknown role: \(place) says \"\(role)\"")
        }
        var out = message
        out["from"] = nil
        out["value"] = nil
        out["role"] = .string(known)
        var content = message["content"] ?? message["value"] ?? message["text"] ?? .null
        switch content {
        case .int, .double, .bool: content = .string(content.text())
        case .array(let parts): content = .array(try parts.compactMap { try self.part($0, &out) })
        default: break
        }
        out["content"] = content
        if let call = out["function_call"], !call.isNull, out["tool_calls"] == nil { out["tool_calls"] = [call] }
        setWeight(&out)
        let says = !content.isNull && content.array?.isEmpty != true
        let calls = !(out["tool_calls"]?.isNull ?? true)
        if !says, !calls { throw SchemaMismatch("empty message: \(place) has neither content nor tool calls") }
        return [.object(out)]
    }

    /// ShareGPT's second form: one object a round.
    private static func round(_ message: JSONObject, _ place: String) throws -> [JSON] {
        var out: [JSON] = []
        for (key, value) in message {
            guard let role = roles[key.lowercased()] else { continue }
            guard let text = value.string else {
                throw SchemaMismatch("wrong type: \(place).\(key) is a \(value.typeName), wanted a text")
            }
            out.append(RowDraft.message(role, text))
        }
        if out.isEmpty { throw SchemaMismatch("no role: \(place) has neither \"role\" nor \"from\"") }
        // A round is asked before it is answered, in whatever order its members stand.
        let rank = ["system": 0, "user": 1, "assistant": 2, "tool": 3]
        return out.sorted { (rank[$0.role] ?? 4) < (rank[$1.role] ?? 4) }
    }

    /// LLaMA-Factory's parts keep everything under "value"; its calls become calls of the message.
    private static func part(_ part: JSON, _ message: inout JSONObject) throws -> JSON? {
        guard let type = part["type"]?.string, let value = part["value"] else { return part }
        switch type {
        case "text": return ["type": "text", "text": value]
        case "reasoning", "thinking": return ["type": "reasoning", "reasoning": value]
        case "tool_call", "function_call":
            let call = value.string.flatMap { try? JSON(parsing: $0) } ?? value
            message["tool_calls"] = .array((message["tool_calls"]?.array ?? []) + (call.array ?? [call]))
            return nil
        case "image_url", "video_url", "audio_url": return ["type": .string(type), "url": value]
        default: return part
        }
    }

    /// `loss_weight` and a `loss_scale` of 0 in the words of `Conversation`: `loss` tells whether, `loss_scale` how much.
    private static func setWeight(_ message: inout JSONObject) {
        guard let weight = (message["loss_scale"] ?? message["loss_weight"])?.double else { return }
        message["loss_weight"] = nil
        message["loss_scale"] = .double(weight)
        if message["loss"] == nil, message["role"]?.string != "user" || weight == 0 {
            message["loss"] = .bool(weight != 0)
        }
    }
}
