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
            out.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[raw.range]))
        }
    }

    /// Calls `member` with the name and the number of each member of an object of integers. The name's bytes are lent for
    /// the call.
    public mutating func walkIntegerMembers(
        _ member: (UnsafeBufferPointer<UInt8>, Int) throws(JSONError) -> Void
    ) throws(JSONError) {
        var spelling: [UInt8] = []
        try expect(UInt8(ascii: "{"), "an object of integers")
        if take(UInt8(ascii: "}")) { return }
        repeat {
            let name = try lentString(&spelling)
            try expect(UInt8(ascii: ":"), "':' after the member name")
            let number = try integer()
            if let name {
                try member(name, number)
            } else {
                try lend(spelling) { bytes throws(JSONError) in try member(bytes, number) }
            }
        } while take(UInt8(ascii: ","))
        try expect(UInt8(ascii: "}"), "',' or '}'")
    }

    /// Calls `element` with the bytes of each string of an array of strings. They are lent for the call.
    public mutating func walkStrings(
        _ element: (UnsafeBufferPointer<UInt8>) throws(JSONError) -> Void
    ) throws(JSONError) {
        var spelling: [UInt8] = []
        try expect(UInt8(ascii: "["), "an array of strings")
        if take(UInt8(ascii: "]")) { return }
        repeat {
            if let text = try lentString(&spelling) { try element(text) } else { try lend(spelling, element) }
        } while take(UInt8(ascii: ","))
        try expect(UInt8(ascii: "]"), "',' or ']'")
    }

    /// The bytes of the string that comes next where they stand in the text as they are; otherwise nil, with what it
    /// spells in `out`.
    private mutating func lentString(_ out: inout [UInt8]) throws(JSONError) -> UnsafeBufferPointer<UInt8>? {
        guard peek() == UInt8(ascii: "\"") else { throw error("expected a string") }
        let raw = try rawString()
        guard raw.escaped else { return UnsafeBufferPointer(rebasing: bytes[raw.range]) }
        out.removeAll(keepingCapacity: true)
        try unescape(raw.range, into: &out)
        return nil
    }

    private func lend(
        _ spelling: [UInt8], _ body: (UnsafeBufferPointer<UInt8>) throws(JSONError) -> Void
    ) throws(JSONError) {
        let result = spelling.withUnsafeBufferPointer { bytes in
            Result { () throws(JSONError) in try body(bytes) }
        }
        try result.get()
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
        if position > start, position == bytes.count || !Self.continuesNumber(bytes[position]) { return value }
        position = start
        guard let value = try self.value().int else { throw error("expected an integer", at: start) }
        return value
    }

    private static func continuesNumber(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"),
            UInt8(ascii: "+"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    /// Passes over the next value and gives its range. Only its brackets and strings are looked at.
    public mutating func skipValue() throws(JSONError) -> Range<Int> {
        var strings = 0
        return try skipValue(countingStrings: &strings)
    }

    /// Passes over the next value as `skipValue` does and adds the number of strings in it to `strings`: enough to know
    /// how much room its parts will take.
    public mutating func skipValue(countingStrings strings: inout Int) throws(JSONError) -> Range<Int> {
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
                strings += 1
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
