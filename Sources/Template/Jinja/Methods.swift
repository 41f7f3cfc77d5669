/// The methods of Python's types that templates may name. The mutating ones exist only to be refused, as Jinja's
/// immutable sandbox does.
enum Methods {
    enum Family { case text, list, tuple, dict, number, other }

    static func family(of value: Value) -> Family {
        switch value {
        case .string, .markup: return .text
        case .list: return .list
        case .tuple: return .tuple
        case .dict: return .dict
        case .double: return .number
        default: return .other
        }
    }

    static let table: [Family: (pure: Set<String>, mutating: Set<String>)] = [
        .text: (
            [
                "capitalize", "casefold", "center", "count", "encode", "endswith", "expandtabs", "find", "format",
                "format_map", "index", "isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier",
                "islower", "isnumeric", "isprintable", "isspace", "istitle", "isupper", "join", "ljust", "lower",
                "lstrip", "maketrans", "partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex",
                "rjust", "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "swapcase",
                "title", "translate", "upper", "zfill",
            ], []
        ),
        .list: (
            ["copy", "count", "index"],
            ["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"]
        ),
        .tuple: (["count", "index"], []),
        .dict: (
            ["copy", "fromkeys", "get", "items", "keys", "values"],
            ["clear", "pop", "popitem", "setdefault", "update"]
        ),
        .number: (["is_integer"], []),
    ]
}

extension Interpreter {
    func call(method name: String, of receiver: Value, _ given: Given) throws(Fault) -> Value {
        switch receiver {
        case .string(let text): return try call(textMethod: name, text, given)
        case .markup(let text):
            // Markup escapes what it is given and gives markup back.
            var escaped = given
            for at in escaped.positional.indices {
                if case .string(let argument) = escaped.positional[at] {
                    escaped.positional[at] = .string(Text.escapeHTML(argument))
                }
            }
            return try Self.marked(try call(textMethod: name, text, escaped))
        case .list(let elements), .tuple(let elements): return try call(listMethod: name, elements, given)
        case .dict(let mapping): return try call(dictMethod: name, mapping, given)
        case .double(let number): return .bool(number.isFinite && number == number.rounded())
        case .callable(let callable):
            callable.count = 0
            return .none
        default: throw .value("'\(receiver.typeName)' object has no method '\(name)'")
        }
    }

    private static func marked(_ value: Value) throws(Fault) -> Value {
        switch value {
        case .string(let text): return .markup(text)
        case .list(let elements):
            var values: [Value] = []
            for element in elements.values { values.append(try marked(element)) }
            return try .makeList(values)
        default: return value
        }
    }

    private func call(listMethod name: String, _ elements: Elements, _ given: Given) throws(Fault) -> Value {
        switch name {
        case "copy":
            try given.check(name)
            return .list(elements)
        case "count":
            let wanted = try given.one(name)
            var count = 0
            for element in elements.values where try equal(element, wanted) { count += 1 }
            return .int(count)
        default:
            try given.check(name, "value", "start", "stop")
            guard let wanted = given.value("value", 0) else { throw .value("index() takes at least 1 argument") }
            let range = clamp(given.value("start", 1), given.value("stop", 2), count: elements.values.count)
            for at in range where try equal(elements.values[at], wanted) { return .int(at) }
            throw .value("\(try representation(wanted)) is not in list")
        }
    }

    /// Python's optional start and end of a search.
    func clamp(_ start: Value?, _ end: Value?, count: Int) -> Range<Int> {
        func place(_ value: Value?, _ standard: Int) -> Int {
            guard let index = value?.integer else { return standard }
            return Swift.max(0, Swift.min(index < 0 ? index + count : index, count))
        }
        let from = place(start, 0)
        return from..<Swift.max(from, place(end, count))
    }

    private func call(dictMethod name: String, _ mapping: Mapping, _ given: Given) throws(Fault) -> Value {
        switch name {
        case "get":
            guard (1...2).contains(given.positional.count), given.keywords.isEmpty else {
                throw .value("get expected 1 or 2 arguments, got \(given.positional.count + given.keywords.count)")
            }
            if case .undefined = given.positional[0] { return given.value("default", 1) ?? .none }
            return try mapping.find(given.positional[0]) ?? given.value("default", 1) ?? .none
        case "fromkeys": return try call(function: "dict.fromkeys", given)
        default:
            try given.check(name)
            if name == "copy" { return .dict(mapping) }
            guard let view = DictView(rawValue: name) else { throw .value("'dict' object has no method '\(name)'") }
            return .view(view, mapping)
        }
    }
}
