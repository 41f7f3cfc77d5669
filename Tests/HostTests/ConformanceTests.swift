import Foundation
import Testing

/// The built program, beside the tests.
enum Program {
    static let path = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path + "/martlet"

    static func run(_ words: String..., environment: [String: String] = [:]) throws -> (status: Int32, text: String) {
        let (status, text) = try Project.run(path, words, environment: environment)
        return (status, text)
    }
}

@Suite("plugin check")
struct ConformanceTests {
    static let broken: [String] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "\(Project.root)/Tests/BrokenPlugins")) ?? []
        return names.filter { $0.hasSuffix(".c") }.sorted()
    }()

    @Test func thereAreAtLeastTwentyBrokenPlugins() { #expect(Self.broken.count >= 20) }

    /// The first line of each source names the case.
    @Test(arguments: ConformanceTests.broken)
    func aBrokenPluginFailsItsNamedCaseAndNoOther(file: String) throws {
        let source = "\(Project.root)/Tests/BrokenPlugins/\(file)"
        let first = try String(contentsOfFile: source, encoding: .utf8).prefix { $0 != ":" }
        let named = try #require(first.split(separator: " ").last.map(String.init))
        let scratch = try Scratch()
        try scratch.write(
            "plugin.json", String(contentsOfFile: "\(Project.root)/Tests/BrokenPlugins/manifest.json", encoding: .utf8))
        try scratch.compile(source, to: "libbroken.so", defines: ["-fvisibility=hidden", "-Wl,-z,lazy", "-pthread"])
        let (status, text) = try Program.run("plugin", "check", "--timeout", "3", scratch.path)
        let failing = text.split(separator: "\n").filter { line in
            ["failed\t", "crashed\t", "hung\t"].contains { line.hasPrefix($0) }
        }
        #expect(failing.map { $0.split(separator: "\t")[1] } == [Substring(named)], "\(text)")
        #expect(status == 3)
    }

    @Test(arguments: ["c", "rust"])
    func aNewPluginBuildsAndPassesByItsPrintedSteps(language: String) throws {
        let compiler = language == "c" ? "cc" : "cargo"
        try #require(try Project.run("/usr/bin/env", ["sh", "-c", "command -v \(compiler)"]).0 == 0, "\(compiler) is absent: skipped")
        let scratch = try Scratch()
        let made = try Program.run("plugin", "new", "--lang", language, "--output", scratch.path, "fresh")
        #expect(made.status == 0, "\(made.text)")
        let built = try Project.run(
            "/usr/bin/env", ["make", "-C", "\(scratch.path)/fresh"],
            environment: ["MARTLET_INCLUDE": "\(Project.root)/Sources/PluginAPI/include"])
        #expect(built.0 == 0, "\(built.1)")
        let checked = try Program.run("plugin", "check", "\(scratch.path)/fresh")
        #expect(checked.status == 0, "\(checked.text)")
    }
}
