/// The value of a node's attribute.
package enum AttributeValue: Equatable, Sendable, Hashable {
    case int(Int)
    case float(Double)
    case bool(Bool)
    case string(String)
    case ints([Int])
    case floats([Double])

    var typeName: String {
        switch self {
        case .int: return "an integer"
        case .float: return "a number"
        case .bool: return "a boolean"
        case .string: return "a text"
        case .ints: return "a list of integers"
        case .floats: return "a list of numbers"
        }
    }
}

/// An attribute that an op knows: its name, type (that of the default) and whether it may be left out.
package struct AttributeRule: Sendable {
    package let name: String
    package let fallback: AttributeValue
    package let isRequired: Bool

    static func optional(_ name: String, _ fallback: AttributeValue) -> AttributeRule {
        AttributeRule(name: name, fallback: fallback, isRequired: false)
    }
    /// `example` states the type.
    static func required(_ name: String, _ example: AttributeValue) -> AttributeRule {
        AttributeRule(name: name, fallback: example, isRequired: true)
    }
}

/// A node's attributes in the order of its op's rules, every one present.
package struct Attributes: Equatable, Sendable, Hashable {
    package private(set) var names: [String]
    package private(set) var values: [AttributeValue]

    init() {
        names = []
        values = []
    }

    /// Checks `given` against `rules` and fills in what was left out.
    init(_ given: [(String, AttributeValue)], rules: [AttributeRule]) throws(GraphError) {
        for (name, _) in given where !rules.contains(where: { $0.name == name }) {
            let known = rules.map(\.name).joined(separator: ", ")
            throw GraphError(.unknown, "unknown attribute \"\(name)\"; known are: \(known.isEmpty ? "none" : known)")
        }
        names = rules.map(\.name)
        values = []
        values.reserveCapacity(rules.count)
        for rule in rules {
            guard let value = given.first(where: { $0.0 == rule.name })?.1 else {
                if rule.isRequired { throw GraphError(.invalid, "attribute \"\(rule.name)\" is missing") }
                values.append(rule.fallback)
                continue
            }
            switch (value, rule.fallback) {
            case (.int, .int), (.float, .float), (.bool, .bool), (.string, .string), (.ints, .ints), (.floats, .floats):
                values.append(value)
            case (.int(let whole), .float):
                values.append(.float(Double(whole)))
            default:
                throw GraphError(
                    .invalid,
                    "attribute \"\(rule.name)\" is \(value.typeName), wanted \(rule.fallback.typeName)")
            }
        }
    }

    package subscript(name: String) -> AttributeValue? {
        names.firstIndex(of: name).map { values[$0] }
    }

    package func int(_ name: String) -> Int {
        if case .int(let value)? = self[name] { return value }
        return 0
    }
    package func float(_ name: String) -> Double {
        if case .float(let value)? = self[name] { return value }
        return 0
    }
    package func bool(_ name: String) -> Bool {
        if case .bool(let value)? = self[name] { return value }
        return false
    }
    package func string(_ name: String) -> String {
        if case .string(let value)? = self[name] { return value }
        return ""
    }
    package func ints(_ name: String) -> [Int] {
        if case .ints(let value)? = self[name] { return value }
        return []
    }
    package func floats(_ name: String) -> [Double] {
        if case .floats(let value)? = self[name] { return value }
        return []
    }

    /// The attributes as they were given, for emitting a node again.
    package var pairs: [(String, AttributeValue)] { Array(zip(names, values)) }
}
