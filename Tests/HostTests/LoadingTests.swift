import Foundation
import PluginAPI
import PluginKit
import Testing

import Host

@Suite("Loading a plugin")
struct LoadingTests {
    @Test func aPluginInCIsFoundOpenedAndCalled() throws {
        let scratch = try Scratch()
        try scratch.plugin("a")
        let registry = try scratch.registry()
        #expect(registry.componentIDs(kind: MT_KIND_LOGGER) == ["count"])
        let component = try registry.find(kind: MT_KIND_LOGGER, id: "count")
        #expect(component.summary == "counts events")
        let table = component.table(mt_logger_table())
        var run: OpaquePointer?
        try checked { error in "{}".lent { table.open?(component.context, $0, &run, error) ?? MT_ERROR } }
        try checked { error in "{}".lent { table.event?(component.context, run, $0, error) ?? MT_ERROR } }
    }

    @Test func theRegistryIsKnownFromManifestsAlone() throws {
        let scratch = try Scratch()
        try scratch.plugin("a", source: nil)
        #expect(try scratch.registry().componentIDs(kind: MT_KIND_LOGGER) == ["count"])
    }

    /// Who is asked first is known before any plugin is opened, and is what the plugin says too.
    @Test func theHigherPriorityIsAskedFirst() throws {
        let scratch = try Scratch()
        func provides(_ priority: Int) -> [String: String] {
            ["provides": "[{\"kind\": \"martlet.logger/1\", \"id\": \"late\", \"priority\": \(priority)}]"]
        }
        try scratch.plugin("a")
        try scratch.plugin("b", id: "test.late", component: "late", defines: ["-DPRIORITY=7"], manifest: provides(7))
        let registry = try scratch.registry()
        #expect(registry.componentIDs(kind: MT_KIND_LOGGER) == ["late", "count"])
        #expect(try registry.find(kind: MT_KIND_LOGGER, id: "late").priority == 7)
        try scratch.plugin("b", id: "test.late", component: "late", defines: ["-DPRIORITY=7"], manifest: provides(8))
        let error = try #require(refusal { try scratch.registry().find(kind: MT_KIND_LOGGER, id: "late") })
        #expect(error.code == .disagreement && error.message.contains("has priority 7, and its manifest says 8"))
    }

    @Test func aMissingLibraryIsNamedWithThePlacesThatWereSearched() throws {
        let scratch = try Scratch()
        try scratch.plugin("a", source: nil)
        let registry = try scratch.registry()
        let error = try #require(refusal { try registry.find(kind: MT_KIND_LOGGER, id: "count") })
        #expect(error.code == .library)
        #expect(error.message.contains("libtiny.so is in none of \(scratch.path)"))
    }

    @Test(arguments: [
        ("hello", "it has 5 bytes"), (String(repeating: "x", count: 200), "does not start with ELF's magic number"),
    ])
    func aFileThatIsNoLibraryIsRefused(content: String, expected: String) throws {
        let scratch = try Scratch()
        try scratch.plugin("a", source: nil)
        try scratch.write("a/libtiny.so", content)
        try expectRefusal(scratch, .library, expected)
    }

    @Test func aTruncatedLibraryIsRefused() throws {
        let scratch = try Scratch()
        try scratch.plugin("a")
        let file = "\(scratch.path)/a/libtiny.so"
        let whole = try Data(contentsOf: URL(fileURLWithPath: file))
        for size in [64, 200, whole.count / 2, whole.count - 1] {
            try whole.prefix(size).write(to: URL(fileURLWithPath: file))
            try expectRefusal(scratch, .library, "is truncated")
        }
    }

    @Test func aLibraryForAnotherArchitectureIsRefused() throws {
        let scratch = try Scratch()
        try scratch.plugin("a")
        let file = "\(scratch.path)/a/libtiny.so"
        var bytes = try Data(contentsOf: URL(fileURLWithPath: file))
        bytes[18] = Machine.current.architecture == "x86_64" ? 183 : 62
        try bytes.write(to: URL(fileURLWithPath: file))
        try expectRefusal(
            scratch, .library, "is built for \(Machine.current.architecture == "x86_64" ? "aarch64" : "x86_64")")
    }

    @Test func aMissingDependencyIsNamed() throws {
        let scratch = try Scratch()
        try scratch.write("dependency.c", "int helper(void) { return 1; }\n")
        try scratch.compile("\(scratch.path)/dependency.c", to: "libgone.so")
        try scratch.plugin("a", defines: ["-Wl,--no-as-needed", "-L\(scratch.path)", "-lgone"])
        try FileManager.default.removeItem(atPath: "\(scratch.path)/libgone.so")
        try expectRefusal(scratch, .library, "libgone.so")
    }

    @Test(arguments: [
        (entry: "", HostError.Code.entry, "does not export martlet_plugin_entry"),
        ("return NULL;", .entry, "its entry returned NULL and gave no message"),
        ("snprintf(error->message, 1024, \"no licence\"); return NULL;", .entry, "its entry refused: no licence"),
        ("plugin.struct_size = 8; return &plugin;", .abi, "its descriptor's struct_size is 8"),
        ("plugin.abi_major = 2; return &plugin;", .abi, "needs contract 2, this host has 1"),
        ("plugin.abi_minor = 900; return &plugin;", .abi, "needs minor 900, this host has 0"),
        (
            "plugin.id = MT_STR(\"other\"); return &plugin;", .disagreement,
            "says id \"other\", its manifest \"test.tiny\""
        ),
        (
            "plugin.version = MT_STR(\"2.0.0\"); return &plugin;", .disagreement,
            "says version \"2.0.0\", its manifest \"1.0.0\""
        ),
        ("plugin.component = NULL; return &plugin;", .abi, "lacks component_count or component"),
        ("behaviour = 1; return &plugin;", .initialization, "its init failed: no disk"),
        (
            "behaviour = 2; return &plugin;", .initialization,
            "its init failed: failed with status 6 and gave no message"
        ),
        ("behaviour = 3; return &plugin;", .initialization, "component 0 of 1 failed: broken"),
        ("behaviour = 4; return &plugin;", .initialization, "component 0 has no table"),
        ("behaviour = 5; return &plugin;", .initialization, "component 0 has a id that is not UTF-8"),
        (
            "behaviour = 6; return &plugin;", .disagreement,
            "its manifest claims martlet.logger/1 count, and it does not offer it"
        ),
        ("behaviour = 7; return &plugin;", .initialization, "it reports 18446744073709551615 components"),
    ])
    func aPluginThatBreaksTheContractIsRefused(entry: String, code: HostError.Code, expected: String) throws {
        let scratch = try Scratch()
        try scratch.plugin(
            "a", source: Project.fixture("refused.c"), defines: entry.isEmpty ? [] : ["-DENTRY=\(entry)"])
        try scratch.plugin("b", id: "test.whole", component: "other")
        try expectRefusal(scratch, code, expected)
        _ = try scratch.registry().find(kind: MT_KIND_LOGGER, id: "other")
    }

    private func expectRefusal(_ scratch: Scratch, _ code: HostError.Code, _ text: String) throws {
        let registry = try scratch.registry()
        let error = try #require(refusal { try registry.find(kind: MT_KIND_LOGGER, id: "count") })
        #expect(error.code == code)
        #expect(error.description.contains(text), "\(error)")
        #expect(error.description.contains("test.tiny"), "the plugin is named")
    }
}
