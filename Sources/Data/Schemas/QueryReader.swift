import JSON

/// Reads instruction, input, output (Alpaca) and query, response, history.
struct QueryReader {
    let columns: ColumnMapping
    /// A picture, film or sound may be all that is asked about.
    let allowsEmptyQuery: Bool

    init(_ columns: ColumnMapping, allowsEmptyQuery: Bool) {
        self.columns = columns
        self.allowsEmptyQuery = allowsEmptyQuery
    }

    func read(_ row: JSONObject, _ out: inout RowDraft, _ used: inout Set<String>) throws {
        var query: String?
        if columns.isAutomatic, let instruction = row["instruction"]?.string, row["query"] == nil {
            // Alpaca: the input follows the instruction on a line of its own.
            let input = row["input"]?.string ?? ""
            query = input.isEmpty ? instruction : instruction.isEmpty ? input : instruction + "\n" + input
            used.formUnion(["instruction", "input"])
        } else if let found = columns.find("query", in: row, except: used) {
            used.insert(found.column)
            // Preference sets may keep whole messages in "prompt".
            if found.value.array != nil {
                out.messages = try MessageReader.messages(found.value, found.column)
            } else {
                query = try text(found.value, found.column)
            }
        }
        var response: String?
        if let found = columns.find("response", in: row, except: used) {
            used.insert(found.column)
            if let list = found.value.array, list.first?.object != nil {
                out.messages += try MessageReader.messages(found.value, found.column)
            } else {
                response = try text(found.value.array?.first ?? found.value, found.column)
            }
        }
        out.messages += try history(row["history"])
        used.insert("history")
        if query?.isEmpty == true, !allowsEmptyQuery { query = nil }
        if let query {
            out.messages.append(RowDraft.message("user", query))
        } else if response != nil, out.messages.last?.role != "user", let column = columns.emptyQuery(in: row) {
            throw SchemaMismatch("no question: \"\(column)\" is empty")
        }
        if let response {
            out.isText = out.messages.isEmpty
            out.messages.append(RowDraft.message("assistant", response))
        }
    }

    private func history(_ json: JSON?) throws -> [JSON] {
        guard var json, !json.isNull else { return [] }
        if let text = json.string {
            if text.isEmpty { return [] }
            guard let parsed = try? JSON(parsing: text) else { throw SchemaMismatch("wrong type: history is no list") }
            json = parsed
        }
        guard let rounds = json.array else { throw SchemaMismatch("wrong type: history is a \(json.typeName)") }
        if rounds.first?.object != nil { return try MessageReader.messages(json, "history") }
        return try rounds.flatMap { round -> [JSON] in
            guard let question = round[0]?.string, let answer = round[1]?.string, round.array?.count == 2 else {
                throw SchemaMismatch("wrong type: a round of history is not [question, answer]")
            }
            return [RowDraft.message("user", question), RowDraft.message("assistant", answer)]
        }
    }

    private func text(_ value: JSON, _ column: String) throws -> String {
        switch value {
        case .string(let text): return text
        case .int, .double, .bool: return value.text()
        default: throw SchemaMismatch("wrong type: \"\(column)\" is a \(value.typeName), wanted a text")
        }
    }
}
