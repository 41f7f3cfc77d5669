/// Python's `str` and `repr`.
extension Interpreter {
    /// What `{{ value }}` writes.
    func describe(_ value: Value) throws(Fault) -> String {
        switch value {
        case .string(let text), .markup(let text): return text
        case .undefined: return ""
        case .int(let number): return String(number)
        default:
            var out = ""
            try represent(value, to: &out)
            return out
        }
    }

    func representation(_ value: Value) throws(Fault) -> String {
        var out = ""
        try represent(value, to: &out)
        return out
    }

    private func represent(_ value: Value, to out: inout String) throws(Fault) {
        try spend()
        switch value {
        case .undefined: out += "Undefined"
        case .none: out += "None"
        case .bool(let flag): out += flag ? "True" : "False"
        case .int(let number): out += String(number)
        case .double(let number): out += Numbers.representation(number)
        case .string(let text): out += Self.quoted(text)
        case .markup(let text): out += "Markup(" + Self.quoted(text) + ")"
        case .list(let elements): try represent(elements.values, "[", "]", to: &out)
        case .tuple(let elements):
            try represent(elements.values, "(", elements.values.count == 1 ? ",)" : ")", to: &out)
        case .dict(let mapping): try represent(mapping, to: &out)
        case .view(let view, let mapping):
            out += "dict_\(view.rawValue)("
            try represent(try elements(of: .view(view, mapping)), "[", "]", to: &out)
            out += ")"
        case .range(let range):
            out += "range(\(range.start), \(range.stop)"
            out += range.step == 1 ? ")" : ", \(range.step))"
        case .namespace(let space):
            out += "<Namespace {"
            for (at, member) in namespaces[space].enumerated() {
                if at > 0 { out += ", " }
                out += Self.quoted(member.name) + ": "
                // A namespace may hold itself; one level is told.
                if case .namespace = member.value {
                    out += "<Namespace>"
                } else {
                    try represent(member.value, to: &out)
                }
            }
            out += "}>"
        case .iterator: out += "<generator>"
        case .loop(let state): out += "<LoopContext \(state.index + 1)/\(state.items.count)>"
        case .callable(let callable):
            switch callable.kind {
            case .macro(let definition, _): out += "<Macro '\(definition.name)'>"
            default: out += "<function>"
            }
        }
        try spend(bytes: out.utf8.count >> 8)
        if out.utf8.count > budget.outputBytes { try spend(bytes: out.utf8.count) }
    }

    private func represent(
        _ values: [Value], _ open: String, _ close: String, to out: inout String
    ) throws(Fault) {
        out += open
        for (at, value) in values.enumerated() {
            if at > 0 { out += ", " }
            try represent(value, to: &out)
        }
        out += close
    }

    private func represent(_ mapping: Mapping, to out: inout String) throws(Fault) {
        out += "{"
        for at in 0..<mapping.count {
            if at > 0 { out += ", " }
            try represent(mapping.keys[at], to: &out)
            out += ": "
            try represent(mapping.values[at], to: &out)
        }
        out += "}"
    }

    /// A text as Python writes it in its source: single quotes unless only double ones avoid an escape.
    static func quoted(_ text: String) -> String {
        let quote: UnicodeScalar = text.utf8.contains(0x27) && !text.utf8.contains(0x22) ? "\"" : "'"
        var out = String(quote)
        func hex(_ value: UInt32, _ width: Int) -> String {
            let digits = String(value, radix: 16)
            return String(repeating: "0", count: Swift.max(0, width - digits.count)) + digits
        }
        for scalar in text.unicodeScalars {
            switch scalar {
            case quote, "\\": out += "\\" + String(scalar)
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            case _ where Text.isPrintable(scalar): out.unicodeScalars.append(scalar)
            case _ where scalar.value < 0x100: out += "\\x" + hex(scalar.value, 2)
            case _ where scalar.value < 0x10000: out += "\\u" + hex(scalar.value, 4)
            default: out += "\\U" + hex(scalar.value, 8)
            }
        }
        return out + String(quote)
    }
}
