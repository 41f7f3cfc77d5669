import Foundation
import Host
import Testing

@Suite("make install")
struct InstallTests {
    /// Installs what is built, moves the prefix, and works from there without the Swift toolchain's libraries.
    @Test(.enabled(if: Project.has("patchelf"), "patchelf is missing"))
    func anInstallationMovesAsAWhole() throws {
        let scratch = try Scratch()
        let (status, text) = try Project.run(
            "/usr/bin/env",
            [
                "make", "-C", Project.root, "install-built", "PREFIX=\(scratch.path)/first",
                "BUILD=\(FileSystem.parent(of: Program.path))",
            ])
        try #require(status == 0, "\(text)")
        try FileManager.default.moveItem(atPath: "\(scratch.path)/first", toPath: "\(scratch.path)/moved")
        let prefix = "\(scratch.path)/moved"
        func run(_ words: String...) throws -> (Int32, String) {
            try Project.run(
                "/usr/bin/env",
                ["-i", "PATH=/usr/bin:/bin", "HOME=\(scratch.path)", "LC_ALL=C.UTF-8", "\(prefix)/bin/martlet"] + words)
        }
        // Nothing is found through the toolchain or the build folder.
        let linked = try Project.run("/usr/bin/env", ["-i", "PATH=/usr/bin:/bin", "ldd", "\(prefix)/bin/martlet"])
        #expect(linked.1.contains("\(prefix)/bin/../lib/martlet/libswiftCore.so"), "\(linked.1)")
        let libraries = try FileManager.default.contentsOfDirectory(atPath: "\(prefix)/lib/martlet").filter {
            $0.hasSuffix(".so")
        }
        for library in libraries {
            let found = try Project.run(
                "/usr/bin/env", ["-i", "PATH=/usr/bin:/bin", "ldd", "\(prefix)/lib/martlet/\(library)"]
            ).1
            for line in found.split(separator: "\n") where line.contains("libswift") && line.contains("=>") {
                #expect(line.contains("\(prefix)/lib/martlet/"), "\(library): \(line)")
            }
            #expect(!found.contains("not found"), "\(library): \(found)")
        }
        let listed = try run("plugin", "list")
        #expect(listed.0 == 0, "\(listed.1)")
        #expect(listed.1.contains("martlet.models.llama") && !listed.1.contains("refused"))
        let model = "\(Project.root)/Tests/Goldens/examples/llama/logprobs.json"
        #expect(FileManager.default.fileExists(atPath: model))
        let ids = try scratch.write("ids.jsonl", "[28, 24, 74, 94, 14]\n")
        let scored = try run("score", "--model", "\(Project.root)/Tests/Goldens/families/llama", "--ids", ids)
        #expect(scored.0 == 0 && scored.1.contains("4 scored tokens"), "\(scored.1)")
        // A plugin in C by the printed steps, against the installed headers.
        let made = try run("plugin", "new", "--lang", "c", "--kind", "logger", "--output", scratch.path, "fresh")
        #expect(made.0 == 0, "\(made.1)")
        let built = try Project.run(
            "/usr/bin/env", ["-i", "PATH=/usr/bin:/bin", "make", "-C", "\(scratch.path)/fresh"])
        #expect(built.0 == 0 && built.1.contains("\(prefix)/include"), "\(built.1)")
        #expect(try run("plugin", "check", "\(scratch.path)/fresh").0 == 0)
        #expect(try run("plugin", "add", "\(scratch.path)/fresh").1.contains("to \(prefix)/share/martlet/plugins.json"))
        #expect(try run("plugin", "list", "--kind", "logger").1.contains("example.fresh"))
        // pkg-config from its own place; CMake's file names the same headers; Swift's and Rust's kits are whole.
        let flags = try Project.run(
            "/usr/bin/env", ["PKG_CONFIG_PATH=\(prefix)/lib/pkgconfig", "pkg-config", "--cflags", "martlet"])
        #expect(flags.0 == 0 && flags.1.contains("-I"), "\(flags.1)")
        let include = try #require(flags.1.split(separator: "-I").last?.trimmingCharacters(in: .whitespacesAndNewlines))
        for file in [
            "\(include)/martlet/martlet.h", "\(prefix)/lib/cmake/martlet/martlet-config.cmake",
            "\(prefix)/share/martlet/exports.map",
            "\(prefix)/share/martlet/PluginKit/Sources/PluginKit/Plugin.swift",
            "\(prefix)/share/martlet/rust/src/abi.rs",
            "\(prefix)/share/martlet/examples/plugins/swift/model/Makefile",
        ] { #expect(FileManager.default.fileExists(atPath: file), "\(file)") }
    }

    /// `find_package(martlet)` and `martlet_add_plugin`, as a plugin's author with CMake writes them.
    @Test(.enabled(if: Project.has("cmake"), "cmake is missing"))
    func aPluginBuildsWithCMakeAndExportsItsEntryAlone() throws {
        let scratch = try Scratch()
        let prefix = "\(scratch.path)/prefix"
        let (status, text) = try Project.run(
            "/usr/bin/env", ["make", "-C", Project.root, "install-contract", "PREFIX=\(prefix)"])
        try #require(status == 0, "\(text)")
        let source = "\(Project.root)/Examples/plugins/c/logger"
        let plugin = "\(scratch.path)/plugin"
        try FileManager.default.createDirectory(atPath: plugin, withIntermediateDirectories: true)
        for file in ["filelog.c", "plugin.json"] {
            try FileManager.default.copyItem(atPath: "\(source)/\(file)", toPath: "\(plugin)/\(file)")
        }
        try scratch.write(
            "plugin/CMakeLists.txt",
            """
            cmake_minimum_required(VERSION 3.18)
            project(filelog C)
            find_package(martlet REQUIRED)
            martlet_add_plugin(filelog filelog.c)
            """)
        let built = try Project.run(
            "/bin/sh",
            [
                "-ec",
                "cd '\(plugin)' && cmake -S . -B build -DCMAKE_PREFIX_PATH='\(prefix)' && cmake --build build && cp build/libfilelog.so .",
            ])
        try #require(built.0 == 0, "\(built.1)")
        let checked = try Program.run("plugin", "check", plugin)
        #expect(checked.status == 0, "\(checked.text)")
    }
}
