import DatasetsJSONL
import JSON
import PluginKit
import Testing

@Suite struct JSONLinesTests {
    let scratch = Scratch()

    func read(_ text: some Sequence<UInt8>, options: JSON = [:]) throws -> Reading {
        try DatasetsTests.read(try JSONLines(path: scratch.file("a.jsonl", text), options: options))
    }

    @Test func blankLinesAndLineEndsAreNoRows() throws {
        let reading = try read("\u{FEFF}{\"a\":1}\r\n\n  \n{\"a\":2}".utf8)
        #expect(reading == Reading(rows: [["a": 1], ["a": 2]]))
    }

    @Test func anEmptyFileHasNoRows() throws {
        #expect(try read([]) == Reading())
    }

    @Test func damagedLinesAreNamedAndReadingGoesOn() throws {
        let lines: [[UInt8]] = [
            Array("{\"a\":1}".utf8), Array("{\"a\":".utf8), Array("[1]".utf8), Array("{\"a\":1,\"a\":2}".utf8),
            Array("{\"a\":\"".utf8) + [0xFF] + Array("\"}".utf8), Array("{\"a\":\"".utf8) + [0] + Array("\"}".utf8),
            Array(String(repeating: "[", count: 100_000).utf8), Array("{\"b\":NaN}".utf8), Array("{\"a\":9}".utf8),
        ]
        let reading = try read(Array(lines.joined(separator: [0x0A])))
        #expect(reading.rows.count == 3)
        #expect(reading.rows.last == ["a": 9])
        #expect(
            reading.damaged == [
                "line 2: not valid JSON: column 6: the text ends where a value was expected",
                "line 3: not an object: found a JSON array",
                "line 4: duplicate key: column 8: the member \"a\" stands twice",
                "line 5: not valid JSON: column 6: the string is not valid UTF-8",
                "line 6: not valid JSON: column 7: a control character must be escaped in a string",
                "line 7: not valid JSON: column 65: nested deeper than 64 levels",
            ])
    }

    @Test func aLineLongerThanARowMayBeIsPassedOver() throws {
        let long = "{\"a\":\"" + String(repeating: "x", count: 5_000_000) + "\"}"
        let reading = try read("{\"a\":1}\n\(long)\n{\"a\":2}\n".utf8, options: ["max_row_bytes": 1_100_000])
        #expect(reading.rows == [["a": 1], ["a": 2]])
        #expect(reading.damaged == ["line 2: too long: 5000008 bytes, at most 1100000 are read (max_row_bytes)"])
    }

    @Test func aCursorLeadsToTheSameRows() throws {
        let text = (0..<500).map { $0 % 7 == 3 ? "{" : "{\"n\":\($0),\"t\":\"\(String(repeating: "é", count: $0))\"}" }
            .joined(separator: "\n")
        let path = scratch.file("c.jsonl", text)
        #expect(scratch.shell("gzip -k c.jsonl && zstd -q -k c.jsonl") == 0)
        for path in [path, path + ".gz", path + ".zst"] {
            let whole = try JSONLines(path: path, options: [:])
            var row: [UInt8] = []
            for _ in 0..<250 { _ = try? whole.next(&row) }
            let cursor = whole.cursor
            let rest = try DatasetsTests.read(whole)
            let resumed = try JSONLines(path: path, options: [:])
            try resumed.seek(cursor)
            #expect(try DatasetsTests.read(resumed) == rest)
            #expect(rest.rows.first == ["n": 250, "t": .string(String(repeating: "é", count: 250))])
            #expect(resumed.cursor == whole.cursor)
        }
    }

    @Test func aTruncatedStreamGivesItsWholeRowsAndOneDamagedRow() throws {
        let text = (0..<20_000).map { "{\"n\":\($0 &* 2_654_435_761 % 1_000_003)}\n" }.joined()
        _ = scratch.file("t.jsonl", text)
        for (tool, suffix) in [("gzip", "gz"), ("zstd -q", "zst")] {
            let made = "\(tool) -k t.jsonl && truncate -s -100 t.jsonl.\(suffix)"
            #expect(scratch.shell(made) == 0)
            let reading = try DatasetsTests.read(try JSONLines(path: scratch.path + "/t.jsonl.\(suffix)", options: [:]))
            #expect(reading.damaged.count == 1)
            #expect(reading.damaged.first?.contains("stream ends early") == true)
            #expect(reading.rows.count < 20_000)
            #expect(reading.rows.first == ["n": 0])
        }
    }

    @Test func membersOfAGzipFileFollowEachOther() throws {
        _ = scratch.file("m1.jsonl", "{\"n\":1}\n")
        _ = scratch.file("m2.jsonl", "{\"n\":2}\n")
        #expect(scratch.shell("gzip m1.jsonl m2.jsonl && cat m1.jsonl.gz m2.jsonl.gz > m.jsonl.gz") == 0)
        let reading = try DatasetsTests.read(try JSONLines(path: scratch.path + "/m.jsonl.gz", options: [:]))
        #expect(reading == Reading(rows: [["n": 1], ["n": 2]]))
    }

    @Test func aMissingFileIsNamed() {
        #expect(throws: PluginError(.notFound, "cannot open the file: No such file or directory", at: "/nowhere/x")) {
            try JSONLines(path: "/nowhere/x", options: [:])
        }
    }
}
