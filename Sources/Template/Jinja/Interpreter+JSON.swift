import JSON

/// `tojson` as transformers defines it for chat templates: Python's `json.dumps` with `ensure_ascii` off.
extension Interpreter {
    private struct Style {
        var indent: String?
        var itemSeparator = ", "
        var keySeparator = ": "
        var sortsKeys = false
        var strings = JSON.WriteStyle.compact
    }

    func json(_ value: Value, _ given: Given) throws(Fault) -> String {
        try given.check("tojson", "ensure_ascii", "indent", "separators", "sort_keys")
        var style = Style()
        style.strings.escapesNonASCII = try isTrue(given.value("ensure_ascii", 0) ?? .bool(false))
        style.sortsKeys = try isTrue(given.value("sort_keys", 3) ?? .bool(false))
        if let indent = given.value("indent", 1) {
            if let count = indent.integer {
                if count > 1 << 10 { throw .value("tojson indents by at most 1024 spaces") }
                style.indent = String(repeating: " ", count: Swift.max(0, count))
            } else if let text = indent.text {
                try spend(bytes: text.utf8.count)
                style.indent = text
            }
            if style.indent != nil { style.itemSeparator = "," }
        }
        switch given.value("separators", 2) {
        case nil, .some(.none): break
        case .some(let separators):
            let pair = try elements(of: separators)
            guard pair.count == 2, let item = pair[0].text, let key = pair[1].text else {
                throw .value("separators are two texts")
            }
            style.itemSeparator = item
            style.keySeparator = key
        }
        var out = ""
        try write(value, style, level: 0, to: &out)
        try spend(bytes: out.utf8.count)
        return out
    }

    private func write(_ value: Value, _ style: Style, level: Int, to out: inout String) throws(Fault) {
        try spend()
        switch value {
        case .none: out += "null"
        case .bool(let flag): out += flag ? "true" : "false"
        case .int(let number): out += String(number)
        case .double(let number): out += Self.number(number)
        case .string(let text), .markup(let text): out += JSON.string(text).text(style.strings)
        case .list(let elements), .tuple(let elements):
            try write("[", "]", elements.values.count, style, level, to: &out) { at, out throws(Fault) in
                try write(elements.values[at], style, level: level + 1, to: &out)
            }
        case .dict(let mapping):
            var order = Array(0..<mapping.count)
            if style.sortsKeys {
                order = try sorted(order) { a, b throws(Fault) in try precedes(mapping.keys[a], mapping.keys[b]) }
            }
            try write("{", "}", mapping.count, style, level, to: &out) { at, out throws(Fault) in
                out += JSON.string(try key(mapping.keys[order[at]])).text(style.strings) + style.keySeparator
                try write(mapping.values[order[at]], style, level: level + 1, to: &out)
            }
        default: throw .value("Object of type \(value.typeName) is not JSON serializable")
        }
        if out.utf8.count > budget.outputBytes { try spend(bytes: out.utf8.count) }
    }

    private func write(
        _ open: String, _ close: String, _ count: Int, _ style: Style, _ level: Int, to out: inout String,
        _ element: (Int, inout String) throws(Fault) -> Void
    ) throws(Fault) {
        out += open
        for at in 0..<count {
            if at > 0 { out += style.itemSeparator }
            if let indent = style.indent {
                try spend(bytes: indent.utf8.count * (level + 1))
                out += "\n" + String(repeating: indent, count: level + 1)
            }
            try element(at, &out)
        }
        if let indent = style.indent, count > 0 { out += "\n" + String(repeating: indent, count: level) }
        out += close
    }

    private static func number(_ value: Double) -> String {
        value.isNaN ? "NaN" : value.isInfinite ? (value < 0 ? "-Infinity" : "Infinity") : Numbers.representation(value)
    }

    private func key(_ key: Value) throws(Fault) -> String {
        switch key {
        case .string(let text), .markup(let text): return text
        case .none: return "null"
        case .bool(let flag): return flag ? "true" : "false"
        case .int(let number): return String(number)
        case .double(let number): return Self.number(number)
        default: throw .value("keys must be str, int, float, bool or None, not \(key.typeName)")
        }
    }
}
