/// What is wrong with a JSON text, and where. Lines and columns count from 1; columns count bytes.
public struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
    public let message: String
    public let line: Int
    public let column: Int
    public init(message: String, line: Int, column: Int) {
        self.message = message
        self.line = line
        self.column = column
    }
    public var description: String { "line \(line), column \(column): \(message)" }
}

extension JSON {
    /// Limits and extensions of a parse.
    public struct ParseOptions: Sendable {
        /// Deepest nesting of arrays and objects that is accepted.
        public var maximumDepth = 64
        /// Accept the `NaN`, `Infinity` and `-Infinity` that Python's json module writes.
        public var allowsNonFinite = true
        /// Refuse an object that names a member twice; otherwise the last one wins.
        public var rejectsDuplicateKeys = false
        public init() {}
    }

    /// Parses a whole text.
    /// - Throws: `JSONError` with line and column.
    public init(parsing text: String, options: ParseOptions = ParseOptions()) throws(JSONError) {
        self = try JSON(parsing: Array(text.utf8), options: options)
    }

    public init(parsing bytes: [UInt8], options: ParseOptions = ParseOptions()) throws(JSONError) {
        let result = bytes.withUnsafeBufferPointer { buffer in
            Result { () throws(JSONError) in try JSON(parsing: buffer, options: options) }
        }
        self = try result.get()
    }

    public init(
        parsing bytes: UnsafeBufferPointer<UInt8>, options: ParseOptions = ParseOptions()
    ) throws(JSONError) {
        var parser = JSONParser(bytes, options: options)
        self = try parser.document()
    }
}

/// A recursive-descent reader over UTF-8 bytes. Use it directly to walk a large text without building its values.
public struct JSONParser {
    public internal(set) var position = 0
    let bytes: UnsafeBufferPointer<UInt8>
    private let options: JSON.ParseOptions
    private var depth = 0
    private var path: [String]?
    /// Byte offset of each value by its path ("a.b[3]"), when asked for; for error reports.
    public private(set) var offsets: [String: Int] = [:]

    public init(
        _ bytes: UnsafeBufferPointer<UInt8>, options: JSON.ParseOptions = .init(), recordsOffsets: Bool = false
    ) {
        self.bytes = bytes
        self.options = options
        path = recordsOffsets ? [] : nil
    }

    /// One value and nothing after it.
    public mutating func document() throws(JSONError) -> JSON {
        if bytes.count >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF { position = 3 }
        let value = try self.value()
        skipSpace()
        if position < bytes.count { throw error("unexpected text after the value") }
        return value
    }

    /// The error `message` at byte `offset`, or at the present position.
    public func error(_ message: String, at offset: Int? = nil) -> JSONError {
        var line = 1
        var column = 1
        for byte in bytes[..<Swift.min(offset ?? position, bytes.count)] {
            if byte == 0x0A {
                line += 1
                column = 1
            } else {
                column += 1
            }
        }
        return JSONError(message: message, line: line, column: column)
    }

    /// The first byte of the next value or punctuation, or nil at the end.
    public mutating func peek() -> UInt8? {
        skipSpace()
        return position < bytes.count ? bytes[position] : nil
    }

    public mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }

    /// Consumes `byte` if it comes next.
    public mutating func take(_ byte: UInt8) -> Bool {
        guard peek() == byte else { return false }
        position += 1
        return true
    }

    public mutating func expect(_ byte: UInt8, _ what: String) throws(JSONError) {
        if !take(byte) {
            throw error(
                position < bytes.count ? "expected \(what)" : "the text ends where \(what) was expected")
        }
    }

    /// The next value.
    public mutating func value() throws(JSONError) -> JSON {
        guard let first = peek() else { throw error("the text ends where a value was expected") }
        if let path { offsets[path.joined()] = position }
        switch first {
        case UInt8(ascii: "{"): return .object(try object())
        case UInt8(ascii: "["): return .array(try array())
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        case UInt8(ascii: "N") where options.allowsNonFinite: return try literal("NaN", .double(.nan))
        case UInt8(ascii: "I") where options.allowsNonFinite: return try literal("Infinity", .double(.infinity))
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw error("expected a value")
        }
    }

    private mutating func enter() throws(JSONError) {
        depth += 1
        if depth > options.maximumDepth { throw error("nested deeper than \(options.maximumDepth) levels") }
    }

    private mutating func object() throws(JSONError) -> JSONObject {
        try enter()
        defer { depth -= 1 }
        var members = JSONObject()
        position += 1
        if take(UInt8(ascii: "}")) { return members }
        repeat {
            guard peek() == UInt8(ascii: "\"") else { throw error("expected a member name in double quotes") }
            let start = position
            let key = try string()
            try expect(UInt8(ascii: ":"), "':' after the member name \"\(key)\"")
            if let depth = path?.count { path?.append(depth == 0 ? key : "." + key) }
            let value = try self.value()
            path?.removeLast()
            if members.position(of: key) != nil {
                if options.rejectsDuplicateKeys { throw error("the member \"\(key)\" stands twice", at: start) }
                members[key] = value
            } else {
                members.append(key, value)
            }
        } while take(UInt8(ascii: ","))
        try expect(UInt8(ascii: "}"), "',' or '}'")
        return members
    }

    private mutating func array() throws(JSONError) -> [JSON] {
        try enter()
        defer { depth -= 1 }
        var elements: [JSON] = []
        position += 1
        if take(UInt8(ascii: "]")) { return elements }
        repeat {
            path?.append("[\(elements.count)]")
            elements.append(try value())
            path?.removeLast()
        } while take(UInt8(ascii: ","))
        try expect(UInt8(ascii: "]"), "',' or ']'")
        return elements
    }

    private mutating func literal(_ text: StaticString, _ value: JSON) throws(JSONError) -> JSON {
        let count = text.utf8CodeUnitCount
        guard position + count <= bytes.count,
            (0..<count).allSatisfy({ bytes[position + $0] == text.utf8Start[$0] })
        else { throw error("expected \(text)") }
        position += count
        return value
    }

    private mutating func number() throws(JSONError) -> JSON {
        let start = position
        let negative = bytes[position] == UInt8(ascii: "-")
        if negative { position += 1 }
        if negative, options.allowsNonFinite, position < bytes.count, bytes[position] == UInt8(ascii: "I") {
            return try literal("Infinity", .double(-.infinity))
        }
        let whole = try digits()
        if whole.count > 1, bytes[whole.start] == UInt8(ascii: "0") {
            throw error("a number may not start with 0", at: start)
        }
        var isInteger = true
        if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
            isInteger = false
            position += 1
            _ = try digits()
        }
        if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            position += 1
            if position < bytes.count, bytes[position] == UInt8(ascii: "+") || bytes[position] == UInt8(ascii: "-") {
                position += 1
            }
            _ = try digits()
        }
        let text = UnsafeBufferPointer(rebasing: bytes[start..<position])
        if isInteger, let value = Int64(String(decoding: text, as: UTF8.self)) { return .int(value) }
        guard let value = Double(String(decoding: text, as: UTF8.self)) else { throw error("not a number", at: start) }
        return .double(value)
    }

    private mutating func digits() throws(JSONError) -> (start: Int, count: Int) {
        let start = position
        while position < bytes.count, bytes[position] &- UInt8(ascii: "0") <= 9 { position += 1 }
        if position == start { throw error("expected a digit") }
        return (start, position - start)
    }

    /// The string that starts at the present position.
    public mutating func string() throws(JSONError) -> String {
        let start = position
        let raw = try rawString()
        guard raw.escaped else {
            return try validated(UnsafeBufferPointer(rebasing: bytes[raw.range]), at: start)
        }
        var out: [UInt8] = []
        out.reserveCapacity(raw.range.count)
        try unescape(raw.range, into: &out)
        return try out.withUnsafeBufferPointer { buffer throws(JSONError) in try validated(buffer, at: start) }
    }

    /// Appends what the text between a string's quotes spells.
    func unescape(_ range: Range<Int>, into out: inout [UInt8]) throws(JSONError) {
        var at = range.lowerBound
        while at < range.upperBound {
            let byte = bytes[at]
            at += 1
            guard byte == UInt8(ascii: "\\") else {
                out.append(byte)
                continue
            }
            let escape = bytes[at]
            at += 1
            switch escape {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(escape)
            case UInt8(ascii: "b"): out.append(0x08)
            case UInt8(ascii: "f"): out.append(0x0C)
            case UInt8(ascii: "n"): out.append(0x0A)
            case UInt8(ascii: "r"): out.append(0x0D)
            case UInt8(ascii: "t"): out.append(0x09)
            case UInt8(ascii: "u"): appendUnicode(&at, range.upperBound, &out, try hex4(&at, range.upperBound))
            default: throw error("unknown escape", at: at - 2)
            }
        }
    }

    /// Passes over a string and gives the range of bytes between its quotes, and whether it holds escapes.
    public mutating func rawString() throws(JSONError) -> (range: Range<Int>, escaped: Bool) {
        let open = position
        position += 1
        let start = position
        var escaped = false
        while position < bytes.count {
            position = plainEnd(from: position)
            if position == bytes.count { break }
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                return (start..<(position - 1), escaped)
            case UInt8(ascii: "\\"):
                escaped = true
                position += 2
            default:
                throw error("a control character must be escaped in a string")
            }
        }
        position = bytes.count
        throw error("the string that starts here is not closed", at: open)
    }

    /// The first position from `start` on that holds a quote, a backslash or a control character; eight bytes a step.
    @inline(__always)
    private func plainEnd(from start: Int) -> Int {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let tops: UInt64 = 0x8080_8080_8080_8080
        let raw = UnsafeRawBufferPointer(bytes)
        var at = start
        while at &+ 8 <= bytes.count {
            let eight = raw.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            let quotes = eight ^ (ones &* 0x22)
            let slashes = eight ^ (ones &* 0x5C)
            // The top bit of a byte of `(x - n) & ~x` is set, in the lowest such byte exactly where the byte is below n.
            let found = (quotes &- ones) & ~quotes | (slashes &- ones) & ~slashes | (eight &- ones &* 0x20) & ~eight
            if found & tops != 0 { return at &+ (found & tops).trailingZeroBitCount >> 3 }
            at &+= 8
        }
        while at < bytes.count, bytes[at] != 0x22, bytes[at] != 0x5C, bytes[at] >= 0x20 { at &+= 1 }
        return at
    }

    private func validated(_ buffer: UnsafeBufferPointer<UInt8>, at offset: Int) throws(JSONError) -> String {
        guard let text = String(validating: buffer, as: UTF8.self) else {
            throw error("the string is not valid UTF-8", at: offset)
        }
        return text
    }

    private func hex4(_ at: inout Int, _ end: Int) throws(JSONError) -> UInt32 {
        var value: UInt32 = 0
        guard at + 4 <= end else { throw error("\\u needs four hexadecimal digits", at: at) }
        for _ in 0..<4 {
            guard let digit = Character(UnicodeScalar(bytes[at])).hexDigitValue else {
                throw error("\\u needs four hexadecimal digits", at: at)
            }
            value = value << 4 | UInt32(digit)
            at += 1
        }
        return value
    }

    /// Appends a code point, joining surrogate pairs; a lone surrogate becomes U+FFFD.
    private func appendUnicode(_ at: inout Int, _ end: Int, _ out: inout [UInt8], _ first: UInt32) {
        var scalar = first
        if (0xD800..<0xDC00).contains(first), at + 6 <= end, bytes[at] == UInt8(ascii: "\\"),
            bytes[at + 1] == UInt8(ascii: "u")
        {
            var next = at + 2
            if let low = try? hex4(&next, end), (0xDC00..<0xE000).contains(low) {
                scalar = 0x10000 + (first - 0xD800) << 10 + (low - 0xDC00)
                at = next
            }
        }
        out.append(contentsOf: String(UnicodeScalar(scalar) ?? "\u{FFFD}").utf8)
    }
}
