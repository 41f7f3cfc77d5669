/// A piece of a template's text.
struct Token {
    enum Kind: Equatable {
        case data(String)
        case variableBegin, variableEnd, blockBegin, blockEnd
        case name(String)
        case string(String)
        case integer(Int)
        case float(Double)
        case symbol(String)
        case end
    }
    let kind: Kind
    /// Byte offset in the normalised source.
    let offset: Int

    /// The token as it is named in messages.
    var description: String {
        switch kind {
        case .data: return "template text"
        case .variableBegin: return "'{{'"
        case .variableEnd: return "'}}'"
        case .blockBegin: return "'{%'"
        case .blockEnd: return "'%}'"
        case .name(let name): return "'\(name)'"
        case .string: return "a string"
        case .integer(let value): return "\(value)"
        case .float(let value): return "\(value)"
        case .symbol(let text): return "'\(text)'"
        case .end: return "the end of the template"
        }
    }
}

/// Cuts a template into tokens, with `trim_blocks` and `lstrip_blocks` on and one final newline dropped: the settings
/// with which chat templates are written. Whitespace rules: Jinja documentation, "Whitespace Control".
struct Lexer {
    private let source: [UInt8]
    private(set) var position = 0
    private var tokens: [Token] = []
    /// True where only the beginning of a line precedes the position in the present run of text.
    private var atLineStart = true

    /// Newlines become "\n", and the last one goes.
    static func normalise(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        var afterReturn = false
        for byte in text.utf8 {
            if byte == 0x0A, afterReturn {
                afterReturn = false
                continue
            }
            afterReturn = byte == 0x0D
            bytes.append(byte == 0x0D ? 0x0A : byte)
        }
        if bytes.last == 0x0A { bytes.removeLast() }
        return bytes
    }

    init(_ source: [UInt8]) { self.source = source }

    /// All tokens, `.end` last.
    mutating func tokenize() throws(Fault) -> [Token] {
        while position < source.count { try text() }
        tokens.append(Token(kind: .end, offset: source.count))
        return tokens
    }

    // MARK: Text between tags

    private mutating func text() throws(Fault) {
        let start = position
        guard let open = nextTag(from: start) else {
            append(text: start..<source.count, at: start)
            position = source.count
            return
        }
        let sign = byte(open + 2)
        let signed = sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+")
        let isVariable = source[open + 1] == UInt8(ascii: "{")
        append(text: trimmed(start..<open, sign: sign, isVariable: isVariable), at: start)
        position = open + (signed ? 3 : 2)
        switch source[open + 1] {
        case UInt8(ascii: "#"): try comment(from: open)
        case UInt8(ascii: "{"):
            tokens.append(Token(kind: .variableBegin, offset: open))
            try tag(from: open, isVariable: true)
        default:
            if try raw(from: open) { return }
            tokens.append(Token(kind: .blockBegin, offset: open))
            try tag(from: open, isVariable: false)
        }
    }

    private func byte(_ at: Int) -> UInt8? { at < source.count ? source[at] : nil }

    private func nextTag(from start: Int) -> Int? {
        var at = start
        while at + 1 < source.count {
            if source[at] == UInt8(ascii: "{") {
                let next = source[at + 1]
                if next == UInt8(ascii: "{") || next == UInt8(ascii: "%") || next == UInt8(ascii: "#") { return at }
            }
            at += 1
        }
        return nil
    }

    /// The text before a tag less what `-`, or the tag's standing first on its line, takes away.
    private func trimmed(_ range: Range<Int>, sign: UInt8?, isVariable: Bool) -> Range<Int> {
        if sign == UInt8(ascii: "-") {
            let text = String(decoding: source[range], as: UTF8.self)
            return range.lowerBound..<(range.lowerBound + Text.strip(text, left: false).utf8.count)
        }
        if sign == UInt8(ascii: "+") || isVariable { return range }
        let lineStart = source[range].lastIndex(of: 0x0A).map { $0 + 1 }
        guard lineStart != nil || atLineStart else { return range }
        let from = lineStart ?? range.lowerBound
        let isBlank = String(decoding: source[from..<range.upperBound], as: UTF8.self)
            .unicodeScalars.allSatisfy(Text.isSpace)
        return isBlank ? range.lowerBound..<from : range
    }

    private mutating func append(text range: Range<Int>, at offset: Int) {
        guard !range.isEmpty else { return }
        tokens.append(Token(kind: .data(String(decoding: source[range], as: UTF8.self)), offset: offset))
    }

    /// Moves past a tag's end at `position` plus whatever whitespace it swallows.
    private mutating func finish(tagEnd: Int, sign: UInt8?, trimsNewline: Bool) {
        position = tagEnd
        if sign == UInt8(ascii: "-") {
            let rest = String(decoding: source[tagEnd...].prefix(while: { $0 != UInt8(ascii: "{") }), as: UTF8.self)
            position += rest.utf8.count - Text.strip(rest, right: false).utf8.count
        } else if trimsNewline, sign != UInt8(ascii: "+"), byte(position) == 0x0A {
            position += 1
        }
        atLineStart = position > 0 && source[position - 1] == 0x0A
    }

    private mutating func comment(from open: Int) throws(Fault) {
        var at = position
        while at + 1 < source.count {
            if source[at] == UInt8(ascii: "#"), source[at + 1] == UInt8(ascii: "}") {
                let sign = at > position ? source[at - 1] : nil
                return finish(tagEnd: at + 2, sign: sign, trimsNewline: true)
            }
            at += 1
        }
        position = open
        throw Fault(.syntax, "the comment that starts here is not closed with '#}'")
    }

    /// `{% raw %} … {% endraw %}`; false if the tag at hand is another one.
    private mutating func raw(from open: Int) throws(Fault) -> Bool {
        guard let (end, sign) = word("raw", from: position) else { return false }
        finish(tagEnd: end, sign: sign, trimsNewline: false)
        let start = position
        var at = start
        while at + 1 < source.count {
            defer { at += 1 }
            guard source[at] == UInt8(ascii: "{"), source[at + 1] == UInt8(ascii: "%") else { continue }
            var opening = byte(at + 2)
            if opening != UInt8(ascii: "-"), opening != UInt8(ascii: "+") { opening = nil }
            guard let (close, closing) = word("endraw", from: at + (opening == nil ? 2 : 3)) else { continue }
            append(text: trimmed(start..<at, sign: opening, isVariable: false), at: start)
            finish(tagEnd: close, sign: closing, trimsNewline: true)
            return true
        }
        position = open
        throw Fault(.syntax, "the raw block that starts here is not closed with '{% endraw %}'")
    }

    /// Matches `word %}`: where the tag ends, and the sign before its end.
    private func word(_ word: String, from start: Int) -> (end: Int, sign: UInt8?)? {
        var at = start
        func skipSpace() { while let next = byte(at), Self.isSpace(next) { at += 1 } }
        skipSpace()
        guard source[at...].starts(with: word.utf8) else { return nil }
        at += word.utf8.count
        skipSpace()
        var sign: UInt8?
        if let next = byte(at), next == UInt8(ascii: "-") || next == UInt8(ascii: "+") {
            sign = next
            at += 1
        }
        return byte(at) == UInt8(ascii: "%") && byte(at + 1) == UInt8(ascii: "}") ? (at + 2, sign) : nil
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

    // MARK: Inside a tag

    private mutating func tag(from open: Int, isVariable: Bool) throws(Fault) {
        let close = isVariable ? UInt8(ascii: "}") : UInt8(ascii: "%")
        var brackets: [UInt8] = []
        while let next = byte(position) {
            if Self.isSpace(next) {
                position += 1
                continue
            }
            if brackets.isEmpty, let end = tagEnd(close) {
                tokens.append(Token(kind: isVariable ? .variableEnd : .blockEnd, offset: position))
                finish(tagEnd: end.end, sign: end.sign, trimsNewline: !isVariable)
                return
            }
            let start = position
            let kind = try token(next)
            tokens.append(Token(kind: kind, offset: start))
            guard case .symbol = kind else { continue }
            switch next {
            case UInt8(ascii: "("): brackets.append(UInt8(ascii: ")"))
            case UInt8(ascii: "["): brackets.append(UInt8(ascii: "]"))
            case UInt8(ascii: "{"): brackets.append(UInt8(ascii: "}"))
            case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"):
                if brackets.popLast() != next {
                    position = start
                    throw Fault(.syntax, "'\(Character(UnicodeScalar(next)))' closes nothing that is open")
                }
            default: break
            }
        }
        position = open
        throw Fault(.syntax, "the tag that starts here is not closed with '\(isVariable ? "}}" : "%}")'")
    }

    private func tagEnd(_ close: UInt8) -> (end: Int, sign: UInt8?)? {
        var at = position
        var sign: UInt8?
        if let next = byte(at), next == UInt8(ascii: "-") || (next == UInt8(ascii: "+") && close == UInt8(ascii: "%")) {
            sign = next
            at += 1
        }
        return byte(at) == close && byte(at + 1) == UInt8(ascii: "}") ? (at + 2, sign) : nil
    }

    private static let pairs: Set<String> = ["//", "**", "==", "!=", ">=", "<="]

    private mutating func token(_ first: UInt8) throws(Fault) -> Token.Kind {
        switch first {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        case UInt8(ascii: "'"), UInt8(ascii: "\""): return .string(try string(first))
        case _ where Self.isNameByte(first):
            let start = position
            while let next = byte(position), Self.isNameByte(next) { position += 1 }
            return .name(String(decoding: source[start..<position], as: UTF8.self))
        default:
            if let second = byte(position + 1) {
                let pair = String(decoding: [first, second], as: UTF8.self)
                if Self.pairs.contains(pair) {
                    position += 2
                    return .symbol(pair)
                }
            }
            guard "+-/*%~[](){}><=.:|,;".utf8.contains(first) else {
                throw Fault(.syntax, "unexpected character '\(Character(UnicodeScalar(first)))'")
            }
            position += 1
            return .symbol(String(UnicodeScalar(first)))
        }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "_") || byte >= 0x80 || (byte | 0x20) &- UInt8(ascii: "a") < 26
            || byte &- UInt8(ascii: "0") < 10
    }

    /// Python's integer and float literals, underscores between digits allowed.
    private mutating func number() throws(Fault) -> Token.Kind {
        let start = position
        func isDigit(_ at: Int) -> Bool { byte(at).map { $0 &- UInt8(ascii: "0") < 10 } ?? false }
        while let next = byte(position), Self.isNameByte(next) { position += 1 }
        let whole = String(decoding: source[start..<position], as: UTF8.self).filter { $0 != "_" }.lowercased()
        let afterDot = start > 0 && source[start - 1] == UInt8(ascii: ".")
        if !afterDot, byte(position) == UInt8(ascii: "."), isDigit(position + 1) {
            position += 1
            while let next = byte(position), Self.isNameByte(next) { position += 1 }
        }
        if byte(position - 1).map({ $0 | 0x20 == UInt8(ascii: "e") }) ?? false, !whole.hasPrefix("0x"),
            let next = byte(position), next == UInt8(ascii: "+") || next == UInt8(ascii: "-"), isDigit(position + 1)
        {
            position += 1
            while isDigit(position) { position += 1 }
        }
        let text = String(decoding: source[start..<position], as: UTF8.self).filter { $0 != "_" }.lowercased()
        for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] where text.hasPrefix(prefix) {
            if let value = Int(text.dropFirst(2), radix: radix) { return .integer(value) }
        }
        if text.utf8.allSatisfy({ $0 &- UInt8(ascii: "0") < 10 }) {
            if let value = Int(text) { return .integer(value) }
            position = start
            throw Fault(.syntax, "the number \(text.prefix(40)) does not fit in 64 bits")
        }
        if text.first?.isNumber ?? false, text.utf8.last.map({ $0 &- UInt8(ascii: "0") < 10 }) ?? false,
            !text.contains("x"), let value = Double(text)
        {
            return .float(value)
        }
        position = start
        throw Fault(.syntax, "'\(text.prefix(40))' is not a number")
    }

    /// A quoted string with Python's escapes.
    private mutating func string(_ quote: UInt8) throws(Fault) -> String {
        let start = position
        position += 1
        var out: [UInt8] = []
        while let next = byte(position) {
            position += 1
            if next == quote { return String(decoding: out, as: UTF8.self) }
            guard next == UInt8(ascii: "\\"), let escape = byte(position) else {
                out.append(next)
                continue
            }
            position += 1
            switch escape {
            case 0x0A: break
            case UInt8(ascii: "n"): out.append(0x0A)
            case UInt8(ascii: "t"): out.append(0x09)
            case UInt8(ascii: "r"): out.append(0x0D)
            case UInt8(ascii: "a"): out.append(0x07)
            case UInt8(ascii: "b"): out.append(0x08)
            case UInt8(ascii: "f"): out.append(0x0C)
            case UInt8(ascii: "v"): out.append(0x0B)
            case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): out.append(escape)
            case UInt8(ascii: "x"): try appendScalar(digits: 2, radix: 16, to: &out)
            case UInt8(ascii: "u"): try appendScalar(digits: 4, radix: 16, to: &out)
            case UInt8(ascii: "U"): try appendScalar(digits: 8, radix: 16, to: &out)
            case UInt8(ascii: "0")...UInt8(ascii: "7"):
                position -= 1
                var count = 0
                while count < 3, let digit = byte(position + count), (0x30...0x37).contains(digit) { count += 1 }
                try appendScalar(digits: count, radix: 8, to: &out)
            case UInt8(ascii: "N"): throw Fault(.unsupported, "\\N{…} names of characters are not supported")
            default: out += [UInt8(ascii: "\\"), escape]
            }
        }
        position = start
        throw Fault(.syntax, "the string that starts here is not closed")
    }

    private mutating func appendScalar(digits: Int, radix: Int, to out: inout [UInt8]) throws(Fault) {
        let end = position + digits
        guard end <= source.count,
            let value = UInt32(String(decoding: source[position..<end], as: UTF8.self), radix: radix),
            let scalar = UnicodeScalar(value)
        else { throw Fault(.syntax, "the escape needs \(digits) digits that name a character") }
        position = end
        out += Array(String(scalar).utf8)
    }
}
