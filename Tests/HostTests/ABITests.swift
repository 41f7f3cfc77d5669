import Foundation
import Host
import PluginAPI
import Testing

@Suite("The contract's binary interface")
struct ABITests {
    @Test func theLayoutIsThatOfTheGoldenFile() throws {
        let (status, text) = try Project.run("/usr/bin/env", ["python3", "\(Project.root)/Tools/abi_layout.py"])
        #expect(status == 0, "\(text)")
    }

    @Test func theHeadersAreCleanCAndIncludableFromCPlusPlus() throws {
        let scratch = try Scratch()
        try scratch.write("a.c", "#include <martlet/martlet.h>\nint main(void) { return 0; }\n")
        try scratch.write("a.cpp", "#include <martlet/martlet.h>\nint main() { return 0; }\n")
        let include = "-I\(Project.root)/Sources/PluginAPI/include"
        let flags = ["-Wall", "-Wextra", "-Wpadded", "-Werror", "-fsyntax-only", include]
        let c = try Project.run("/usr/bin/cc", ["-std=c11"] + flags + ["\(scratch.path)/a.c"])
        #expect(c.0 == 0, "\(c.1)")
        let cpp = try Project.run(
            "/usr/bin/c++",
            ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", include, "\(scratch.path)/a.cpp"])
        #expect(cpp.0 == 0, "\(cpp.1)")
    }

    /// Built once from Tests/Fixtures/tiny.c with the headers of minor 0, and never again.
    @Test func theFrozenPluginOfMinor0LoadsAndRuns() throws {
        guard Machine.current.architecture == "x86_64" else { return }
        let scratch = try Scratch()
        try scratch.write("a/plugin.json", Project.manifest(id: "frozen.minor-0", component: "frozen"))
        try FileManager.default.copyItem(
            atPath: "\(Project.root)/Tests/Frozen/minor-0/libfrozen-x86_64.so.bin",
            toPath: "\(scratch.path)/a/libtiny.so")
        let component = try scratch.registry().find(kind: MT_KIND_LOGGER, id: "frozen")
        #expect(component.summary == "counts events")
        let checked = try Program.run("plugin", "check", "\(scratch.path)/a")
        #expect(checked.status == 0, "\(checked.text)")
    }

    @Test func theSchemasInTheDocumentationAreThoseThatTheHostChecks() throws {
        for (name, schema, title) in [
            ("plugin", Manifest.schema, "plugin.json: a plugin's manifest"),
            ("plugins", Installation.schema, "plugins.json: an installation's plugins and the policy for them"),
        ] {
            let path = "\(Project.root)/Documentation/Schemas/\(name).schema.json"
            let text = schema.file(title: title)
            if ProcessInfo.processInfo.environment["MARTLET_WRITE_SCHEMAS"] != nil {
                try FileManager.default.createDirectory(
                    atPath: FileSystem.parent(of: path), withIntermediateDirectories: true)
                try text.write(toFile: path, atomically: true, encoding: .utf8)
            }
            #expect(
                try String(contentsOfFile: path, encoding: .utf8) == text,
                "run the tests once with MARTLET_WRITE_SCHEMAS=1")
        }
    }
}
