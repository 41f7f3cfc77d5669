import DatasetsCSV
import DatasetsText
import JSON
import PluginKit
import Testing

@Suite struct CSVTests {
    let scratch = Scratch()

    func read(_ text: some Sequence<UInt8>, name: String = "a.csv", options: JSON = [:]) throws -> Reading {
        try DatasetsTests.read(try CSV(path: scratch.file(name, text), options: options))
    }

    /// The examples of RFC 4180 section 2.
    @Test func quotesKeepCommasNewlinesAndDoubledQuotes() throws {
        let text = "aaa,bbb,ccc\r\n\"b \"\"q\"\" b\",\"b\r\nbb\",\"c,c\"\r\nzzz,,\"\"\r\n"
        #expect(
            try read(text.utf8)
                == Reading(rows: [
                    ["aaa": "b \"q\" b", "bbb": "b\r\nbb", "ccc": "c,c"], ["aaa": "zzz", "bbb": .null, "ccc": ""],
                ]))
    }

    @Test func theDelimiterIsToldFromNameAndHeader() throws {
        #expect(try read("a\tb\n1,2\t3\n".utf8, name: "a.tsv").rows == [["a": "1,2", "b": "3"]])
        #expect(try read("a;b;c\n1;2;3".utf8).rows == [["a": "1", "b": "2", "c": "3"]])
        #expect(try read("a#b\n1#2".utf8, options: ["delimiter": "#"]).rows == [["a": "1", "b": "2"]])
    }

    @Test func aFileWithoutHeaderTakesGivenNames() throws {
        #expect(
            try read("1,2\n3,4\n".utf8, options: ["header": ["q", "a"]]).rows == [
                ["q": "1", "a": "2"], ["q": "3", "a": "4"],
            ])
        #expect(try read("1,2\n".utf8, options: ["header": false]).rows == [["column1": "1", "column2": "2"]])
    }

    @Test func damagedRecordsAreNamedAndReadingGoesOn() throws {
        var text = Array("a,b\n1\n1,2,3\n\"x\"y,2\nq,".utf8)
        text += [0xFF] + Array("\nq,".utf8) + [0] + Array("\n5\" disk,6\n7,\"8\n".utf8)
        let reading = try read(text)
        #expect(reading.rows == [["a": "5\" disk", "b": "6"]])
        #expect(
            reading.damaged == [
                "line 2: wrong number of fields: found 1, the header has 2",
                "line 3: wrong number of fields: found 3, the header has 2",
                "line 4: stray text: behind the closing quote of field 1",
                "line 5: not UTF-8: convert the file to UTF-8 first",
                "line 6: a NUL byte: at byte 2 of the row",
                "line 8: open quote: the quote of field 2 is never closed",
            ])
    }

    @Test func aColumnNamedTwiceIsAnError() {
        #expect(throws: PluginError.self) { try read("a,a\n1,2\n".utf8) }
    }

    @Test func aCursorLeadsToTheSameRows() throws {
        let text = "a,b\n" + (0..<300).map { $0 % 5 == 4 ? "x\n" : "\($0),\"\n\($0)\"\n" }.joined()
        let path = scratch.file("c.csv", text)
        let whole = try CSV(path: path, options: [:])
        var row: [UInt8] = []
        for _ in 0..<100 { _ = try? whole.next(&row) }
        let cursor = whole.cursor
        let rest = try DatasetsTests.read(whole)
        let resumed = try CSV(path: path, options: [:])
        try resumed.seek(cursor)
        #expect(try DatasetsTests.read(resumed) == rest)
        #expect(rest.rows.count == 160)
    }
}

@Suite struct PlainTextTests {
    let scratch = Scratch()

    @Test func rowsAreParagraphsLinesOrTheFile() throws {
        let path = scratch.file("a.txt", "\n\none\ntwo\n\n\nthree\n")
        func texts(_ options: JSON) throws -> [String?] {
            try read(try PlainText(path: path, options: options)).rows.map { $0["text"]?.string }
        }
        #expect(try texts([:]) == ["one\ntwo", "three"])
        #expect(try texts(["unit": "line"]) == ["one", "two", "three"])
        #expect(try texts(["unit": "document"]) == ["one\ntwo\n\n\nthree"])
    }

    @Test func whatIsNoTextIsADamagedRow() throws {
        let path = scratch.file("a.txt", Array("good\n\n".utf8) + [0xC0, 0x0A, 0x0A, 0x41, 0x00, 0x0A])
        let reading = try read(try PlainText(path: path, options: [:]))
        #expect(reading.rows == [["text": "good"]])
        #expect(
            reading.damaged == [
                "line 3: not UTF-8: convert the file to UTF-8 first", "line 5: a NUL byte: at byte 1 of the row",
            ])
    }
}
