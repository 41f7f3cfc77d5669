import Foundation
import Host
import PluginAPI
import Testing

@Suite("The contract's binary interface")
struct ABITests {
    private func layout(_ root: String, _ words: String...) throws -> (Int32, String) {
        try Project.run("/usr/bin/env", ["python3", "\(root)/Tools/abi_layout.py"] + words)
    }

    @Test(.enabled(if: Project.has("python3"), "python3 is missing"))
    func theLayoutIsThatOfTheGoldenFile() throws {
        let (status, text) = try layout(Project.root)
        #expect(status == 0, "\(text)")
    }

    /// The next minor: something appended is written to its file and holds; a released minor's file is not written over, and what
    /// it says must hold in every later one.
    @Test(.enabled(if: Project.has("python3"), "python3 is missing"))
    func theNextMinorMayAppendAndNothingElse() throws {
        let scratch = try Scratch()
        for (folder, name) in [("Tools", "abi_layout.py"), ("Sources", "PluginAPI"), ("Tests/Goldens", "abi")] {
            try FileManager.default.createDirectory(
                atPath: "\(scratch.path)/\(folder)", withIntermediateDirectories: true)
            try FileManager.default.copyItem(
                atPath: "\(Project.root)/\(folder)/\(name)", toPath: "\(scratch.path)/\(folder)/\(name)")
        }
        let include = "\(scratch.path)/Sources/PluginAPI/include/martlet"
        func change(_ file: String, _ old: String, _ new: String) throws {
            let text = try String(contentsOfFile: "\(include)/\(file)", encoding: .utf8)
            try #require(text.contains(old), "\(file): \(old)")
            try text.replacing(old, with: new).write(toFile: "\(include)/\(file)", atomically: true, encoding: .utf8)
        }
        let appended = "} mt_logger_table;"
        try change("kinds/logger.h", appended, "    void (*rotate)(void *ctx, mt_log_run *run);\n\(appended)")
        let differs = try layout(scratch.path)
        #expect(differs.0 == 1 && differs.1.contains("40 rotate"), "\(differs.1)")
        let refused = try layout(scratch.path, "--write")
        #expect(refused.0 == 1 && refused.1.contains("minor 0 is released"), "\(refused.1)")
        try change("base.h", "#define MT_ABI_MINOR 0", "#define MT_ABI_MINOR 1")
        #expect(try layout(scratch.path, "--write").0 == 0)
        let next = try layout(scratch.path)
        #expect(next.0 == 0, "\(next.1)")
        #expect(
            try String(contentsOfFile: "\(scratch.path)/Tests/Goldens/abi/minor-1.txt", encoding: .utf8).contains(
                "rotate"))
        try change("kinds/logger.h", "uint32_t reserved;", "uint32_t reserved, more, still_more;")
        let moved = try layout(scratch.path, "--write")
        #expect(moved.0 == 1 && moved.1.contains("mt_logger_table.open was at byte 8"), "\(moved.1)")
    }

    @Test func aPluginInCPlusPlusIsWrittenWithTheSameHeaders() throws {
        let scratch = try Scratch()
        try scratch.write(
            "a.cpp",
            """
            #include <martlet/define.h>
            #include <martlet/martlet.h>
            static mt_status judge(void *, mt_str row, double *out, mt_error *error) {
                if (row.size == 0) return mt_fail(error, MT_INVALID, "the row is empty", "row");
                *out = static_cast<double>(row.size);
                return MT_OK;
            }
            static const mt_row_table table = {sizeof table, 0, judge};
            static const mt_component components[] = {MT_COMPONENT(MT_KIND_REWARD, "size", "bytes", &table)};
            MT_DEFINE_PLUGIN("test.cpp", "1.0.0", components, nullptr)
            """)
        let built = try Project.run(
            "/usr/bin/c++",
            [
                "-std=c++17", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
                "-I\(Project.root)/Sources/PluginAPI/include",
                "-Wl,--version-script=\(Project.root)/Sources/PluginAPI/exports.map", "-o",
                "\(scratch.path)/libtiny.so", "\(scratch.path)/a.cpp",
            ])
        try #require(built.0 == 0, "\(built.1)")
        try scratch.write(
            "plugin.json",
            Project.manifest(
                id: "test.cpp", component: "size", ["provides": #"[{"kind": "martlet.reward/1", "id": "size"}]"#]))
        let checked = try Program.run("plugin", "check", scratch.path)
        #expect(checked.status == 0, "\(checked.text)")
    }

    @Test func theHeadersAreCleanCAndIncludableFromCPlusPlus() throws {
        let scratch = try Scratch()
        let headers = "#include <martlet/martlet.h>\n#include <martlet/define.h>\n"
        try scratch.write("a.c", headers + "int main(void) { return 0; }\n")
        try scratch.write("a.cpp", headers + "int main() { return 0; }\n")
        let include = "-I\(Project.root)/Sources/PluginAPI/include"
        let flags = ["-Wall", "-Wextra", "-Wpadded", "-Werror", "-fsyntax-only", include]
        let c = try Project.run("/usr/bin/cc", ["-std=c11"] + flags + ["\(scratch.path)/a.c"])
        #expect(c.0 == 0, "\(c.1)")
        let cpp = try Project.run(
            "/usr/bin/c++",
            ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", include, "\(scratch.path)/a.cpp"])
        #expect(cpp.0 == 0, "\(cpp.1)")
    }

    /// In the comment above the function or in the one behind it.
    @Test func everyFunctionSaysOnWhichThreadsItIsCalled() throws {
        let include = "\(Project.root)/Sources/PluginAPI/include/martlet"
        let member = try Regex(
            #"(?:\n */\*((?:[^*]|\*[^/])*)\*/)?\n *[\w ]+[ *]\(\*(\w+)\)\(([^;]*;[^\n]*)"#,
            as: (Substring, Substring?, Substring, Substring).self)
        var count = 0
        for file in try FileManager.default.subpathsOfDirectory(atPath: include) where file.hasSuffix(".h") {
            let text = try String(contentsOfFile: "\(include)/\(file)", encoding: .utf8)
            for function in text.matches(of: member) {
                count += 1
                let (_, above, name, rest) = function.output
                let comments = (above ?? "") + rest
                #expect(
                    comments.contains(#/\[(any|instance|main)( of the graph)?\]/#),
                    "\(name) of \(file) has no thread tag")
            }
        }
        #expect(count > 140)
    }

    /// Built once from Tests/Fixtures/tiny.c with the headers of minor 0, and never again.
    @Test(.enabled(if: Machine.current.architecture == "x86_64", "the frozen library is one for x86-64"))
    func theFrozenPluginOfMinor0LoadsAndRuns() throws {
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
