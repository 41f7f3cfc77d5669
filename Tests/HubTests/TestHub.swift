import Foundation
import Hub
import JSON

/// A hub that lists what a test says, its files on a loopback server.
struct TestHub: HubSource {
    struct File {
        var name: String
        var content: [UInt8]
        var sha256: String?
        var size: Int?
        var isArchive = false
    }

    let id = "test"
    let address: String
    var files: [File]
    var headers: JSON = [:]

    func listing(_ query: JSON) throws -> JSON { ["url": .string(address + "/list"), "headers": headers] }

    func files(_ query: JSON, answer: [UInt8]) throws -> JSON {
        let entries = files.map { file -> JSON in
            [
                "name": .string(file.name), "url": .string(address + "/files/" + file.name), "headers": headers,
                "size": file.size.map { .int(Int64($0)) } ?? .null, "sha256": file.sha256.map { .string($0) } ?? .null,
                "unpack": file.isArchive ? "zip" : nil,
            ]
        }
        return ["revision": "r1", "files": .array(entries), "next": nil]
    }
}

/// Bytes that no two places share, so that a misplaced range shows.
func pattern(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var state = seed
    return (0..<count).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(truncatingIfNeeded: state >> 33)
    }
}

/// A directory of its own for one test, removed at the end.
final class TemporaryDirectory {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "martlet-hub-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func content(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }
}

/// One server, one file, one cache, and options that make tests quick.
struct Scene {
    let directory: TemporaryDirectory
    let server: LoopbackServer
    var hub: TestHub
    var options = DownloadOptions()
    let content: [UInt8]
    var cache: Cache { Cache(directory: directory.path + "/cache") }

    /// - Parameter answer: What the server does for the file's own requests.
    init(
        bytes: Int = 300_000, answer: @escaping @Sendable (LoopbackServer.Request, [UInt8]) -> LoopbackServer.Answer
    ) throws {
        let content = pattern(bytes)
        self.content = content
        directory = try TemporaryDirectory()
        server = try LoopbackServer { $0.path == "/list" ? .init() : answer($0, content) }
        hub = TestHub(
            address: server.address,
            files: [.init(name: "model.bin", content: content, sha256: sha256(content), size: bytes)])
        options.offline = false
        options.chunkBytes = 64 << 10
        options.retries.firstDelay = 0.01
        options.retries.longestDelay = 0.02
        options.retries.stallSeconds = 1
    }

    func fetch() throws -> String { try cache.fetch("owner/name", from: hub, options) }

    func fetchedContent() throws -> [UInt8] { try directory.content(try fetch() + "/model.bin") }
}

func sha256(_ bytes: [UInt8]) -> String {
    let digest = Digest(.sha256)
    bytes.withUnsafeBytes { digest.add($0) }
    return digest.hex()
}
