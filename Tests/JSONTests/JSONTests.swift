import JSON
import Testing

@Suite struct JSONTests {
    @Test func integersStayIntegersAndOrderIsKept() throws {
        let value = try JSON(parsing: #"{"b": 1, "a": [1.5, -2, 1e3, true, null], "big": 18446744073709551616}"#)
        #expect(value.object?.keys == ["b", "a", "big"])
        #expect(value["b"] == .int(1))
        #expect(value["a"] == [.double(1.5), .int(-2), .double(1000), .bool(true), .null])
        #expect(value["big"] == .double(18446744073709551616))
    }

    @Test func escapesAndSurrogatesDecode() throws {
        #expect(try JSON(parsing: #""a\n\u00e9\ud83d\ude00\/""#) == "a\né😀/")
        #expect(try JSON(parsing: #""\ud83d x""#) == "\u{FFFD} x")
    }

    @Test(arguments: [
        ("{\"a\": 1,\n \"b\" 2}", 2, 6, "expected ':' after the member name \"b\""),
        ("[1, 2", 1, 6, "the text ends where ',' or ']' was expected"),
        ("{\"a\": tru}", 1, 7, "expected true"),
        ("01", 1, 1, "a number may not start with 0"),
        ("\"abc", 1, 1, "the string that starts here is not closed"),
        ("1 2", 1, 3, "unexpected text after the value"),
        ("\"\\x\"", 1, 2, "unknown escape"),
    ])
    func errorsNameLineAndColumn(text: String, line: Int, column: Int, message: String) {
        #expect(throws: JSONError(message: message, line: line, column: column)) { try JSON(parsing: text) }
    }

    @Test func depthIsBounded() {
        let deep = String(repeating: "[", count: 100_000)
        #expect(throws: JSONError.self) { try JSON(parsing: deep) }
    }

    @Test func writingAndParsingAgree() throws {
        let value: JSON = ["text": "q\"\\\u{01}é", "list": [1, 2.5, false, nil], "empty": [:], "none": []]
        #expect(try JSON(parsing: value.text()) == value)
        #expect(try JSON(parsing: value.text(.pretty)) == value)
        #expect(
            value.text(.python) == #"{"text": "q\"\\\u0001é", "list": [1, 2.5, false, null], "empty": {}, "none": []}"#)
    }

    @Test func objectsWithManyMembersKeepOrderThroughRemoval() {
        var object = JSONObject((0..<40).map { ("k\($0)", .int(Int64($0))) })
        object["k3"] = nil
        #expect(object.count == 39 && object["k3"] == nil && object["k39"] == .int(39) && object.keys[3] == "k4")
    }
}
