/// Passing through a large text without building its values.
extension JSONParser {
    /// Calls `member` with each member's name; it must consume the value.
    public mutating func walkObject(
        _ member: (inout JSONParser, String) throws(JSONError) -> Void
    ) throws(JSONError) {
        skipSpace()
        try expect(UInt8(ascii: "{"), "an object")
        if take(UInt8(ascii: "}")) { return }
        repeat {
            guard peek() == UInt8(ascii: "\"") else { throw error("expected a member name in double quotes") }
            let key = try string()
            try expect(UInt8(ascii: ":"), "':' after the member name \"\(key)\"")
            try member(&self, key)
        } while take(UInt8(ascii: ","))
        try expect(UInt8(ascii: "}"), "',' or '}'")
    }

    /// Calls `element` before each element; it must consume it.
    public mutating func walkArray(_ element: (inout JSONParser) throws(JSONError) -> Void) throws(JSONError) {
        try expect(UInt8(ascii: "["), "an array")
        if take(UInt8(ascii: "]")) { return }
        repeat { try element(&self) } while take(UInt8(ascii: ","))
        try expect(UInt8(ascii: "]"), "',' or ']'")
    }

    /// Replaces `out` by the bytes of the string that comes next. They are UTF-8 if the text is; that is not checked here.
    public mutating func stringBytes(_ out: inout [UInt8]) throws(JSONError) {
        guard peek() == UInt8(ascii: "\"") else { throw error("expected a string") }
        let raw = try rawString()
        out.removeAll(keepingCapacity: true)
        if raw.escaped {
            try unescape(raw.range, into: &out)
        } else {
            out.append(contentsOf: bytes[raw.range])
        }
    }

    /// The integer that comes next.
    public mutating func integer() throws(JSONError) -> Int {
        _ = peek()
        let start = position
        var value = 0
        while position < bytes.count, position - start < 18, bytes[position] &- UInt8(ascii: "0") <= 9 {
            value = value * 10 + Int(bytes[position] - UInt8(ascii: "0"))
            position += 1
        }
        let ended = position == bytes.count || !".eE-+0123456789".utf8.contains(bytes[position])
        if position > start, ended { return value }
        position = start
        guard let value = try self.value().int else { throw error("expected an integer", at: start) }
        return value
    }

    /// Passes over the next value and gives its range. Only its brackets and strings are looked at.
    public mutating func skipValue() throws(JSONError) -> Range<Int> {
        guard let first = peek() else { throw error("the text ends where a value was expected") }
        let start = position
        guard first == UInt8(ascii: "{") || first == UInt8(ascii: "[") else {
            if first == UInt8(ascii: "\"") { _ = try rawString() } else { _ = try value() }
            return start..<position
        }
        var depth = 0
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                _ = try rawString()
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                if depth == 0 {
                    position += 1
                    return start..<position
                }
            default: break
            }
            position += 1
        }
        throw error("what opens here is not closed", at: start)
    }
}
