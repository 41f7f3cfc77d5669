/// Patterns as published are written for Oniguruma (tokenizer.json) or Rust's regex (tiktoken); these are the places
/// where PCRE2 reads the same text otherwise.
///
/// - `\s` with Unicode properties also matches U+180E there; it is spelled out as the White_Space property.
/// - `\w` knows no marks there; it is spelled out as letters, marks, numbers and connectors.
/// - `[a&&[^b]]`, an intersection of classes, is unknown there; it becomes a look-ahead.
/// - `\h` is a hexadecimal digit in Oniguruma and horizontal space there.
enum PatternSyntax {
    private static let space = "\\t-\\r \\x{85}\\p{Z}"
    private static let word = "\\p{L}\\p{M}\\p{N}\\p{Pc}"

    static func translated(_ source: String) -> String {
        var reader = Reader(Array(source.unicodeScalars))
        var out = ""
        while let next = reader.next() {
            switch next {
            case "\\": out += escape(reader.next(), insideClass: false)
            case "[": out += classText(&reader, depth: 0)
            default: out.unicodeScalars.append(next)
            }
        }
        return out
    }

    private struct Reader {
        let scalars: [Unicode.Scalar]
        var at = 0
        init(_ scalars: [Unicode.Scalar]) { self.scalars = scalars }
        func peek(_ ahead: Int = 0) -> Unicode.Scalar? { at + ahead < scalars.count ? scalars[at + ahead] : nil }
        mutating func next() -> Unicode.Scalar? {
            guard at < scalars.count else { return nil }
            at += 1
            return scalars[at - 1]
        }
    }

    private static func escape(_ letter: Unicode.Scalar?, insideClass: Bool) -> String {
        switch letter {
        case nil: "\\"
        case "s": insideClass ? space : "[\(space)]"
        case "S": insideClass ? "\\S" : "[^\(space)]"
        case "w": insideClass ? word : "[\(word)]"
        case "W": insideClass ? "\\W" : "[^\(word)]"
        case "h": insideClass ? "0-9A-Fa-f" : "[0-9A-Fa-f]"
        case .some(let other): "\\\(other)"
        }
    }

    /// The class whose opening bracket has been read.
    private static func classText(_ reader: inout Reader, depth: Int) -> String {
        var body = ""
        var conditions: [String] = []
        let negated = reader.peek() == "^"
        if negated { reader.at += 1 }
        if reader.peek() == "]" {
            reader.at += 1
            body += "\\]"
        }
        while let next = reader.next(), next != "]" {
            if next == "\\" {
                body += escape(reader.next(), insideClass: true)
            } else if next == "&", reader.peek() == "&", reader.peek(1) == "[", depth < 8 {
                reader.at += 2
                conditions.append(classText(&reader, depth: depth + 1))
            } else if next == "[", reader.peek() == ":" {
                body += "["
            } else if next == "[" {
                body += "\\["
            } else {
                body.unicodeScalars.append(next)
            }
            if next == "[", reader.peek() == ":" {
                // A POSIX class, copied to its end.
                while let inner = reader.next() {
                    body.unicodeScalars.append(inner)
                    if inner == "]" { break }
                }
            }
        }
        let plain = "[\(negated ? "^" : "")\(body)]"
        if conditions.isEmpty { return plain }
        return "(?:" + conditions.map { "(?=\($0))" }.joined() + plain + ")"
    }
}
