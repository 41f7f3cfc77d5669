import CYAML
import JSON

/// What is wrong with a YAML text, and where. Lines and columns count from 1.
package struct YAMLError: Error, Equatable, Sendable, CustomStringConvertible {
    package let message: String
    package let line: Int
    package let column: Int
    package var description: String { "line \(line), column \(column): \(message)" }
}

/// Reads YAML documents as JSON values.
///
/// Plain scalars follow YAML 1.2's core schema: `1e-4` is a number, `yes` and `on` are texts. Keys are texts. Aliases
/// are copied; their number and the size of what they make are bounded, as is the depth.
package struct YAML {
    private static let maximumDepth = 64
    private static let maximumAliases = 100
    private static let maximumNodes = 1 << 20

    private var parser: EventSource
    private var anchors: [String: (value: JSON, nodes: Int)] = [:]
    private var aliases = 0
    private var nodes = 0

    /// The first document of a text; null for an empty one.
    package static func parse(_ text: String) throws(YAMLError) -> JSON { try parse(Array(text.utf8)) }

    package static func parse(_ bytes: [UInt8]) throws(YAMLError) -> JSON {
        var reader = YAML(parser: try EventSource(bytes))
        return try reader.document()
    }

    private init(parser: EventSource) { self.parser = parser }

    private mutating func document() throws(YAMLError) -> JSON {
        while true {
            let event = try parser.next()
            switch event.kind {
            case .streamStart, .documentStart: continue
            case .streamEnd, .documentEnd: return .null
            default: return try value(event, depth: 0)
            }
        }
    }

    private mutating func value(_ event: EventSource.Event, depth: Int) throws(YAMLError) -> JSON {
        nodes += 1
        if nodes > Self.maximumNodes { throw event.error("more than \(Self.maximumNodes) values") }
        if depth > Self.maximumDepth { throw event.error("nested deeper than \(Self.maximumDepth) levels") }
        let before = nodes
        let value: JSON
        switch event.kind {
        case .alias(let name):
            aliases += 1
            guard let known = anchors[name] else { throw event.error("the alias *\(name) names nothing before it") }
            nodes += known.nodes
            if aliases > Self.maximumAliases || nodes > Self.maximumNodes { throw event.error("too many aliases") }
            return known.value
        case .scalar(let text, let isPlain): value = isPlain ? Self.plain(text) : .string(text)
        case .sequenceStart:
            var list: [JSON] = []
            while true {
                let next = try parser.next()
                if case .sequenceEnd = next.kind { break }
                list.append(try self.value(next, depth: depth + 1))
            }
            value = .array(list)
        case .mappingStart: value = .object(try mapping(depth))
        default: throw event.error("expected a value")
        }
        if let anchor = event.anchor { anchors[anchor] = (value, nodes - before + 1) }
        return value
    }

    private mutating func mapping(_ depth: Int) throws(YAMLError) -> JSONObject {
        var members = JSONObject()
        var merged: [JSONObject] = []
        while true {
            let event = try parser.next()
            if case .mappingEnd = event.kind { break }
            guard case .scalar(let key, let isPlain) = event.kind else { throw event.error("a key must be a text") }
            let value = try self.value(try parser.next(), depth: depth + 1)
            if isPlain, key == "<<" {
                merged += (value.array ?? [value]).compactMap(\.object)
            } else if members[key] != nil {
                throw event.error("the key \"\(key)\" stands twice")
            } else {
                members[key] = value
            }
        }
        for base in merged {
            for (key, value) in base where members[key] == nil { members[key] = value }
        }
        return members
    }

    /// YAML 1.2.2 section 10.3.2, the core schema.
    private static func plain(_ text: String) -> JSON {
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF": return .double(.infinity)
        case "-.inf", "-.Inf", "-.INF": return .double(-.infinity)
        case ".nan", ".NaN", ".NAN": return .double(.nan)
        default: break
        }
        if text.hasPrefix("0x"), let value = Int64(text.dropFirst(2), radix: 16) { return .int(value) }
        if text.hasPrefix("0o"), let value = Int64(text.dropFirst(2), radix: 8) { return .int(value) }
        let digits =
            text.utf8.first == UInt8(ascii: "-") || text.utf8.first == UInt8(ascii: "+") ? text.dropFirst() : text[...]
        guard let first = digits.utf8.first, (48...57).contains(first) || first == UInt8(ascii: "."),
            digits.utf8.allSatisfy({ (48...57).contains($0) || ".eE+-".utf8.contains($0) })
        else { return .string(text) }
        if let value = Int64(text) { return .int(value) }
        if digits.utf8.contains(where: { (48...57).contains($0) }), let value = Double(text) { return .double(value) }
        return .string(text)
    }
}
