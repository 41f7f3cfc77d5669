import JSON
import Template

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
    /// Rows for which one of these gives 0 are left out (`--row_filter`). They see the row as it stands in its file.
    package var filters: [RowJudge]

    package init(
        _ purpose: Purpose = .answer, columns: ColumnMapping = ColumnMapping(), system: String? = nil,
        substitutions: [String: String] = [:], filters: [RowJudge] = []
    ) {
        self.filters = filters
        self.purpose = purpose
        self.columns = columns
        self.system = system
        self.substitutions = substitutions
    }

    /// Changes with every setting, for caches.
    var identity: String {
        "2|\(purpose.rawValue)|\(columns.identity)|\(system ?? "")|\(substitutions.sorted { $0.key < $1.key })|\(filters.map(\.id))"
    }

    /// Converts a row.
    /// - Throws: `Reject` with the reason.
    package func convert(_ row: SourceRow) throws(Reject) -> TrainingRow {
        do {
            var json = try JSON(parsing: row.text)
            if !substitutions.isEmpty { json = substituted(json) }
            guard let object = json.object else { throw SchemaMismatch("not an object: found a \(json.typeName)") }
            for filter in filters { try Self.pass(row, filter) }
            return try convert(columns.renamed(object))
        } catch let mismatch as SchemaMismatch {
            throw Reject(row, mismatch.cause)
        } catch {
            throw Reject(row, "not valid JSON: \(error)")
        }
    }

    private static func pass(_ row: SourceRow, _ filter: RowJudge) throws {
        let number: Double
        do {
            number = try filter.judge(row.text)
        } catch {
            throw SchemaMismatch("filter failed: \(filter.id): \(error)")
        }
        if number == 0 { throw SchemaMismatch("filtered: by \(filter.id)") }
    }

    func convert(_ row: JSONObject) throws -> TrainingRow {
        var draft = RowDraft()
        var used: Set<String> = []
        func take(_ known: String) -> JSON? {
            guard let found = columns.find(known, in: row, except: used) else { return nil }
            used.insert(found.column)
            return found.value
        }
        var images = try MediaColumns.list(take("images"), "images")
        let videos = try MediaColumns.list(take("videos"), "videos")
        let audios = try MediaColumns.list(take("audios"), "audios")
        let tools = take("tools") ?? .null
        if let pattern = columns.pattern {
            let filled = try pattern.fill(row)
            draft.messages = filled.prompt.map { [RowDraft.message("user", $0)] } ?? []
            draft.messages.append(RowDraft.message("assistant", filled.answer))
            draft.isText = filled.prompt == nil
        } else if let messages = take("messages") {
            draft.messages = try MessageReader.messages(messages, "messages")
            if draft.messages.isEmpty { throw SchemaMismatch("messages is empty") }
        } else if row["chosen_messages"] == nil {
            let hasMedia = !images.isEmpty || !videos.isEmpty || !audios.isEmpty
            try QueryReader(columns, allowsEmptyQuery: hasMedia).read(row, &draft, &used)
        }
        if let own = take("system")?.string, !own.isEmpty { Self.insert(system: own, in: &draft.messages) }
        try PreferenceReader.read(row, &draft, &used)
        if let system, !draft.isText {
            Self.insert(system: system, in: &draft.messages)
            if var rejected = draft.rejected {
                Self.insert(system: system, in: &rejected)
                draft.rejected = rejected
            }
        }
        try check(draft)
        draft.messages = MediaColumns.replaceTags(draft.messages, &images)
        func conversation(_ messages: [JSON]) throws -> Conversation {
            do throws(ConversationError) {
                return try Conversation([
                    "messages": .array(messages), "tools": tools, "images": .array(images), "videos": .array(videos),
                    "audios": .array(audios), "chat_template_kwargs": row["chat_template_kwargs"] ?? .null,
                ])
            } catch { throw SchemaMismatch("broken conversation: \(error)") }
        }
        var out = TrainingRow(try conversation(draft.messages))
        out.isText = draft.isText
        if purpose == .pair, let rejected = draft.rejected {
            var unused: [JSON] = []
            out.rejected = try conversation(MediaColumns.replaceTags(rejected, &unused))
        }
        if let label = columns.find("label", in: row, except: used) {
            used.insert(label.column)
            let said = label.value.bool ?? ["true": true, "false": false][label.value.string?.lowercased() ?? ""]
            if purpose == .answer, said == false {
                throw SchemaMismatch("undesirable answer: its label is false; --rlhf_type kto learns from such rows")
            }
            out.label = said.map { $0 ? 1 : 0 } ?? label.value.double.map { Float($0) }
        }
        if purpose == .label, out.label == nil {
            throw SchemaMismatch("no label: wanted a column \"label\" that is true or false")
        }
        out.margin = row["margin"]?.double.map { Float($0) }
        out.extra = row
        for key in used { out.extra[key] = nil }
        return out
    }

    private static func insert(system text: String, in messages: inout [JSON]) {
        if messages.first?.role != "system" { messages.insert(RowDraft.message("system", text), at: 0) }
    }

    private func check(_ row: RowDraft) throws {
        guard let last = row.messages.last?.role else {
            throw SchemaMismatch(
                "no known columns: wanted messages, conversations, instruction and output, query and response, or text")
        }
        if purpose == .prompt { return }
        guard last == "assistant" || last == "tool_call" else {
            throw SchemaMismatch("no answer: the last message is from the \(last)")
        }
        guard purpose == .pair else { return }
        guard let rejected = row.rejected else {
            throw SchemaMismatch("no pair: wanted rejected_response, rejected_messages, or chosen and rejected")
        }
        guard let other = rejected.last?.role, other == "assistant" || other == "tool_call" else {
            throw SchemaMismatch("no pair: the rejected side has no answer")
        }
        if rejected == row.messages { throw SchemaMismatch("no pair: chosen and rejected are the same") }
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
