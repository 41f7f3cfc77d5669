import Files
import Host
import JSON
import Model
import Testing

/// Two texts for a model that reads them together, against `tokenizers` (Tests/Oracles/tokenizer_parts.py, sentence_heads.py).
@Suite struct TextPairTests {
    private static let goldens = FamilyGolden.root + "../"

    private static func json(_ path: String) throws -> JSON { try JSON(parsing: MappedFile(goldens + path).contents) }

    /// Left out as in the tokenizers' own tests: scripts' names, and files with limits of their own.
    private static let names: [String] = {
        let all = (try? json("tokenizers/parts/expected.json"))?["tokenizers"]?.object?.keys ?? []
        return all.filter { $0 != "pre-scripts" && $0 != "limits" }
    }()

    private func tokenizer(_ name: String) throws -> TokenizerHandle {
        let file = try MappedFile(Self.goldens + "tokenizers/parts/\(name).json")
        return try TokenizerHandle(
            files: [("tokenizer.json", UnsafeRawBufferPointer(file.bytes))], components: Registry(try .standard()),
            at: name)
    }

    @Test(arguments: names) func aPairHasTheIdsAndTypesThatTokenizersGives(name: String) throws {
        let expected = try Self.json("tokenizers/parts/expected.json")
        let tokenizer = try tokenizer(name)
        let rows = expected["tokenizers"]?[name]?["pairs"]?.array ?? []
        #expect(rows.count == 3)
        for (texts, row) in zip(expected["pairs"]?.array ?? [], rows) {
            let pair = try tokenizer.encodePair(texts[0]?.string ?? "", texts[1]?.string ?? "")
            #expect(pair.ids == (row["ids"]?.array ?? []).compactMap { $0.int.map(Int32.init) }, "\(texts.text())")
            #expect(
                pair.types == (row["type_ids"]?.array ?? []).compactMap { $0.int.map(Int32.init) }, "\(texts.text())")
        }
    }

    @Test func theLongerTextGivesWayAsInTokenizers() throws {
        let rows = try Self.json("heads/truncation.json").array ?? []
        #expect(rows.count == 44)
        for row in rows.map({ $0.array?.compactMap(\.int) ?? [] }) {
            #expect(TokenizerHandle.kept([row[0], row[1]], row[2]) == [row[3], row[4]], "\(row)")
        }
    }

    @Test func aPairWithinALimitKeepsItsSpecialTokens() throws {
        let tokenizer = try tokenizer("wordpiece-uncased")
        let long = String(repeating: "the bird ", count: 40)
        let whole = try tokenizer.encodePair("the bird", long)
        let cut = try tokenizer.encodePair("the bird", long, limit: 16)
        #expect(whole.ids.count > 16 && cut.ids.count == 16 && cut.types.count == 16)
        #expect(cut.ids.prefix(15) == whole.ids.prefix(15) && cut.ids.last == whole.ids.last)
    }
}
