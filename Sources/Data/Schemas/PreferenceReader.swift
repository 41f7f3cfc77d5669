import JSON

/// Reads the two sides of a preference: `rejected_response`, `rejected_messages`, `chosen` and `rejected` as texts,
/// messages or lists of messages, and the transcripts of HH-RLHF.
enum PreferenceReader {
    static func read(_ row: JSONObject, _ out: inout RowDraft, _ used: inout Set<String>) throws {
        if let chosen = value(row, "chosen_messages", &used) {
            out.messages = try MessageReader.messages(chosen, "chosen_messages")
        }
        if let rejected = value(row, "rejected_messages", &used) {
            out.rejected = try MessageReader.messages(rejected, "rejected_messages")
            return
        }
        if let rejected = value(row, "rejected_response", &used) {
            guard out.messages.last?.role == "assistant" else {
                throw SchemaMismatch("no pair: rejected_response stands beside no answer")
            }
            let prompt = Array(out.messages.dropLast(answerLength(out.messages)))
            out.rejected = prompt + (try answer(rejected, "rejected_response"))
            return
        }
        guard let chosen = value(row, "chosen", &used), let rejected = value(row, "rejected", &used) else { return }
        if let chosen = chosen.string, let rejected = rejected.string, let first = transcript(chosen),
            let second = transcript(rejected), out.messages.isEmpty
        {
            out.messages = first
            out.rejected = second
            return
        }
        let prompt = out.messages
        out.messages = try joined(prompt, answer(chosen, "chosen"))
        out.rejected = try joined(prompt, answer(rejected, "rejected"))
    }

    private static func value(_ row: JSONObject, _ column: String, _ used: inout Set<String>) -> JSON? {
        guard let value = row[column], !value.isNull else { return nil }
        used.insert(column)
        return value
    }

    /// How many messages at the end answer the last user: calls of tools belong to the answer.
    private static func answerLength(_ messages: [JSON]) -> Int {
        messages.reversed().prefix { $0.role == "assistant" || $0.role == "tool" || $0.role == "tool_call" }.count
    }

    /// A list that starts with the prompt's own messages replaces them.
    private static func joined(_ prompt: [JSON], _ answer: [JSON]) throws -> [JSON] {
        answer.first?.role == "user" || answer.first?.role == "system" ? answer : prompt + answer
    }

    private static func answer(_ json: JSON, _ column: String) throws -> [JSON] {
        switch json {
        case .string(let text): return [RowDraft.message("assistant", text)]
        case .object: return try MessageReader.messages([json], column)
        case .array(let list):
            // One rejected answer of several texts: the first, as pairs have two sides.
            if let text = list.first?.string { return [RowDraft.message("assistant", text)] }
            return try MessageReader.messages(json, column)
        default: throw SchemaMismatch("wrong type: \"\(column)\" is a \(json.typeName)")
        }
    }

    /// "\n\nHuman: …\n\nAssistant: …" (Bai et al. 2022, the data set's README).
    private static func transcript(_ text: String) -> [JSON]? {
        let human = "\n\nHuman:"
        let assistant = "\n\nAssistant:"
        guard text.hasPrefix(human) else { return nil }
        var out: [JSON] = []
        var rest = Substring(text)
        while !rest.isEmpty {
            let isHuman = rest.hasPrefix(human)
            rest = rest.dropFirst(isHuman ? human.count : assistant.count)
            let ends = [rest.firstRange(of: human), rest.firstRange(of: assistant)].compactMap { $0?.lowerBound }
            let end = ends.min() ?? rest.endIndex
            var said = rest[..<end]
            while said.first == " " { said.removeFirst() }
            while said.last == " " || said.last == "\n" { said.removeLast() }
            out.append(RowDraft.message(isHuman ? "user" : "assistant", String(said)))
            rest = rest[end...]
        }
        return out
    }
}
