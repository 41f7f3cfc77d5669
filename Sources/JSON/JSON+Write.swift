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

    public func text(_ style: WriteStyle = .compact) -> String { String(decoding: utf8(style), as: UTF8.self) }

    /// The text's bytes.
    public func utf8(_ style: WriteStyle = .compact) -> [UInt8] {
        var out: [UInt8] = []
        write(style, level: 0, to: &out)
        return out
    }

    private func write(_ style: WriteStyle, level: Int, to out: inout [UInt8]) {
        switch self {
        case .null: out += "null".utf8
        case .bool(let value): out += (value ? "true" : "false").utf8
        case .int(let value): out += String(value).utf8
        case .double(let value):
            out += (value.isFinite ? "\(value)" : value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity").utf8
        case .string(let value): JSON.writeString(value, style, to: &out)
        case .array(let elements):
            JSON.writeList(elements, "[", "]", style, level, &out) { element, out in
                element.write(style, level: level + 1, to: &out)
            }
        case .object(let members):
            let keys = style.sortsKeys ? members.keys.sorted() : members.keys
            JSON.writeList(keys, "{", "}", style, level, &out) { key, out in
                JSON.writeString(key, style, to: &out)
                out += style.keySeparator.utf8
                (members[key] ?? .null).write(style, level: level + 1, to: &out)
            }
        }
    }

    private static func writeList<Element>(
        _ elements: [Element], _ open: String, _ close: String, _ style: WriteStyle, _ level: Int, _ out: inout [UInt8],
        _ body: (Element, inout [UInt8]) -> Void
    ) {
        out += open.utf8
        for (i, element) in elements.enumerated() {
            if i > 0 { out += (style.indent == nil ? style.itemSeparator : ",").utf8 }
            if let indent = style.indent { out += ("\n" + String(repeating: " ", count: indent * (level + 1))).utf8 }
            body(element, &out)
        }
        if let indent = style.indent, !elements.isEmpty {
            out += ("\n" + String(repeating: " ", count: indent * level)).utf8
        }
        out += close.utf8
    }

    private static func writeString(_ text: String, _ style: WriteStyle, to out: inout [UInt8]) {
        var text = text
        out.append(UInt8(ascii: "\""))
        text.withUTF8 { bytes in
            // Runs of bytes that stand for themselves are copied as they are.
            var start = 0
            for at in bytes.indices where isWritten(bytes[at], style) {
                out += bytes[start..<at]
                start = at + 1
                escape(bytes, at, to: &out)
            }
            out += bytes[start...]
        }
        out.append(UInt8(ascii: "\""))
    }

    /// Whether a byte is written in another way than as itself.
    private static func isWritten(_ byte: UInt8, _ style: WriteStyle) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || style.escapesNonASCII && byte > 0x7E
    }

    /// Writes the escape of the character that begins at `at`; nothing for a byte within one.
    private static func escape(_ bytes: UnsafeBufferPointer<UInt8>, _ at: Int, to out: inout [UInt8]) {
        switch bytes[at] {
        case UInt8(ascii: "\""): out += "\\\"".utf8
        case UInt8(ascii: "\\"): out += "\\\\".utf8
        case UInt8(ascii: "\n"): out += "\\n".utf8
        case UInt8(ascii: "\r"): out += "\\r".utf8
        case UInt8(ascii: "\t"): out += "\\t".utf8
        case 0x08: out += "\\b".utf8
        case 0x0C: out += "\\f".utf8
        case 0x80...0xBF: return
        case let first:
            let length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
            for unit in String(decoding: bytes[at..<min(bytes.count, at + length)], as: UTF8.self).utf16 {
                let digits = String(unit, radix: 16)
                out += ("\\u" + String(repeating: "0", count: 4 - digits.count) + digits).utf8
            }
        }
    }
}
