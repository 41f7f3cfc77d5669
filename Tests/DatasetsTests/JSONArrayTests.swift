import DatasetsJSON
import JSON
import PluginKit
import Testing

@Suite struct JSONArrayTests {
    let scratch = Scratch()

    func read(_ text: String, options: JSON = [:]) throws -> Reading {
        try DatasetsTests.read(try JSONArray(path: scratch.file("a.json", text), options: options))
    }

    @Test func elementsOfAnArrayAreRows() throws {
        #expect(
            try read(" [ {\"a\":\"],\\\"[\"} ,\n{\"a\":{\"b\":[1,2]}}]\n")
                == Reading(rows: [
                    ["a": "],\"["], ["a": ["b": [1, 2]]],
                ]))
        #expect(try read("[]") == Reading())
        #expect(try read("") == Reading())
    }

    @Test func theArrayMayStandInsideAnObject() throws {
        let text = "{\"about\":{\"data\":[1]},\"n\":3,\"data\":[{\"a\":1},{\"a\":2}],\"rest\":[]}"
        #expect(try read(text) == Reading(rows: [["a": 1], ["a": 2]]))
        #expect(try read("{\"mine\":[{\"a\":1}]}", options: ["field": "mine"]) == Reading(rows: [["a": 1]]))
    }

    @Test func objectsMayFollowEachOther() throws {
        #expect(try read("{\"a\":1}\n{\"a\":2}{\"a\":3}") == Reading(rows: [["a": 1], ["a": 2], ["a": 3]]))
    }

    @Test func damagedElementsAreNamedAndReadingGoesOn() throws {
        let reading = try read("[{\"a\":1},\n{\"a\":},\n5,\n{\"a\":1,\"a\":1},\n{\"a\":2}")
        #expect(reading.rows == [["a": 1], ["a": 2]])
        #expect(
            reading.damaged == [
                "line 2: not valid JSON: column 6: expected a value",
                "line 3: not an object: found a JSON number",
                "line 4: duplicate key: column 8: the member \"a\" stands twice",
                "line 5: cut short: the file ends inside the array of rows",
            ])
    }

    @Test func anElementLongerThanARowMayBeIsPassedOver() throws {
        let long = "{\"a\":\"" + String(repeating: "]}", count: 2_000_000) + "\"}"
        let reading = try read("[{\"a\":1},\(long),{\"a\":2}]", options: ["max_row_bytes": 1_100_000])
        #expect(reading.rows == [["a": 1], ["a": 2]])
        #expect(reading.damaged.count == 1)
    }

    @Test func aCursorLeadsToTheSameRows() throws {
        let text = "{\"data\": [" + (0..<300).map { $0 % 5 == 4 ? "{,}" : "{\"n\":\($0)}" }.joined(separator: ",\n")
        let path = scratch.file("c.json", text)
        let whole = try JSONArray(path: path, options: [:])
        var row: [UInt8] = []
        for _ in 0..<100 { _ = try? whole.next(&row) }
        let cursor = whole.cursor
        let rest = try DatasetsTests.read(whole)
        let resumed = try JSONArray(path: path, options: [:])
        try resumed.seek(cursor)
        #expect(try DatasetsTests.read(resumed) == rest)
        try resumed.seek(whole.cursor)
        #expect(try DatasetsTests.read(resumed) == Reading())
    }
}
