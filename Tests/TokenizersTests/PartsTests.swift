import JSON
import Testing

@testable import TokenizerCore

/// Small tokenizer.json files, one for each part or combination of parts, against what `tokenizers` gives
/// (Tests/Oracles/tokenizer_parts.py).
@Suite struct PartsTests {
    let expected: JSON
    let texts: [String]

    init() throws {
        expected = try JSON(parsing: golden("parts/expected.json"))
        texts = expected["strings"]?.array?.compactMap(\.string) ?? []
    }

    /// Left out: scripts' names need tables that no library here has; truncation and padding are the caller's.
    static let names: [String] = {
        let text = (try? golden("parts/expected.json")) ?? []
        let all = (try? JSON(parsing: text))?["tokenizers"]?.object?.keys ?? []
        return all.filter { $0 != "pre-scripts" && $0 != "limits" }
    }()

    @Test(arguments: names)
    func `Each part of tokenizer.json gives the ids and the text that tokenizers gives`(name: String) throws {
        let tokenizer = try makeTokenizer(["tokenizer.json": golden("parts/\(name).json")])
        let rows = expected["tokenizers"]?[name]?["rows"]?.array ?? []
        #expect(rows.count == texts.count)
        for (text, row) in zip(texts, rows) {
            let plain = Self.ids(row["ids"])
            let full = row["special"].map(Self.ids) ?? plain
            let note = "\(name): \(text.debugDescription)"
            #expect(try tokenizer.ids(text, parse: true) == plain, "\(note)")
            #expect(try tokenizer.ids(text, special: true, parse: true) == full, "\(note), with special tokens")
            #expect(tokenizer.text(plain) == row["text"]?.string, "decoding \(note)")
            #expect(
                tokenizer.text(full, skipsSpecial: true) == row["clean"]?.string,
                "decoding \(note), special ones left out")
            if let normal = row["normal"]?.string {
                var bytes = Array(text.utf8)
                try tokenizer.normalizer?.apply(&bytes, try Matcher())
                #expect(bytes == Array(normal.utf8), "normalizing \(note)")
            }
            if let pieces = row["pieces"]?.array?.compactMap(\.string) {
                var words = WordList(text: Array(text.utf8), ranges: [0..<text.utf8.count])
                try tokenizer.preTokenizer?.apply(&words, isFirst: true, try Matcher())
                let found = words.ranges.map { String(decoding: words.text[$0], as: UTF8.self) }.filter { !$0.isEmpty }
                #expect(found == pieces, "cutting \(note)")
            }
        }
    }

    static func ids(_ value: JSON?) -> [Int32] { value?.array?.compactMap { $0.int.map(Int32.init) } ?? [] }

    @Test func `A step that is not known is named in the error`() {
        let json = #"{"pre_tokenizer":{"type":"Runes"},"model":{"type":"BPE","vocab":{},"merges":[]}}"#
        #expect(
            throws: TokenizerError(
                .unsupported, "the pre-tokenizer type \"Runes\" is not known here", in: "tokenizer.json")
        ) {
            try makeTokenizer(json: json)
        }
    }
}
