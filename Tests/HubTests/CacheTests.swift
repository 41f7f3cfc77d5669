import Files
import Foundation
import Hub
import JSON
import Testing

@Suite(.serialized) struct CacheTests {
    @Test(arguments: [
        "../evil", "/etc/evil", "a/../../evil", "a\\evil", "C:evil", "a\u{0}b", "a\nb", "", ".", "a//b", "evil.",
        " evil",
        String(repeating: "x", count: 256),
    ])
    func namesThatLeaveTheDirectoryAreRefused(name: String) throws {
        var scene = try Scene(bytes: 10) { .good($0, $1) }
        defer { scene.server.close() }
        scene.hub.files[0].name = name
        let error = #expect(throws: HubError.self) { try scene.fetch() }
        #expect(error?.code == .invalid && scene.server.requests("/files").isEmpty)
    }

    @Test func namesThatDifferInCaseAloneAreRefused() throws {
        var scene = try Scene(bytes: 10) { .good($0, $1) }
        defer { scene.server.close() }
        var second = scene.hub.files[0]
        second.name = "MODEL.bin"
        scene.hub.files.append(second)
        #expect(throws: HubError.self) { try scene.fetch() }
    }

    @Test func aLinkInTheDirectoryIsNotFollowed() throws {
        var scene = try Scene(bytes: 10) { .good($0, $1) }
        defer { scene.server.close() }
        scene.hub.files[0].name = "sub/model.bin"
        scene.options.directory = scene.directory.path + "/mine"
        let outside = scene.directory.path + "/outside"
        for path in [outside, scene.directory.path + "/mine"] {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
        try FileManager.default.createSymbolicLink(
            atPath: scene.directory.path + "/mine/sub", withDestinationPath: outside)
        let error = #expect(throws: HubError.self) { try scene.fetch() }
        #expect(error?.message.contains("found a link") == true)
        #expect(try FileManager.default.contentsOfDirectory(atPath: outside).isEmpty)
    }

    @Test func manyAtOnceMakeOneTransfer() throws {
        let scene = try Scene { .good($0, $1) }
        defer { scene.server.close() }
        nonisolated(unsafe) let shared = scene
        let failures = Counter()
        DispatchQueue.concurrentPerform(iterations: 8) { _ in
            if (try? shared.fetchedContent()) != shared.content { failures.add() }
        }
        #expect(failures.count == 0)
        #expect(scene.server.requests("/files").count == 5)
    }

    @Test func offlineNeverAsks() throws {
        var scene = try Scene(bytes: 10) { .good($0, $1) }
        defer { scene.server.close() }
        scene.options.offline = true
        let error = #expect(throws: HubError.self) { try scene.fetch() }
        #expect(error?.code == .offline && scene.server.requests().isEmpty)
    }

    @Test func aFileThatWasDeletedIsFetchedAgainAlone() throws {
        var scene = try Scene(bytes: 1000) { .good($0, $1) }
        defer { scene.server.close() }
        var second = scene.hub.files[0]
        second.name = "second.bin"
        scene.hub.files.append(second)
        let path = try scene.fetch()
        try FileManager.default.removeItem(atPath: path + "/second.bin")
        #expect(try scene.fetch() == path)
        #expect(scene.server.requests("/files/model.bin").count == 1)
        #expect(scene.server.requests("/files/second.bin").count == 2)
    }

    @Test func aDamagedIndexIsMadeAnew() throws {
        let scene = try Scene(bytes: 1000) { .good($0, $1) }
        defer { scene.server.close() }
        try FileManager.default.createDirectory(atPath: scene.cache.directory, withIntermediateDirectories: true)
        try Data("no database at all, but long enough to be looked at".utf8).write(
            to: URL(fileURLWithPath: scene.cache.directory + "/index.sqlite"))
        #expect(try scene.fetchedContent() == scene.content)
    }

    @Test func aFileLargerThanTheDiskIsRefusedBeforeItStarts() throws {
        var scene = try Scene(bytes: 10) { .good($0, $1) }
        defer { scene.server.close() }
        scene.hub.files[0].size = 1 << 60
        let error = #expect(throws: HubError.self) { try scene.fetch() }
        #expect(error?.code == .noSpace && error?.message.contains("MiB") == true)
        #expect(scene.server.requests("/files").isEmpty)
    }

    @Test func patternsChooseAndTwinsOfSafetensorsStayAway() throws {
        var scene = try Scene(bytes: 10) { .good($0, $1) }
        defer { scene.server.close() }
        let file = scene.hub.files[0]
        scene.hub.files = ["config.json", "model.safetensors", "pytorch_model.bin", "onnx/model.onnx"].map {
            TestHub.File(name: $0, content: file.content, sha256: file.sha256, size: 10)
        }
        let path = try scene.fetch()
        #expect(try System.list(path) == ["config.json", "model.safetensors"])
        scene.options.patterns = FilePatterns(include: ["*.bin", "*.json"], exclude: ["config*"])
        scene.options.directory = scene.directory.path + "/chosen"
        #expect(try System.list(scene.fetch()) == ["pytorch_model.bin"])
    }

    @Test func whatTheHubHasOnThisMachineIsUsedInPlace() throws {
        struct Here: HubSource {
            let id = "local"
            func listing(_ query: JSON) throws -> JSON { ["path": query["id"] ?? .null] }
            func files(_ query: JSON, answer: [UInt8]) throws -> JSON { .null }
        }
        let directory = try TemporaryDirectory()
        #expect(try Cache(directory: directory.path + "/c").fetch(directory.path, from: Here()) == directory.path)
    }
}

final class Counter: @unchecked Sendable {
    private let lock = NSLock()
    private var value = 0
    var count: Int { lock.withLock { value } }
    func add() { lock.withLock { value += 1 } }
}
