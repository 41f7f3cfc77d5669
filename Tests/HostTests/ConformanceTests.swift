import Foundation
import Testing

/// The built program, beside the tests.
enum Program {
    static let path =
        URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path + "/martlet"

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

    static let brokenKinds: [String] = {
        let names =
            (try? FileManager.default.contentsOfDirectory(atPath: "\(Project.root)/Tests/BrokenPlugins/Kinds")) ?? []
        return names.filter { $0.hasSuffix(".c") }.sorted()
    }()

    /// The word before the first "_" of the file's name is its kind.
    @Test(arguments: ConformanceTests.brokenKinds)
    func aPluginThatBreaksItsKindFailsTheKindsCase(file: String) throws {
        let source = "\(Project.root)/Tests/BrokenPlugins/Kinds/\(file)"
        let first = try String(contentsOfFile: source, encoding: .utf8).split(separator: ":")[0]
        let named = try #require(first.split(separator: " ").last.map(String.init))
        let kind = file.prefix { $0 != "_" }
        let scratch = try Scratch()
        try scratch.write(
            "plugin.json",
            Project.manifest(
                id: "test.broken", component: "broken",
                ["provides": #"[{"kind": "martlet.\#(kind)/1", "id": "broken"}]"#, "library": "\"libbroken.so\""]))
        try scratch.write("check/config.json", #"{"architectures": ["BrokenForCausalLM"]}"#)
        try scratch.compile(source, to: "libbroken.so", defines: ["-fvisibility=hidden"])
        let (status, text) = try Program.run("plugin", "check", "--timeout", "10", scratch.path)
        let failing = text.split(separator: "\n").filter { line in
            ["failed\t", "crashed\t", "hung\t"].contains { line.hasPrefix($0) }
        }
        #expect(failing.map { $0.split(separator: "\t")[1] } == [Substring(named)], "\(text)")
        #expect(status == 3)
    }
}
