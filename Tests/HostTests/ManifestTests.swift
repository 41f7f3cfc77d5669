import PluginAPI
import Testing

import Host

@Suite("plugin.json and plugins.json")
struct ManifestTests {
    @Test(arguments: [
        (["id": "\"a/b\""], "plugin.json:12: id: found \"a/b\", wanted letters, digits"),
        (["version": "\"1.0\""], "version: found \"1.0\", wanted a semantic version such as 1.4.0"),
        (["abi": "1"], "abi: found 1, wanted an object"),
        (["abi": #"{"major": 1}"#], "abi: the field \"minor\" is missing"),
        (["library": "\"../x.so\""], "library: found \"../x.so\", wanted a file name without '/'"),
        (["runtime": "\"python\""], "runtime: found \"python\", wanted \"c\" or a Swift runtime"),
        (["os": "\"plan9\""], "os: found \"plan9\", wanted \"linux\""),
        (["architectures": "[]"], "architectures: found [], wanted at least 1 elements"),
        (
            ["provides": #"[{"kind": "logger", "id": "x"}]"#],
            "provides[0].kind: found \"logger\", wanted an interface id"
        ),
        (["license": ""], "the field \"license\" is missing (SPDX licence expression); add it"),
        (["licence": "\"MIT\""], "licence: is not a known field"),
        (["licence": "\"MIT\""], "did you mean \"license\"?"),
        (["schema": "2"], "schema: found 2, wanted an integer from 1 to 1"),
        (
            ["provides": #"[{"kind": "martlet.logger/1", "id": "x"}, {"kind": "martlet.logger/1", "id": "x"}]"#],
            "provides[1]: martlet.logger/1 x is already claimed by provides[0]"
        ),
    ])
    func aDamagedFieldIsNamedWithItsLine(change: [String: String], expected: String) throws {
        let scratch = try Scratch()
        let path = try scratch.write("plugin.json", Project.manifest(id: "test.tiny", component: "x", change))
        let error = try #require(refusal { try Manifest(path: path) })
        #expect(error.code == .manifest)
        #expect(error.description.contains(expected), "\(error)")
    }

    @Test func textThatIsNoJSONIsNamedWithLineAndColumn() throws {
        let scratch = try Scratch()
        let path = try scratch.write("plugin.json", "{\n  \"schema\": 1,\n  oops\n}")
        let error = try #require(refusal { try Manifest(path: path) })
        #expect(
            error.description
                == "\(path):3:3: is not JSON: expected a member name in double quotes; correct the text there")
    }

    @Test func aDamagedManifestHasNoEffectOnTheOthers() throws {
        let scratch = try Scratch()
        try scratch.write("a/plugin.json", "{")
        try scratch.plugin("b")
        let registry = try scratch.registry()
        #expect(registry.installation.problems.count == 1)
        _ = try registry.find(kind: MT_KIND_LOGGER, id: "count")
    }

    @Test func whatDoesNotFitThisMachineIsRefusedFromTheManifest() throws {
        let scratch = try Scratch()
        for (change, expected) in [
            (["abi": #"{"major": 1, "minor": 7}"#], "abi.minor is 7, and this host has 0; update Martlet"),
            (["abi": #"{"major": 2, "minor": 0}"#], "abi.major is 2, and this host has 1"),
            (["runtime": "\"swift-5.0\""], "runtime is swift-5.0, and this host runs swift-6.3"),
            (["architectures": "[\"riscv64\"]"], "architectures are riscv64, and this machine is"),
        ] {
            try scratch.plugin("a", source: nil, manifest: change)
            let registry = try scratch.registry()
            #expect(registry.plugins[0].problem?.description.contains(expected) == true)
            #expect(refusal { try registry.find(kind: MT_KIND_LOGGER, id: "count") } == registry.plugins[0].problem)
        }
    }

    @Test func twoPluginsWithOneIdAreToldApartByTheirFiles() throws {
        let scratch = try Scratch()
        try scratch.plugin("a")
        try scratch.plugin("b", source: nil)
        let registry = try scratch.registry()
        #expect(registry.plugins.map(\.problem?.code) == [nil, .conflict])
        _ = try registry.find(kind: MT_KIND_LOGGER, id: "count")
    }

    @Test func aComponentClaimedTwiceNeedsAPreference() throws {
        let scratch = try Scratch()
        try scratch.plugin("a")
        try scratch.plugin("b", id: "test.second")
        let registry = try scratch.registry()
        let error = try #require(refusal { try registry.find(kind: MT_KIND_LOGGER, id: "count") })
        #expect(error.code == .conflict)
        #expect(error.message == "is claimed by test.tiny and test.second")
        let preferring = try scratch.registry(#""preferences": {"martlet.logger/1": {"count": "test.second"}}"#)
        #expect(try preferring.find(kind: MT_KIND_LOGGER, id: "count").plugin == "test.second")
    }

    @Test func aDisabledPluginSaysHowToEnableIt() throws {
        let scratch = try Scratch()
        try scratch.plugin("a")
        let registry = try scratch.registry(#""plugins": {"test.tiny": {"enabled": false}}"#)
        let error = try #require(refusal { try registry.find(kind: MT_KIND_LOGGER, id: "count") })
        #expect(error.description.contains("its plugin test.tiny is disabled; set plugins.test.tiny.enabled to true"))
    }

    @Test func anUnknownComponentGetsTheNearestName() throws {
        let scratch = try Scratch()
        try scratch.plugin("a", source: nil, component: "console")
        let registry = try scratch.registry()
        let error = try #require(refusal { try registry.find(kind: MT_KIND_LOGGER, id: "consoel") })
        #expect(
            error.description
                == "martlet.logger/1 consoel: is not installed; installed are console; did you mean console?")
    }

    @Test(arguments: [
        ("{", ":1:2: is not JSON"), (#"{"schema": 1, "directory": []}"#, "directory: is not a known field"),
        (#"{"schema": 1, "directories": "x"}"#, "directories: found \"x\", wanted an array"),
        (#"{"schema": 1, "schema": 1}"#, "stands twice"), ("{}", "the field \"schema\" is missing"),
        (#"{"schema": 1, "policy": {"alow": []}}"#, "did you mean \"allow\"?"),
    ])
    func aDamagedInstallationIsAnError(text: String, expected: String) throws {
        let scratch = try Scratch()
        let path = try scratch.write("plugins.json", text)
        let error = try #require(refusal { try Installation(path: path) })
        #expect(error.code == .installation)
        #expect(error.description.contains(expected), "\(error)")
    }

    @Test func anUnreadableDirectoryIsReportedAndHasNoEffectOnTheOthers() throws {
        let scratch = try Scratch()
        try scratch.plugin("there/b")
        let file = try scratch.write("x/plugins.json", #"{"schema": 1, "directories": ["gone", "../there"]}"#)
        var installation = try Installation(path: file)
        installation.scan()
        #expect(installation.problems.count == 1)
        #expect(installation.problems.first?.subject.hasSuffix("/gone") == true)
        #expect(installation.manifests.count == 1)
    }

    @Test func policyForbidsAndAllowsById() throws {
        let scratch = try Scratch()
        try scratch.plugin("a")
        for (policy, expected) in [
            (#"{"deny": ["test.tiny"]}"#, "policy.deny names this plugin"),
            (#"{"allow": ["other"]}"#, "policy.allow does not name this plugin"),
            (#"{"search_directories": ["a"]}"#, ""), (#"{"allow": ["test.tiny"]}"#, ""),
        ] {
            let registry = try scratch.registry("\"policy\": \(policy)")
            let error = refusal { try registry.find(kind: MT_KIND_LOGGER, id: "count") }
            #expect(error?.code == (expected.isEmpty ? nil : .policy))
            #expect(expected.isEmpty || error?.message == expected)
        }
    }

    @Test func theNearestNameIsAtMostAThirdAway() {
        #expect(nearest("lora-rnak", in: ["lora_rank", "lora_alpha"]) == "lora_rank")
        #expect(nearest("zzz", in: ["lora_rank", "model"]) == nil)
        #expect(nearest("", in: ["a"]) == nil)
    }
}
