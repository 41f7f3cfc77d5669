/// What may follow `|`: the filters of one value. Semantics: Jinja documentation, "List of Builtin Filters".
extension Interpreter {
    static let filterNames: Set<String> = [
        "abs", "attr", "batch", "capitalize", "center", "count", "d", "default", "dictsort", "e", "escape",
        "filesizeformat", "first", "float", "forceescape", "format", "groupby", "indent", "int", "items", "join",
        "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse", "round",
        "safe", "select", "selectattr", "slice", "sort", "string", "striptags", "sum", "title", "tojson", "trim",
        "truncate", "unique", "upper", "urlencode", "wordcount", "wordwrap",
    ]

    func filter(_ name: String, _ value: Value, _ given: Given) throws(Fault) -> Value {
        try spend()
        switch name {
        case "default", "d":
            try given.check(name, "default_value", "boolean")
            let isMissing = value.isUndefined
            let onFalse = try isTrue(given.value("boolean", 1) ?? .bool(false))
            let isFalse = onFalse ? try !isTrue(value) : false
            return isMissing || isFalse ? given.value("default_value", 0) ?? .string("") : value
        case "length", "count":
            try given.check(name)
            return .int(try length(value))
        case "string":
            try given.check(name)
            if value.text != nil { return value }
            return .string(try describe(value))
        case "tojson": return .string(try json(value, given))
        case "safe": return .markup(try describe(value))
        case "escape", "e":
            if case .markup = value { return value }
            return .markup(Text.escapeHTML(try describe(value)))
        case "forceescape": return .markup(Text.escapeHTML(try describe(value)))
        case "upper", "lower", "capitalize", "title", "trim", "center", "replace", "truncate", "indent", "wordwrap",
            "wordcount", "striptags", "urlencode", "format":
            return try filter(text: name, value, given)
        case "int", "float", "abs", "round", "filesizeformat": return try filter(number: name, value, given)
        case "attr":
            guard let member = try given.one(name).text else { throw .value("attr() needs a name") }
            if case .dict = value, Methods.table[.dict]?.pure.contains(member) != true {
                return .undefined(.member(member, of: value.typeName))
            }
            return try self.member(member, of: value)
        case "random", "pprint", "urlize", "xmlattr":
            throw Fault(.unsupported, "the filter '\(name)' is not offered to chat templates")
        default:
            guard Self.filterNames.contains(name) else { throw Fault(.unsupported, "No filter named '\(name)'.") }
            return try filter(sequence: name, value, given)
        }
    }

    func length(_ value: Value) throws(Fault) -> Int {
        switch value {
        case .string(let text), .markup(let text):
            try spend(bytes: text.utf8.count)
            return text.unicodeScalars.count
        case .list(let elements), .tuple(let elements): return elements.values.count
        case .dict(let mapping), .view(_, let mapping): return mapping.count
        case .range(let range): return range.count
        case .loop(let state): return state.items.count
        case .undefined: return 0
        default: throw .value("object of type '\(value.typeName)' has no len()")
        }
    }

    // MARK: Numbers

    private func filter(number name: String, _ value: Value, _ given: Given) throws(Fault) -> Value {
        switch name {
        case "int":
            try given.check(name, "default", "base")
            if case .undefined(let reason) = value { throw reason.fault }
            let base = given.value("base", 1)?.integer ?? 10
            if let number = value.integer { return .int(number) }
            if let text = value.text, let number = Numbers.integer(text, base: base) { return .int(number) }
            let number = value.number ?? value.text.flatMap(Numbers.double)
            if let number, let whole = Int(exactly: number.rounded(.towardZero)) { return .int(whole) }
            return given.value("default", 0) ?? .int(0)
        case "float":
            try given.check(name, "default")
            if case .undefined(let reason) = value { throw reason.fault }
            let number = value.number ?? value.text.flatMap(Numbers.double)
            return number.map(Value.double) ?? given.value("default", 0) ?? .double(0)
        case "abs":
            if let number = value.integer {
                return number < 0 ? try sign(negative: true, value) : .int(number)
            }
            if case .double(let number) = value { return .double(number.magnitude) }
            if case .undefined(let reason) = value { throw reason.fault }
            throw .value("bad operand type for abs(): '\(value.typeName)'")
        case "round": return try round(value, given)
        default: return .string(try fileSize(value, given))
        }
    }

    private func round(_ value: Value, _ given: Given) throws(Fault) -> Value {
        try given.check("round", "precision", "method")
        if case .undefined(let reason) = value { throw reason.fault }
        guard let number = value.number else {
            throw .value("type \(value.typeName) doesn't define __round__ method")
        }
        let places = given.value("precision", 0)?.integer ?? 0
        let method = given.value("method", 1)?.text ?? "common"
        let scale = Numbers.power(ofTen: Swift.max(-300, Swift.min(places, 300)))
        switch method {
        case "common":
            if let whole = value.integer {
                return places >= 0 ? .int(whole) : .int(Int(Numbers.rounded(Double(whole), places: places)))
            }
            return .double(Numbers.rounded(number, places: places))
        case "ceil", "floor":
            let scaled = (number * scale).rounded(method == "ceil" ? .up : .down)
            guard scaled.isFinite else { throw .value("cannot round \(Numbers.representation(number))") }
            // Python's integer result over an integer power is true division.
            return .double(scaled / scale)
        default: throw .value("method must be common, ceil or floor")
        }
    }

    private func fileSize(_ value: Value, _ given: Given) throws(Fault) -> String {
        try given.check("filesizeformat", "binary")
        guard let bytes = value.number ?? value.text.flatMap(Numbers.double), bytes.isFinite else {
            throw .value("filesizeformat() needs a number")
        }
        let binary = try isTrue(given.value("binary", 0) ?? .bool(false))
        let base: Double = binary ? 1024 : 1000
        if bytes == 1 { return "1 Byte" }
        if bytes < base { return "\(Int(exactly: bytes.rounded(.towardZero)) ?? 0) Bytes" }
        var unit = base * base
        let prefixes = ["k", "M", "G", "T", "P", "E", "Z", "Y"]
        for (at, prefix) in prefixes.enumerated() {
            if bytes < unit || at == prefixes.count - 1 {
                let name = binary ? prefix.uppercased() + "iB" : prefix + "B"
                return Numbers.formatted(base * bytes / unit, "f", precision: 1) + " " + name
            }
            unit *= base
        }
        return ""
    }
}
