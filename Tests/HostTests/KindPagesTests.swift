import Foundation
import Testing

/// Documentation/Kinds has a page for each header of kinds/, which speaks of every function of its table.
@Suite("A page a kind")
struct KindPagesTests {
    private static let include = "\(Project.root)/Sources/PluginAPI/include/martlet/kinds"
    static let kinds: [String] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: include)) ?? []
        return names.filter { $0.hasSuffix(".h") }.map { String($0.dropLast(2)) }.sorted()
    }()

    @Test func thereAreSeventeen() { #expect(Self.kinds.count >= 17) }

    @Test(arguments: KindPagesTests.kinds)
    func everyFunctionIsSpokenOf(kind: String) throws {
        let header = try String(contentsOfFile: "\(Self.include)/\(kind).h", encoding: .utf8)
        #expect(header.split(separator: "\n", omittingEmptySubsequences: false).count <= 200)
        let page = try String(contentsOfFile: "\(Project.root)/Documentation/Kinds/\(kind).md", encoding: .utf8)
        let start = try #require(header.range(of: "_table {"), "the header has no table")
        let end = try #require(header.range(of: "_table;"))
        let table = header[start.upperBound..<end.lowerBound]
        let functions = table.matches(of: /\(\*(\w+)\)\(void \*ctx/).map { String($0.1) }
        #expect(!functions.isEmpty)
        for name in functions { #expect(page.contains(name), "\(name) of \(kind).h") }
        #expect(page.contains("`martlet.\(kind == "row" ? "filter" : kind)/1`"))
    }
}
