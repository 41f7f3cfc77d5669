import JSON

/// Columns of pictures, films and sounds.
enum MediaColumns {
    /// One or a list, each a text or `{"path"|"url": …}`.
    static func list(_ json: JSON?, _ column: String) throws -> [JSON] {
        guard let json, !json.isNull else { return [] }
        if let text = json.string, text.hasPrefix("["), let parsed = try? JSON(parsing: text) {
            return try list(parsed, column)
        }
        return try (json.array ?? [json]).map { element in
            if element.string != nil || element.array != nil { return element }
            if let text = (element["path"] ?? element["url"])?.string { return .string(text) }
            throw SchemaMismatch("wrong type: an entry of \"\(column)\" is a \(element.typeName), wanted a path")
        }
    }

    /// Turns `<img>address</img>` (Qwen-VL) into the tag `<image>` and an entry of `images`.
    static func replaceTags(_ messages: [JSON], _ images: inout [JSON]) -> [JSON] {
        messages.map { message in
            guard var object = message.object, let text = object["content"]?.string, text.contains("<img>") else {
                return message
            }
            var out = ""
            var rest = Substring(text)
            while let open = rest.firstRange(of: "<img>"), let close = rest[open.upperBound...].firstRange(of: "</img>")
            {
                out += rest[..<open.lowerBound] + "<image>"
                images.append(.string(String(rest[open.upperBound..<close.lowerBound])))
                rest = rest[close.upperBound...]
            }
            object["content"] = .string(out + rest)
            return .object(object)
        }
    }
}
