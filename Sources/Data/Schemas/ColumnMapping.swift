import JSON

/// Gives columns the names that schemas know.
package struct ColumnMapping: Sendable, Equatable {
    /// The user's own names: from a column of the file to a known one (`--columns`).
    package var renames: [String: String]
    /// Whether usual synonyms are mapped too.
    package var isAutomatic: Bool
    /// A text with columns in braces, in place of a schema: the last column is the answer.
    package var pattern: TextPattern?
    /// Renamed columns that rows may lack: what the catalogue says of a data set.
    package var optional: Set<String> = []

    package init(renames: [String: String] = [:], isAutomatic: Bool = true, pattern: TextPattern? = nil) {
        self.renames = renames
        self.isAutomatic = isAutomatic
        self.pattern = pattern
    }

    /// Synonyms in the order in which they are tried, as in ms-swift 4.6.0.
    static let synonyms: [(known: String, columns: [String])] = [
        ("query", ["query", "prompt", "input", "instruction", "question", "problem"]),
        (
            "response",
            [
                "response", "answer", "output", "targets", "target", "answer_key", "answers", "solution", "text",
                "completion", "content",
            ]
        ),
        ("system", ["system", "system_prompt"]),
        ("messages", ["messages", "conversation", "conversations"]),
        ("images", ["images", "image"]),
        ("videos", ["videos", "video"]),
        ("audios", ["audios", "audio"]),
        ("tools", ["tools", "tool", "functions"]),
        ("label", ["label", "kto_tag"]),
        ("rejected_response", ["rejected_response", "rejected"]),
    ]

    /// What a column may be called.
    package static let knownNames: Set<String> = Set(synonyms.flatMap { [$0.known] + $0.columns }).union([
        "history", "chosen", "chosen_messages", "rejected_messages", "margin", "chat_template_kwargs",
    ])

    /// With the user's own names, which win.
    package func overlaid(by own: ColumnMapping) -> ColumnMapping {
        var out = self
        out.isAutomatic = own.isAutomatic
        out.renames.merge(own.renames) { _, own in own }
        out.optional.subtract(own.renames.keys)
        return out
    }

    /// Columns of files that have to be there.
    var wanted: Set<String> { Set(renames.keys).subtracting(optional) }

    var identity: String { "\(renames.sorted { $0.key < $1.key })|\(isAutomatic)|\(pattern.map { "\($0)" } ?? "")" }

    /// The column that should hold the question and holds nothing.
    func emptyQuery(in row: JSONObject) -> String? {
        let columns = isAutomatic ? Self.synonyms.first { $0.known == "query" }?.columns ?? [] : ["query"]
        return columns.first { row[$0]?.isNull == true || row[$0]?.string?.isEmpty == true }
    }

    func renamed(_ row: JSONObject) -> JSONObject {
        if renames.isEmpty { return row }
        // A column named by the user wins over one that bears the known name by itself.
        let taken = Set(row.keys.compactMap { renames[$0] })
        var out = JSONObject()
        for (key, value) in row {
            if let known = renames[key] {
                out[known] = value
            } else if !taken.contains(key) {
                out[key] = value
            }
        }
        return out
    }

    /// The first column with a value among the synonyms of `known`.
    func find(_ known: String, in row: JSONObject, except: Set<String> = []) -> (column: String, value: JSON)? {
        let columns = isAutomatic ? Self.synonyms.first { $0.known == known }?.columns ?? [known] : [known]
        for column in columns where !except.contains(column) {
            if let value = row[column], !value.isNull { return (column, value) }
        }
        return nil
    }
}

/// A text such as "Question: {input}\nAnswer: {output}".
package struct TextPattern: Sendable, Equatable {
    private enum Piece: Equatable {
        case text(String)
        case column(String)
    }
    private var pieces: [Piece] = []

    /// - Throws: `DataError` where braces do not match or no column is named.
    package init(_ text: String, place: String) throws {
        var rest = Substring(text)
        while let open = rest.firstIndex(of: "{") {
            if open > rest.startIndex { pieces.append(.text(String(rest[..<open]))) }
            guard let close = rest[open...].firstIndex(of: "}") else {
                throw DataError(place, found: "an open brace in \"\(text)\"", wanted: "a column in braces: {column}")
            }
            pieces.append(.column(String(rest[rest.index(after: open)..<close])))
            rest = rest[rest.index(after: close)...]
        }
        if !rest.isEmpty { pieces.append(.text(String(rest))) }
        if !pieces.contains(where: { if case .column = $0 { true } else { false } }) {
            throw DataError(place, found: "\"\(text)\"", wanted: "at least one column in braces: {column}")
        }
    }

    /// A pattern that is nothing but "known name: {column}, …" says how columns are to be called.
    package var renames: [String: String]? {
        var out: [String: String] = [:]
        guard pieces.count.isMultiple(of: 2) else { return nil }
        for index in stride(from: 0, to: pieces.count, by: 2) {
            guard case .text(let text) = pieces[index], case .column(let column) = pieces[index + 1] else { return nil }
            var name = text.filter { $0 != " " }
            if index > 0 {
                guard name.first == "," else { return nil }
                name.removeFirst()
            }
            guard name.last == ":" else { return nil }
            name.removeLast()
            let known = ColumnMapping.synonyms.first { $0.columns.contains(name) }?.known ?? name
            guard ColumnMapping.synonyms.contains(where: { $0.known == known }) else { return nil }
            out[column] = known
        }
        return out
    }

    /// The text up to the last column, and that column's value. An empty prompt is nil.
    func fill(_ row: JSONObject) throws -> (prompt: String?, answer: String) {
        var texts: [String] = []
        var last = 0
        for (index, piece) in pieces.enumerated() {
            switch piece {
            case .text(let text): texts.append(text)
            case .column(let column):
                guard let value = row[column] else {
                    throw SchemaMismatch("missing column: the format names \"\(column)\"")
                }
                texts.append(value.string ?? (value.isNull ? "" : value.text()))
                last = index
            }
        }
        let prompt = texts[..<last].joined()
        return (prompt.isEmpty ? nil : prompt, texts[last...].joined())
    }
}
