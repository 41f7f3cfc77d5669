/// The methods of Python's `str`.
extension Interpreter {
    func call(textMethod name: String, _ text: String, _ given: Given) throws(Fault) -> Value {
        try spend(bytes: text.utf8.count)
        switch name {
        case "strip", "lstrip", "rstrip":
            try given.check(name, "chars")
            let left = name != "rstrip"
            let right = name != "lstrip"
            guard let drops = try optional(given, "chars", 0) else {
                return .string(Text.strip(text, left: left, right: right))
            }
            let set = Set(drops.unicodeScalars)
            return .string(Text.strip(text, left: left, right: right, where: set.contains))
        case "startswith", "endswith": return .bool(try edge(name, text, given))
        case "split", "rsplit":
            try given.check(name, "sep", "maxsplit")
            let limit = given.value("maxsplit", 1)?.integer ?? -1
            let parts: [String]
            if let separator = try optional(given, "sep", 0) {
                if separator.isEmpty { throw .value("empty separator") }
                parts = Text.split(text, separator, limit: limit, fromRight: name == "rsplit")
            } else {
                parts = Text.splitWords(text, limit: limit, fromRight: name == "rsplit")
            }
            return try list(parts)
        case "splitlines":
            try given.check(name, "keepends")
            return try list(Text.splitLines(text, keepsEnds: try isTrue(given.value("keepends", 0) ?? .bool(false))))
        case "partition", "rpartition":
            let separator = try required(given, name, 0)
            if separator.isEmpty { throw .value("empty separator") }
            let parts = Text.split(text, separator, limit: 1, fromRight: name == "rpartition")
            let three =
                parts.count == 2
                ? [parts[0], separator, parts[1]] : name == "partition" ? [text, "", ""] : ["", "", text]
            return try .makeTuple(three.map(Value.string))
        case "replace":
            try given.check(name, "old", "new", "count")
            return try replace(
                text, try required(given, name, 0), try required(given, name, 1),
                limit: given.value("count", 2)?.integer ?? -1)
        case "join":
            var out = ""
            for (at, element) in try elements(of: try given.one(name)).enumerated() {
                guard let piece = element.text else {
                    throw .value("sequence item \(at): expected str instance, \(element.typeName) found")
                }
                if at > 0 { out += text }
                out += piece
                try spend(bytes: out.utf8.count & 0xFFFF)
                if out.utf8.count > budget.outputBytes { try spend(bytes: out.utf8.count) }
            }
            return .string(out)
        case "format": return .string(try format(text, given))
        case "find", "rfind", "index", "rindex", "count": return try search(name, text, given)
        case "removeprefix":
            let prefix = try required(given, name, 0)
            return .string(Text.hasPrefix(text, prefix) ? Text.string(Array(text.utf8)[prefix.utf8.count...]) : text)
        case "removesuffix":
            let suffix = try required(given, name, 0)
            guard !suffix.isEmpty, Text.hasSuffix(text, suffix) else { return .string(text) }
            return .string(Text.string(Array(text.utf8)[..<(text.utf8.count - suffix.utf8.count)]))
        case "center", "ljust", "rjust", "zfill": return .string(try pad(name, text, given))
        case "expandtabs": return .string(try expandTabs(text, given))
        case "encode", "format_map", "maketrans", "translate":
            throw Fault(.unsupported, "str.\(name) is not offered to templates")
        default:
            try given.check(name)
            try spend(onCaseOf: text)
            return try plain(name, text)
        }
    }

    /// Methods without arguments.
    private func plain(_ name: String, _ text: String) throws(Fault) -> Value {
        let scalars = text.unicodeScalars
        func all(_ holds: (UnicodeScalar) -> Bool) -> Value { .bool(!scalars.isEmpty && scalars.allSatisfy(holds)) }
        switch name {
        case "upper": return .string(Text.upper(text))
        case "lower": return .string(Text.lower(text))
        case "casefold": return .string(Text.lower(text).replacing("ß", with: "ss"))
        case "title": return .string(Text.title(text))
        case "capitalize": return .string(Text.capitalize(text))
        case "swapcase": return .string(Text.swapCase(text))
        case "isalpha": return all(Text.isAlphabetic)
        case "isdecimal": return all(Text.isDecimal)
        case "isdigit": return all(Text.isDigit)
        case "isnumeric": return all(Text.isNumeric)
        case "isalnum": return all { Text.isAlphabetic($0) || Text.isNumeric($0) || Text.isDigit($0) }
        case "isspace": return all(Text.isSpace)
        case "isascii": return .bool(text.utf8.allSatisfy { $0 < 0x80 })
        case "isprintable": return .bool(scalars.allSatisfy(Text.isPrintable))
        case "isupper": return .bool(Text.isCase(text, upper: true))
        case "islower": return .bool(Text.isCase(text, upper: false))
        case "istitle": return .bool(Text.isTitle(text))
        case "isidentifier":
            guard let first = scalars.first else { return .bool(false) }
            let starts = first == "_" || first.properties.isXIDStart
            return .bool(starts && scalars.dropFirst().allSatisfy(\.properties.isXIDContinue))
        default: throw .value("'str' object has no method '\(name)'")
        }
    }

    private func list(_ parts: [String]) throws(Fault) -> Value {
        try spend(parts.count)
        return try .makeList(parts.map(Value.string))
    }

    /// A text argument that may be left out or None.
    private func optional(_ given: Given, _ name: String, _ position: Int) throws(Fault) -> String? {
        guard let value = given.value(name, position) else { return nil }
        switch value {
        case .none: return nil
        case .string(let text), .markup(let text): return text
        case .undefined(let reason): throw reason.fault
        default: throw .value("\(name) must be str or None, not \(value.typeName)")
        }
    }

    private func required(_ given: Given, _ method: String, _ position: Int) throws(Fault) -> String {
        guard position < given.positional.count else {
            throw .value("\(method)() takes at least \(position + 1) argument(s), \(given.positional.count) given")
        }
        guard let text = given.positional[position].text else {
            if case .undefined(let reason) = given.positional[position] { throw reason.fault }
            throw .value("\(method)() argument \(position + 1) must be str, not \(given.positional[position].typeName)")
        }
        return text
    }

    func replace(_ text: String, _ old: String, _ new: String, limit: Int) throws(Fault) -> Value {
        guard let result = Text.replace(text, old, new, limit: limit, maximum: budget.outputBytes) else {
            throw Fault(.budget, "the template makes a text of more than \(budget.outputBytes) bytes")
        }
        try spend(bytes: result.utf8.count)
        return .string(result)
    }

    private func edge(_ name: String, _ text: String, _ given: Given) throws(Fault) -> Bool {
        guard let first = given.positional.first else { throw .value("\(name)() takes at least 1 argument (0 given)") }
        var candidates: [Value] = [first]
        if case .tuple(let elements) = first { candidates = elements.values }
        var part = text
        if given.positional.count > 1 {
            let scalars = Array(text.unicodeScalars)
            part = Text.make(scalars[clamp(given.value("start", 1), given.value("end", 2), count: scalars.count)])
        }
        for candidate in candidates {
            guard let affix = candidate.text else {
                if case .undefined(let reason) = candidate { throw reason.fault }
                throw .value("\(name) first arg must be str or a tuple of str, not \(candidate.typeName)")
            }
            if name == "startswith" ? Text.hasPrefix(part, affix) : Text.hasSuffix(part, affix) { return true }
        }
        return false
    }

    /// Searches count characters; bytes are searched and the place converted.
    private func search(_ name: String, _ text: String, _ given: Given) throws(Fault) -> Value {
        try given.check(name, "sub", "start", "end")
        let needle = Array(try required(given, name, 0).utf8)
        let scalars = Array(text.unicodeScalars)
        let range = clamp(given.value("start", 1), given.value("end", 2), count: scalars.count)
        let bytes = Array(Text.make(scalars[range]).utf8)
        if name == "count" {
            if needle.isEmpty { return .int(range.count + 1) }
            var count = 0
            var at = 0
            while let found = Text.find(needle, in: bytes, from: at) {
                count += 1
                at = found + needle.count
            }
            return .int(count)
        }
        let found =
            name.hasPrefix("r")
            ? Text.findLast(needle, in: bytes) : Text.find(needle, in: bytes)
        guard let found else {
            if name.hasSuffix("find") { return .int(-1) }
            throw .value("substring not found")
        }
        return .int(range.lowerBound + Text.string(bytes[..<found]).unicodeScalars.count)
    }

    private func pad(_ name: String, _ text: String, _ given: Given) throws(Fault) -> String {
        guard let width = given.value("width", 0)?.integer else { throw .value("\(name)() needs an integer width") }
        let fill = try optional(given, "fillchar", 1) ?? (name == "zfill" ? "0" : " ")
        guard fill.unicodeScalars.count == 1 else {
            throw .value("the fill character must be exactly one character long")
        }
        let missing = width - Swift.min(width, text.unicodeScalars.count)
        if missing <= 0 { return text }
        try spend(bytes: missing > budget.outputBytes ? missing : missing * fill.utf8.count)
        func run(_ count: Int) -> String { String(repeating: fill, count: count) }
        switch name {
        case "ljust": return text + run(missing)
        case "rjust": return run(missing) + text
        case "zfill":
            let signed = text.hasPrefix("-") || text.hasPrefix("+")
            return signed ? String(text.prefix(1)) + run(missing) + text.dropFirst() : run(missing) + text
        default:
            // CPython puts the odd space on the left when both the width and the gap are odd.
            let left = missing / 2 + (missing & width & 1)
            return run(left) + text + run(missing - left)
        }
    }

    private func expandTabs(_ text: String, _ given: Given) throws(Fault) -> String {
        let size = Swift.max(0, Swift.min(given.value("tabsize", 0)?.integer ?? 8, 1 << 12))
        var out = ""
        var column = 0
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\t":
                let spaces = size == 0 ? 0 : size - column % size
                out += String(repeating: " ", count: spaces)
                column += spaces
                if out.utf8.count > budget.outputBytes { try spend(bytes: out.utf8.count) }
            case "\n", "\r":
                out.unicodeScalars.append(scalar)
                column = 0
            default:
                out.unicodeScalars.append(scalar)
                column += 1
            }
        }
        return out
    }
}
