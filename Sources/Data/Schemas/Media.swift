import JSON

/// Pictures, films and sounds that a row names.
enum Media {
    /// A column of media: one or a list, each a text or `{"path"|"url": …}`.
    static func list(_ json: JSON?, _ column: String) throws -> [String] {
        guard let json, !json.isNull else { return [] }
        if let text = json.string, text.hasPrefix("["), let parsed = try? JSON(parsing: text) {
            return try list(parsed, column)
        }
        return try (json.array ?? [json]).map { element in
            if let text = element.string { return text }
            if let text = (element["path"] ?? element["url"])?.string { return text }
            throw SchemaMismatch("wrong type: an entry of \"\(column)\" is a \(element.typeName), wanted a path")
        }
    }

    /// Turns `<img>address</img>` (Qwen-VL) into the tag `<image>` and an entry of `images`, and counts tags: as many as
    /// there are media, or the row does not mean what it says.
    static func replaceTags(_ row: inout TrainingRow) {
        for index in row.messages.indices {
            row.messages[index].parts = row.messages[index].parts.map { part in
                guard case .text(let text) = part, text.contains("<img>") else { return part }
                var out = ""
                var rest = Substring(text)
                while let open = rest.firstRange(of: "<img>"),
                    let close = rest[open.upperBound...].firstRange(of: "</img>")
                {
                    out += rest[..<open.lowerBound] + "<image>"
                    row.images.append(String(rest[open.upperBound..<close.lowerBound]))
                    rest = rest[close.upperBound...]
                }
                return .text(out + rest)
            }
        }
    }
}

/// Descriptions of tools.
enum Tools {
    /// A list, or the text of one; Anthropic's `input_schema` becomes `parameters`.
    static func list(_ json: JSON) throws -> JSON? {
        switch json {
        case .null: return nil
        case .string(let text):
            if text.isEmpty || text == "[]" { return nil }
            guard let parsed = try? JSON(parsing: text), parsed.string == nil else {
                throw SchemaMismatch("broken tools: the column is not JSON")
            }
            return try list(parsed)
        case .object: return try list([json])
        case .array(let tools):
            if tools.isEmpty { return nil }
            return .array(
                try tools.map { tool in
                    if let text = tool.string, let parsed = try? JSON(parsing: text) { return parsed }
                    guard var object = tool.object else {
                        throw SchemaMismatch("broken tools: an entry is a \(tool.typeName)")
                    }
                    if let schema = object["input_schema"] {
                        object["input_schema"] = nil
                        object["parameters"] = schema
                    }
                    return .object(object)
                })
        default: throw SchemaMismatch("broken tools: the column is a \(json.typeName)")
        }
    }
}
