/// Python's two ways of putting values into a text: `"%s" % x` (printf-style) and `"{}".format(x)`.
extension Interpreter {
    // MARK: %

    /// Python library reference, "printf-style String Formatting".
    func format(percent format: String, _ operand: Value, escapes: Bool = false) throws(Fault) -> String {
        var scanner = Scanner(format)
        var values: [Value] = [operand]
        var mapping: Mapping?
        if case .tuple(let elements) = operand { values = elements.values }
        if case .dict(let members) = operand { mapping = members }
        var taken = 0
        func nextValue() throws(Fault) -> Value {
            guard taken < values.count else { throw .value("not enough arguments for format string") }
            taken += 1
            return values[taken - 1]
        }
        func number() throws(Fault) -> Int {
            if scanner.take("*") {
                guard let width = try nextValue().integer else { throw .value("* wants int") }
                return width
            }
            return try scanner.integer(limit: budget.outputBytes) ?? 0
        }
        var out = ""
        while let scalar = scanner.next() {
            guard scalar == "%" else {
                out.unicodeScalars.append(scalar)
                continue
            }
            if scanner.take("%") {
                out += "%"
                continue
            }
            var value: Value?
            if scanner.take("(") {
                guard let mapping else { throw .value("format requires a mapping") }
                let name = scanner.text(until: ")")
                guard let found = mapping[name] else { throw .value("the format names '\(name)', which is not there") }
                value = found
            }
            var spec = FormatSpec()
            spec.isPercent = true
            while let flag = scanner.peek, "-+ #0".unicodeScalars.contains(flag) {
                _ = scanner.next()
                switch flag {
                case "-": spec.align = "<"
                case "+": spec.sign = "+"
                case " ": if spec.sign != "+" { spec.sign = " " }
                case "#": spec.alternate = true
                default: spec.zeroPadded = true
                }
            }
            spec.width = try number()
            if spec.width < 0 {
                spec.align = "<"
                spec.width = spec.width == Int.min ? Int.max : -spec.width
            }
            if scanner.take(".") { spec.precision = Swift.max(0, try number()) }
            while let length = scanner.peek, "hlL".unicodeScalars.contains(length) { _ = scanner.next() }
            guard let conversion = scanner.next() else { throw .value("incomplete format") }
            var piece: Value
            if let value { piece = value } else { piece = try nextValue() }
            if escapes, case .string(let text) = piece { piece = .string(Text.escapeHTML(text)) }
            out += try convert(piece, conversion, spec)
            if out.utf8.count > budget.outputBytes { try spend(bytes: out.utf8.count) }
        }
        let isArguments = if case .tuple = operand { true } else { mapping == nil }
        if isArguments, taken < values.count { throw .value("not all arguments converted during string formatting") }
        try spend(bytes: out.utf8.count)
        return out
    }

    private func convert(_ value: Value, _ conversion: UnicodeScalar, _ spec: FormatSpec) throws(Fault) -> String {
        var spec = spec
        switch conversion {
        case "s", "r", "a":
            spec.zeroPadded = false
            let text = conversion == "s" ? try describe(value) : try representation(value)
            return try spec.padded(spec.cut(text), numeric: false, limit: budget.outputBytes)
        case "c":
            if let text = value.text, text.unicodeScalars.count == 1 {
                return try spec.padded(text, numeric: false, limit: budget.outputBytes)
            }
            guard let code = value.integer, let scalar = UInt32(exactly: code).flatMap(UnicodeScalar.init) else {
                throw .value("%c requires int or char")
            }
            return try spec.padded(String(scalar), numeric: false, limit: budget.outputBytes)
        case "d", "i", "u", "x", "X", "o":
            guard let number = value.integer ?? value.number.flatMap({ Int(exactly: $0.rounded(.towardZero)) }) else {
                throw .value("%\(conversion) format: a real number is required, not \(value.typeName)")
            }
            spec.type = "diu".unicodeScalars.contains(conversion) ? "d" : Character(conversion)
            return try spec.formatted(number, limit: budget.outputBytes)
        case "e", "E", "f", "F", "g", "G":
            guard let number = value.number else { throw .value("must be real number, not \(value.typeName)") }
            spec.type = Character(conversion)
            return try spec.formatted(number, limit: budget.outputBytes)
        default: throw .value("unsupported format character '\(conversion)'")
        }
    }

    // MARK: str.format

    /// Python library reference, "Format String Syntax". Members of values are reached as in the template itself.
    func format(_ text: String, _ given: Given) throws(Fault) -> String {
        var automatic = 0
        return try format(text, given, &automatic, level: 0)
    }

    private func format(_ text: String, _ given: Given, _ automatic: inout Int, level: Int) throws(Fault) -> String {
        if level > 1 { throw .value("Max string recursion exceeded") }
        var scanner = Scanner(text)
        var out = ""
        while let scalar = scanner.next() {
            if scalar == "}" {
                if !scanner.take("}") { throw .value("Single '}' encountered in format string") }
                out += "}"
            } else if scalar != "{" {
                out.unicodeScalars.append(scalar)
            } else if scanner.take("{") {
                out += "{"
            } else {
                let field = try scanner.braced()
                out += try self.field(field, given, &automatic, level: level)
                if out.utf8.count > budget.outputBytes { try spend(bytes: out.utf8.count) }
            }
        }
        try spend(bytes: out.utf8.count)
        return out
    }

    /// `name.member[key]!conversion:spec`
    private func field(
        _ field: String, _ given: Given, _ automatic: inout Int, level: Int
    ) throws(Fault) -> String {
        var scanner = Scanner(field)
        let name = scanner.text(untilAny: ".[!:")
        var value: Value
        if name.isEmpty || Int(name) != nil {
            let index = Int(name) ?? automatic
            if name.isEmpty { automatic += 1 }
            guard given.positional.indices.contains(index) else {
                throw .value("Replacement index \(index) out of range for positional args tuple")
            }
            value = given.positional[index]
        } else {
            guard let found = given.keywords.first(where: { Text.equal($0.name, name) }) else {
                throw .value("the format names '\(name)', which is not given")
            }
            value = found.value
        }
        while let next = scanner.peek, next == "." || next == "[" {
            _ = scanner.next()
            if next == "." {
                value = try member(scanner.text(untilAny: ".[!:"), of: value)
            } else {
                let key = scanner.text(until: "]")
                value = try item(Int(key).map(Value.int) ?? .string(key), of: value)
            }
            if case .undefined(let reason) = value { throw reason.fault }
        }
        if scanner.take("!") {
            switch scanner.next() {
            case "s": value = .string(try describe(value))
            case "r", "a": value = .string(try representation(value))
            default: throw .value("a conversion in a format is one of !s, !r and !a")
            }
        }
        guard scanner.take(":") else { return try describe(value) }
        let spec = try FormatSpec(parsing: try format(scanner.rest, given, &automatic, level: level + 1))
        return try format(value, spec)
    }

    private func format(_ value: Value, _ spec: FormatSpec) throws(Fault) -> String {
        if let text = value.text {
            if let type = spec.type, type != "s" { throw .value("unknown format code '\(type)' for a string") }
            return try spec.padded(spec.cut(text), numeric: false, limit: budget.outputBytes)
        }
        let isFloatType = spec.type.map { "eEfFgG%".contains($0) } ?? false
        if let number = value.integer, !isFloatType {
            if case .bool(let flag) = value, spec.type == nil {
                return try spec.padded(flag ? "True" : "False", numeric: false, limit: budget.outputBytes)
            }
            return try spec.formatted(number, limit: budget.outputBytes)
        }
        if let number = value.number { return try spec.formatted(number, limit: budget.outputBytes) }
        if spec.isPlain { return try describe(value) }
        throw .value("unsupported format string passed to \(value.typeName).__format__")
    }
}

/// Reads a format text from its start.
private struct Scanner {
    private let scalars: [UnicodeScalar]
    private var at = 0

    init(_ text: String) { scalars = Array(text.unicodeScalars) }

    var peek: UnicodeScalar? { at < scalars.count ? scalars[at] : nil }
    var rest: String { Text.make(scalars[at...]) }

    mutating func next() -> UnicodeScalar? {
        defer { if at < scalars.count { at += 1 } }
        return peek
    }

    mutating func take(_ scalar: UnicodeScalar) -> Bool {
        guard peek == scalar else { return false }
        at += 1
        return true
    }

    mutating func integer(limit: Int) throws(Fault) -> Int? {
        var value: Int?
        while let digit = peek, (0x30...0x39).contains(digit.value) {
            value = (value ?? 0) * 10 + Int(digit.value - 0x30)
            if value ?? 0 > limit { throw Fault(.budget, "the width or precision of a format is beyond \(limit)") }
            at += 1
        }
        return value
    }

    mutating func text(until end: UnicodeScalar) -> String {
        let start = at
        while let scalar = peek, scalar != end { _ = scalar; at += 1 }
        let text = Text.make(scalars[start..<at])
        if at < scalars.count { at += 1 }
        return text
    }

    mutating func text(untilAny ends: String) -> String {
        let start = at
        while let scalar = peek, !ends.unicodeScalars.contains(scalar) { at += 1 }
        return Text.make(scalars[start..<at])
    }

    /// The text up to the brace that closes the one just read.
    mutating func braced() throws(Fault) -> String {
        let start = at
        var level = 1
        while let scalar = next() {
            if scalar == "{" { level += 1 }
            if scalar == "}" { level -= 1 }
            if level == 0 { return Text.make(scalars[start..<(at - 1)]) }
        }
        throw .value("Single '{' encountered in format string")
    }
}
