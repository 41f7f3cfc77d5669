extension JSON {
    /// How a value is written.
    public struct WriteStyle: Sendable {
        /// Spaces a level; nil writes one line.
        public var indent: Int?
        public var itemSeparator = ","
        public var keySeparator = ":"
        public var sortsKeys = false
        /// Write everything outside ASCII as \u escapes.
        public var escapesNonASCII = false

        public init() {}
        /// One line, no spaces.
        public static let compact = WriteStyle()
        /// Two spaces a level, for files that people read.
        public static var pretty: WriteStyle {
            var style = WriteStyle()
            style.indent = 2
            style.keySeparator = ": "
            return style
        }
        /// As Python's `json.dumps(value, ensure_ascii=False)`.
        public static var python: WriteStyle {
            var style = WriteStyle()
            style.itemSeparator = ", "
            style.keySeparator = ": "
            return style
        }
    }

    public func text(_ style: WriteStyle = .compact) -> String {
        var out = ""
        write(style, level: 0, to: &out)
        return out
    }

    private func write(_ style: WriteStyle, level: Int, to out: inout String) {
        switch self {
        case .null: out += "null"
        case .bool(let value): out += value ? "true" : "false"
        case .int(let value): out += String(value)
        case .double(let value):
            out += value.isFinite ? "\(value)" : value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity"
        case .string(let value): JSON.writeString(value, style, to: &out)
        case .array(let elements):
            JSON.writeList(elements, "[", "]", style, level, &out) { element, out in
                element.write(style, level: level + 1, to: &out)
            }
        case .object(let members):
            let keys = style.sortsKeys ? members.keys.sorted() : members.keys
            JSON.writeList(keys, "{", "}", style, level, &out) { key, out in
                JSON.writeString(key, style, to: &out)
                out += style.keySeparator
                (members[key] ?? .null).write(style, level: level + 1, to: &out)
            }
        }
    }

    private static func writeList<Element>(
        _ elements: [Element], _ open: String, _ close: String, _ style: WriteStyle, _ level: Int, _ out: inout String,
        _ body: (Element, inout String) -> Void
    ) {
        out += open
        for (i, element) in elements.enumerated() {
            if i > 0 { out += style.indent == nil ? style.itemSeparator : "," }
            if let indent = style.indent { out += "\n" + String(repeating: " ", count: indent * (level + 1)) }
            body(element, &out)
        }
        if let indent = style.indent, !elements.isEmpty {
            out += "\n" + String(repeating: " ", count: indent * level)
        }
        out += close
    }

    private static func writeString(_ text: String, _ style: WriteStyle, to out: inout String) {
        out += "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            case "\u{08}": out += "\\b"
            case "\u{0C}": out += "\\f"
            case _ where scalar.value < 0x20, _ where style.escapesNonASCII && scalar.value > 0x7E:
                for unit in String(scalar).utf16 {
                    let digits = String(unit, radix: 16)
                    out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                }
            default: out.unicodeScalars.append(scalar)
            }
        }
        out += "\""
    }
}
