import JSON

/// What a JSON document may hold. One table says it for the reader, for messages and for the published JSON Schema.
package indirect enum Schema: Sendable {
    case text(TextRule)
    case integer(ClosedRange<Int>)
    case boolean
    case list(of: Schema, atLeast: Int = 0)
    /// An object whose member names are free.
    case map(of: Schema)
    case object([Field])
    case anyObject

    package struct Field: Sendable {
        let name: String
        let schema: Schema
        let isRequired: Bool
        let summary: String

        static func required(_ name: String, _ schema: Schema, _ summary: String) -> Field {
            Field(name: name, schema: schema, isRequired: true, summary: summary)
        }
        static func optional(_ name: String, _ schema: Schema, _ summary: String) -> Field {
            Field(name: name, schema: schema, isRequired: false, summary: summary)
        }
    }

    /// What a text must look like: a check, the same as a pattern for JSON Schema, and in words.
    package struct TextRule: Sendable {
        package let wanted: String
        let pattern: String
        package let holds: @Sendable (String) -> Bool
    }
}

extension Schema.TextRule {
    static let any = Self(wanted: "a text that is not empty", pattern: "^[\\s\\S]+$") { !$0.isEmpty }
    package static let identifier = Self(
        wanted: "letters, digits, '.', '_' and '-', at most 128 of them, the first a letter or digit",
        pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
    ) { isWord($0, extra: "._-", 1...128) && $0.utf8.first.map(isAlphanumeric) ?? false }
    static let version = Self(
        wanted: "a semantic version such as 1.4.0", pattern: "^[0-9]+\\.[0-9]+\\.[0-9]+([-+][A-Za-z0-9.+-]+)?$"
    ) { text in
        let core = text.prefix { $0 != "-" && $0 != "+" }
        let tail = text.dropFirst(core.count)
        let parts = core.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 3 && parts.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy { 48...57 ~= $0 } }
            && tail.count != 1 && isWord(String(tail), extra: ".+-", 0...128)
    }
    static let interface = Self(
        wanted: "an interface id such as martlet.model/1", pattern: "^[a-z][a-z0-9.-]*/[1-9][0-9]*$"
    ) { text in
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let first = parts[0].utf8.first, 97...122 ~= first else { return false }
        let name = parts[0].utf8.allSatisfy { 97...122 ~= $0 || 48...57 ~= $0 || $0 == 46 || $0 == 45 }
        return name && parts[1].utf8.allSatisfy { 48...57 ~= $0 } && !parts[1].hasPrefix("0") && !parts[1].isEmpty
    }
    static let fileName = Self(
        wanted: "a file name without '/'", pattern: "^[^/\\u0000]{1,255}$"
    ) {
        !$0.isEmpty && $0.utf8.count <= 255 && !$0.utf8.contains(47) && !$0.utf8.contains(0) && $0 != "." && $0 != ".."
    }
    static let path = Self(wanted: "a path", pattern: "^[^\\u0000]+$") { !$0.isEmpty && !$0.utf8.contains(0) }
    static let digest = Self(wanted: "a sha256 digest: 64 hexadecimal digits", pattern: "^[0-9a-f]{64}$") {
        $0.utf8.count == 64 && $0.utf8.allSatisfy { 48...57 ~= $0 || 97...102 ~= $0 }
    }
    static let publicKey = Self(wanted: "an Ed25519 public key: 64 hexadecimal digits", pattern: digest.pattern) {
        digest.holds($0)
    }
    static func oneOf(_ choices: String...) -> Self {
        Self(
            wanted: choices.map { "\"\($0)\"" }.joined(separator: " or "),
            pattern: "^(" + choices.joined(separator: "|") + ")$"
        ) { choices.contains($0) }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        48...57 ~= byte || 65...90 ~= byte || 97...122 ~= byte
    }
    static func isWord(_ text: String, extra: String, _ count: ClosedRange<Int>) -> Bool {
        let extra = Array(extra.utf8)
        return count ~= text.utf8.count && text.utf8.allSatisfy { isAlphanumeric($0) || extra.contains($0) }
    }
}

extension Schema {
    /// The table as a JSON Schema (draft 2020-12) fragment.
    package var jsonSchema: JSON {
        switch self {
        case .text(let rule):
            return ["type": "string", "pattern": .string(rule.pattern), "description": .string(rule.wanted)]
        case .integer(let range):
            return [
                "type": "integer", "minimum": .int(Int64(range.lowerBound)), "maximum": .int(Int64(range.upperBound)),
            ]
        case .boolean: return ["type": "boolean"]
        case .list(let element, let least):
            return ["type": "array", "items": element.jsonSchema, "minItems": .int(Int64(least))]
        case .map(let value): return ["type": "object", "additionalProperties": value.jsonSchema]
        case .anyObject: return ["type": "object"]
        case .object(let fields):
            var properties = JSONObject()
            for field in fields {
                var property = field.schema.jsonSchema.object ?? JSONObject()
                property["description"] = .string(field.summary)
                properties[field.name] = .object(property)
            }
            return [
                "type": "object", "properties": .object(properties),
                "required": .array(fields.filter(\.isRequired).map { .string($0.name) }), "additionalProperties": false,
            ]
        }
    }

    /// The published schema file's text.
    package func file(title: String) -> String {
        var document: JSONObject = JSONObject([
            ("$schema", "https://json-schema.org/draft/2020-12/schema"), ("title", .string(title)),
        ])
        for (key, value) in jsonSchema.object ?? JSONObject() { document[key] = value }
        return JSON.object(document).text(.pretty) + "\n"
    }
}
