/// Filters that give a text.
extension Interpreter {
    func filter(text name: String, _ value: Value, _ given: Given) throws(Fault) -> Value {
        let text = try describe(value)
        try spend(bytes: text.utf8.count)
        var isMarkup = false
        if case .markup = value { isMarkup = true }
        if ["upper", "lower", "capitalize", "title", "wordcount", "striptags", "urlencode"].contains(name) {
            try given.check(name)
            try spend(onCaseOf: text)
        }
        func same(_ result: String) -> Value { isMarkup ? .markup(result) : .string(result) }
        switch name {
        case "upper": return same(Text.upper(text))
        case "lower": return same(Text.lower(text))
        case "capitalize": return same(Text.capitalize(text))
        case "title": return .string(Self.titled(text))
        case "trim":
            try given.check(name, "chars")
            guard let chars = given.value("chars", 0)?.text else { return same(Text.strip(text)) }
            let set = Set(chars.unicodeScalars)
            return same(Text.strip(text, where: set.contains))
        case "center":
            try given.check(name, "width")
            return try call(method: "center", of: same(text), Given(positional: [given.value("width", 0) ?? .int(80)]))
        case "replace":
            try given.check(name, "old", "new", "count")
            guard let old = given.value("old", 0), let new = given.value("new", 1) else {
                throw .value("replace() needs what to replace and by what")
            }
            return try replace(
                text, try describe(old), try describe(new), limit: given.value("count", 2)?.integer ?? -1)
        case "format":
            if !given.positional.isEmpty, !given.keywords.isEmpty {
                throw .value("can't handle positional and keyword arguments at the same time")
            }
            let named = try Mapping(given.keywords.map { (key: .string($0.name), value: $0.value) })
            let operand: Value = given.keywords.isEmpty ? try .makeTuple(given.positional) : .dict(named)
            return same(try format(percent: text, operand))
        case "truncate": return same(try truncate(text, given))
        case "indent": return same(try indent(text, given))
        case "wordwrap": return .string(try wrap(text, given))
        case "wordcount": return .int(Self.words(text))
        case "striptags": return .markup(Self.withoutTags(text))
        default: return .string(try urlEncoded(value))
        }
    }

    /// Each word begins with a capital; words begin after spaces, hyphens and opening brackets.
    private static func titled(_ text: String) -> String {
        var out = ""
        var atStart = true
        for scalar in text.unicodeScalars {
            let separates = Text.isSpace(scalar) || "-({[<".unicodeScalars.contains(scalar)
            out +=
                separates
                ? String(scalar) : atStart ? scalar.properties.uppercaseMapping : scalar.properties.lowercaseMapping
            atStart = separates
        }
        return out
    }

    private static func words(_ text: String) -> Int {
        var count = 0
        var inWord = false
        for scalar in text.unicodeScalars {
            let isWord = scalar == "_" || Text.isAlphabetic(scalar) || Text.isNumeric(scalar)
            if isWord, !inWord { count += 1 }
            inWord = isWord
        }
        return count
    }

    /// markupsafe's `striptags`: comments and tags go, whitespace runs become one space, entities are resolved.
    private static func withoutTags(_ text: String) -> String {
        func cut(_ text: String, _ open: String, _ close: String) -> String {
            var out = ""
            var rest = Text.split(text, open, limit: 1)
            while rest.count == 2 {
                let after = Text.split(rest[1], close, limit: 1)
                guard after.count == 2 else { break }
                out += rest[0]
                rest = Text.split(after[1], open, limit: 1)
            }
            return out + rest.joined(separator: open)
        }
        let plain = Text.splitWords(cut(cut(text, "<!--", "-->"), "<", ">"), limit: -1).joined(separator: " ")
        let entities = [
            ("&lt;", "<"), ("&gt;", ">"), ("&#34;", "\""), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&"),
        ]
        return entities.reduce(plain) { Text.replace($0, $1.0, $1.1, limit: -1, maximum: Int.max) ?? $0 }
    }

    private func truncate(_ text: String, _ given: Given) throws(Fault) -> String {
        try given.check("truncate", "length", "killwords", "end", "leeway")
        let length = given.value("length", 0)?.integer ?? 255
        let end = given.value("end", 2)?.text ?? "..."
        let leeway = given.value("leeway", 3)?.integer ?? 5
        let cut = length - end.unicodeScalars.count
        if cut < 0 { throw .value("expected length >= \(end.unicodeScalars.count), got \(length)") }
        if leeway < 0 { throw .value("expected leeway >= 0, got \(leeway)") }
        let scalars = text.unicodeScalars
        if scalars.count - Swift.min(leeway, scalars.count) <= length { return text }
        let head = Text.make(scalars.prefix(cut))
        if try isTrue(given.value("killwords", 1) ?? .bool(false)) { return head + end }
        return Text.split(head, " ", limit: 1, fromRight: true)[0] + end
    }

    private func indent(_ text: String, _ given: Given) throws(Fault) -> String {
        try given.check("indent", "width", "first", "blank")
        let width = given.value("width", 0)
        if let count = width?.integer { try spend(bytes: Swift.max(0, count)) }
        let indent = width?.text ?? String(repeating: " ", count: Swift.max(0, width?.integer ?? 4))
        let first = try isTrue(given.value("first", 1) ?? .bool(false))
        let blank = try isTrue(given.value("blank", 2) ?? .bool(false))
        var out = ""
        for (at, line) in Text.splitLines(text + "\n").enumerated() {
            if at > 0 { out += "\n" }
            if at == 0 ? first : (blank || !line.isEmpty) { out += indent }
            out += line
            if out.utf8.count > budget.outputBytes { try spend(bytes: out.utf8.count) }
        }
        try spend(bytes: out.utf8.count)
        return out
    }

    /// Percent-encoding of everything but letters, digits and `_.-~` (and `/` in a plain text).
    private func urlEncoded(_ value: Value) throws(Fault) -> String {
        func encoded(_ value: Value, isQuery: Bool) throws(Fault) -> String {
            let text = try describe(value)
            try spend(bytes: text.utf8.count * 3)
            var out: [UInt8] = []
            let hex = Array("0123456789ABCDEF".utf8)
            for byte in text.utf8 {
                let isPlain = (byte | 0x20) &- 0x61 < 26 || byte &- 0x30 < 10 || "_.-~".utf8.contains(byte)
                if isPlain || (byte == 0x2F && !isQuery) {
                    out.append(byte)
                } else if byte == 0x20, isQuery {
                    out.append(UInt8(ascii: "+"))
                } else {
                    out += [UInt8(ascii: "%"), hex[Int(byte >> 4)], hex[Int(byte & 15)]]
                }
            }
            return String(decoding: out, as: UTF8.self)
        }
        var pairs: [Value]
        switch value {
        case .dict(let mapping): pairs = try mapping.items()
        case .list, .tuple, .view, .iterator: pairs = try elements(of: value)
        default: return try encoded(value, isQuery: false)
        }
        var parts: [String] = []
        for pair in pairs {
            let members = try elements(of: pair)
            guard members.count == 2 else { throw .value("urlencode needs pairs") }
            parts.append(try encoded(members[0], isQuery: true) + "=" + encoded(members[1], isQuery: true))
        }
        return parts.joined(separator: "&")
    }

    // MARK: Word wrap

    /// Each line is filled with as many of its words as fit; words that are too long are broken.
    private func wrap(_ text: String, _ given: Given) throws(Fault) -> String {
        try given.check("wordwrap", "width", "break_long_words", "wrapstring", "break_on_hyphens")
        let width = given.value("width", 0)?.integer ?? 79
        if width <= 0 { throw .value("invalid width \(width) (must be > 0)") }
        let breaks = try isTrue(given.value("break_long_words", 1) ?? .bool(true))
        let hyphens = try isTrue(given.value("break_on_hyphens", 3) ?? .bool(true))
        let joint = given.value("wrapstring", 2)?.text ?? "\n"
        var lines: [String] = []
        for line in Text.splitLines(text) {
            try spend(1 + line.utf8.count >> 3)
            let wrapped = Self.wrapped(Self.chunks(line, hyphens: hyphens), width: width, breaks: breaks)
            lines.append(wrapped.joined(separator: joint))
        }
        try spend(bytes: joint.utf8.count &* lines.count)
        return lines.joined(separator: joint)
    }

    /// Words and the spaces between them; a hyphen between letters ends a word.
    private static func chunks(_ line: String, hyphens: Bool) -> [[UnicodeScalar]] {
        var chunks: [[UnicodeScalar]] = []
        let scalars = Array(line.unicodeScalars)
        var chunk: [UnicodeScalar] = []
        for (at, scalar) in scalars.enumerated() {
            if let last = chunk.last, Text.isSpace(last) != Text.isSpace(scalar) {
                chunks.append(chunk)
                chunk = []
            }
            chunk.append(scalar)
            guard hyphens, scalar == "-", at > 1, at + 2 < scalars.count else { continue }
            let before = Text.isAlphabetic(scalars[at - 1]) && Text.isAlphabetic(scalars[at - 2])
            if before, Text.isAlphabetic(scalars[at + 1]), Text.isAlphabetic(scalars[at + 2]) {
                chunks.append(chunk)
                chunk = []
            }
        }
        if !chunk.isEmpty { chunks.append(chunk) }
        return chunks
    }

    private static func wrapped(_ chunks: [[UnicodeScalar]], width: Int, breaks: Bool) -> [String] {
        var lines: [String] = []
        var line: [[UnicodeScalar]] = []
        var length = 0
        var rest = chunks[...]
        func isBlank(_ chunk: [UnicodeScalar]) -> Bool { chunk.allSatisfy(Text.isSpace) }
        func finish() {
            if let last = line.last, isBlank(last) { line.removeLast() }
            if !line.isEmpty { lines.append(Text.make(line.joined())) }
            line = []
            length = 0
        }
        while let chunk = rest.popFirst() {
            if line.isEmpty, !lines.isEmpty, isBlank(chunk) { continue }
            if length + chunk.count <= width {
                line.append(chunk)
                length += chunk.count
            } else if chunk.count > width, breaks || line.isEmpty {
                let room = breaks ? width - length : chunk.count
                if room > 0 { line.append(Array(chunk.prefix(room))) }
                finish()
                if room < chunk.count { rest.insert(Array(chunk.dropFirst(room)), at: rest.startIndex) }
            } else {
                finish()
                rest.insert(chunk, at: rest.startIndex)
            }
        }
        finish()
        return lines
    }
}
