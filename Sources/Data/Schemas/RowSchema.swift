import JSON

/// Brings rows of any known schema into one form.
package struct RowSchema: Sendable {
    /// What a run needs of each row.
    package enum Purpose: String, Sendable {
        /// A conversation that ends with an answer, or a text.
        case answer
        /// A chosen and a rejected answer.
        case pair
        /// A conversation that ends with an answer, and a label.
        case label
        /// A conversation to be answered; an answer that stands there is kept apart by the user of the row.
        case prompt
    }
    package var purpose: Purpose
    package var columns: ColumnMapping
    /// A system message for rows that bring none (`--system`).
    package var system: String?
    /// Texts that are put in place of others, such as "{{NAME}}" (self-cognition sets).
    package var substitutions: [String: String]

    package init(
        _ purpose: Purpose = .answer, columns: ColumnMapping = ColumnMapping(), system: String? = nil,
        substitutions: [String: String] = [:]
    ) {
        self.purpose = purpose
        self.columns = columns
        self.system = system
        self.substitutions = substitutions
    }

    /// Converts a row.
    /// - Throws: `Reject` with the reason.
    package func convert(_ row: SourceRow) throws(Reject) -> TrainingRow {
        do {
            var json = try JSON(parsing: row.text)
            if !substitutions.isEmpty { json = substituted(json) }
            guard let object = json.object else { throw SchemaMismatch("not an object: found a \(json.typeName)") }
            return try convert(columns.renamed(object))
        } catch let mismatch as SchemaMismatch {
            throw Reject(row, mismatch.cause)
        } catch {
            throw Reject(row, "not valid JSON: \(error)")
        }
    }

    func convert(_ row: JSONObject) throws -> TrainingRow {
        var out = TrainingRow()
        var used: Set<String> = []
        func take(_ known: String) -> JSON? {
            guard let found = columns.find(known, in: row, except: used) else { return nil }
            used.insert(found.column)
            return found.value
        }
        out.images = try Media.list(take("images"), "images")
        out.videos = try Media.list(take("videos"), "videos")
        out.audios = try Media.list(take("audios"), "audios")
        if let tools = take("tools") { out.tools = try Tools.list(tools) }
        if let margin = row["margin"]?.double { out.margin = Float(margin) }
        if let pattern = columns.pattern {
            let filled = try pattern.fill(row)
            out.messages = (filled.prompt.map { [RowMessage(.user, $0)] } ?? []) + [RowMessage(.assistant, filled.answer)]
            out.isText = filled.prompt == nil
        } else if let messages = take("messages") {
            out.messages = try MessageReader.messages(messages, "messages")
        } else if row["chosen_messages"] == nil {
            try QueryReader(columns).read(row, &out, &used)
        }
        if let system = take("system")?.string, !system.isEmpty, out.messages.first?.role != .system {
            out.messages.insert(RowMessage(.system, system), at: 0)
        }
        try PreferenceReader.read(row, &out, &used)
        if let label = columns.find("label", in: row, except: used) {
            used.insert(label.column)
            out.label = label.value.bool.map { $0 ? 1 : 0 } ?? label.value.double.map { Float($0) }
        }
        Media.replaceTags(&out)
        if let system, !out.isText { out.insertSystem(system) }
        out.extra = row
        for key in used { out.extra[key] = nil }
        try check(out)
        return out
    }

    private func check(_ row: TrainingRow) throws {
        guard let last = row.messages.last else {
            throw SchemaMismatch(
                "no known columns: wanted messages, conversations, instruction and output, query and response, or text")
        }
        if purpose == .prompt { return }
        guard last.role == .assistant else {
            throw SchemaMismatch("no answer: the last message is from the \(last.role.rawValue)")
        }
        switch purpose {
        case .pair:
            guard let rejected = row.rejected else {
                throw SchemaMismatch("no pair: wanted rejected_response, rejected_messages, or chosen and rejected")
            }
            guard rejected.last?.role == .assistant else { throw SchemaMismatch("no pair: the rejected side has no answer") }
            if rejected == row.messages { throw SchemaMismatch("no pair: chosen and rejected are the same") }
        case .label:
            if row.label == nil { throw SchemaMismatch("no label: wanted a column \"label\" that is true or false") }
        case .answer, .prompt: break
        }
    }

    private func substituted(_ json: JSON) -> JSON {
        switch json {
        case .string(let text):
            return .string(
                substitutions.sorted { $0.key < $1.key }.reduce(text) { $0.replacing($1.key, with: $1.value) })
        case .array(let list): return .array(list.map(substituted))
        case .object(let object): return .object(JSONObject(object.map { ($0.key, substituted($0.value)) }))
        default: return json
        }
    }
}

extension TrainingRow {
    mutating func insertSystem(_ text: String) {
        if messages.first?.role != .system { messages.insert(RowMessage(.system, text), at: 0) }
        if let other = rejected, other.first?.role != .system { rejected?.insert(RowMessage(.system, text), at: 0) }
    }
}
