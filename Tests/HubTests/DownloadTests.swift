import Files
import Foundation
import Hub
import Testing

@Suite(.serialized) struct DownloadTests {
    @Test func aFileArrivesInParallelRangesAndIsKept() throws {
        let scene = try Scene { .good($0, $1) }
        defer { scene.server.close() }
        #expect(try scene.fetchedContent() == scene.content)
        #expect(scene.server.requests("/files").count == 5)
        #expect(scene.server.requests("/files").allSatisfy { $0.range != nil && $0.range?.count ?? 0 <= 64 << 10 })
        // Again: no request at all, even with the server gone.
        scene.server.close()
        #expect(try scene.fetchedContent() == scene.content)
    }

    @Test(arguments: [1, 100, 10_000, 65_535])
    func answersCutShortAreContinued(cut: Int) throws {
        let scene = try Scene(bytes: cut == 1 ? 40 : 300_000) { request, content in
            var answer = LoopbackServer.Answer.good(request, content)
            answer.cutAfter = cut
            return answer
        }
        defer { scene.server.close() }
        #expect(try scene.fetchedContent() == scene.content)
    }

    @Test func aStoppedDownloadContinuesWhereItWas() throws {
        var scene = try Scene(bytes: 4_000_000) { request, content in
            var answer = LoopbackServer.Answer.good(request, content)
            if request.number == 0, let range = request.range, range.lowerBound >= 2_000_000 { answer.stallAfter = 10 }
            return answer
        }
        defer { scene.server.close() }
        scene.options.progress = { $0.bytes < 1_500_000 }
        let error = #expect(throws: HubError.self) { try scene.fetch() }
        #expect(error?.code == .cancelled)
        let before = scene.server.requests("/files").count
        scene.server.change { [content = scene.content] in $0.path == "/list" ? .init() : .good($0, content) }
        scene.options.progress = { _ in true }
        #expect(try scene.fetchedContent() == scene.content)
        let after = scene.server.requests("/files").dropFirst(before).reduce(0) { $0 + ($1.range?.count ?? 0) }
        #expect(after < 3_000_000, "\(after) bytes asked for again")
    }

    @Test(arguments: [429, 500, 503, 408]) func busyServersAreAskedAgain(status: Int) throws {
        let scene = try Scene { request, content in
            request.number < 3 ? .init(status, Array("later".utf8)) : .good(request, content)
        }
        defer { scene.server.close() }
        #expect(try scene.fetchedContent() == scene.content)
    }

    @Test func retryAfterIsKept() throws {
        let scene = try Scene(bytes: 1000) { request, content in
            request.number == 0 ? .init(429, [], ["Retry-After": "1"]) : .good(request, content)
        }
        defer { scene.server.close() }
        let start = Date()
        #expect(try scene.fetchedContent() == scene.content)
        #expect(Date().timeIntervalSince(start) >= 0.9)
    }

    @Test func aServerThatIsBusyForEverIsGivenUp() throws {
        let scene = try Scene { _, _ in .init(503) }
        defer { scene.server.close() }
        let error = #expect(throws: HubError.self) { try scene.fetch() }
        #expect(error?.code == .network && error?.message.contains("503") == true)
    }

    @Test func aStalledAnswerIsAskedForAgain() throws {
        let scene = try Scene(bytes: 100_000) { request, content in
            var answer = LoopbackServer.Answer.good(request, content)
            if request.number == 0 { answer.stallAfter = 1000 }
            return answer
        }
        defer { scene.server.close() }
        #expect(try scene.fetchedContent() == scene.content)
    }

    @Test func aServerWithoutRangesSendsTheWholeFile() throws {
        let scene = try Scene { _, content in .init(200, content) }
        defer { scene.server.close() }
        #expect(try scene.fetchedContent() == scene.content)
    }

    @Test func aFileThatChangesHalfWayIsFetchedAnew() throws {
        let old = pattern(300_000, seed: 9)
        let scene = try Scene { request, content in
            // The first range is of the old version, all others of the new one.
            request.range?.lowerBound == 0 && request.number == 0
                ? .good(request, old, etag: "\"v0\"") : .good(request, content)
        }
        defer { scene.server.close() }
        var slow = scene
        slow.options.connections = 1
        #expect(try slow.fetchedContent() == scene.content)
    }

    @Test func aWrongDigestIsFetchedOnceMoreAndThenRefused() throws {
        let wrong = pattern(300_000, seed: 5)
        let scene = try Scene { request, _ in .good(request, wrong) }
        defer { scene.server.close() }
        let error = #expect(throws: HubError.self) { try scene.fetch() }
        #expect(error?.code == .damaged && error?.message.contains("digest") == true)
        #expect(scene.server.requests("/files").count == 10)
        let names = try FileManager.default.subpathsOfDirectory(atPath: scene.directory.path)
        #expect(!names.contains { $0.hasSuffix("model.bin") })
    }

    @Test func oneDamagedAnswerIsMadeGood() throws {
        let wrong = pattern(300_000, seed: 5)
        let scene = try Scene { request, content in .good(request, request.number == 0 ? wrong : content) }
        defer { scene.server.close() }
        #expect(try scene.fetchedContent() == scene.content)
    }

    @Test(arguments: ["length", "html", "gzip", "content-range", "longer"])
    func aServerThatLiesIsRefused(lie: String) throws {
        let scene = try Scene { request, content in
            var answer = LoopbackServer.Answer.good(request, content)
            switch lie {
            case "length": answer = .init(200, Array(content.dropLast(7)))
            case "html": answer = .init(200, Array("<html>Sign in</html>".utf8), ["Content-Type": "text/html"])
            case "gzip": answer.headers["Content-Encoding"] = "gzip"
            case "content-range": answer.headers["Content-Range"] = "bytes 5-9/\(content.count)"
            default: answer.body += [1, 2, 3]
            }
            return answer
        }
        defer { scene.server.close() }
        let error = #expect(throws: HubError.self) { try scene.fetch() }
        #expect(error?.code == .damaged, "\(String(describing: error))")
    }

    @Test(arguments: [(401, HubError.Code.denied), (403, .denied), (404, .notFound)])
    func refusalsAreNotAskedAgain(status: Int, code: HubError.Code) throws {
        let scene = try Scene(bytes: 1000) { _, _ in .init(status) }
        defer { scene.server.close() }
        let error = #expect(throws: HubError.self) { try scene.fetch() }
        #expect(error?.code == code && scene.server.requests("/files").count == 1)
    }

    @Test func tokensDoNotFollowARedirectToAnotherServer() throws {
        let content = pattern(1000)
        let other = try LoopbackServer { .good($0, content) }
        defer { other.close() }
        let target = other.address + "/there"
        var scene = try Scene(bytes: 1000) { _, _ in .init(302, [], ["Location": target]) }
        defer { scene.server.close() }
        scene.hub.headers = ["Authorization": "Bearer secret", "Cookie": "m_session_id=secret"]
        #expect(try scene.fetchedContent() == scene.content)
        #expect(scene.server.requests("/files").allSatisfy { $0.headers["authorization"] == "Bearer secret" })
        #expect(other.requests().count == 1)
        #expect(other.requests().allSatisfy { $0.headers["authorization"] == nil && $0.headers["cookie"] == nil })
    }

    @Test func endlessRedirectsAreGivenUp() throws {
        let scene = try Scene(bytes: 1000) { request, _ in .init(302, [], ["Location": request.path]) }
        defer { scene.server.close() }
        #expect(throws: HubError.self) { try scene.fetch() }
    }

    @Test func emptyAndUnknownSizesArrive() throws {
        var scene = try Scene(bytes: 50_000) { request, content in
            request.path.hasSuffix("empty") ? .init(200) : .good(request, content)
        }
        defer { scene.server.close() }
        scene.hub.files[0].size = nil
        scene.hub.files.append(.init(name: "a/b/empty", content: [], sha256: sha256([]), size: 0))
        let path = try scene.fetch()
        #expect(try scene.directory.content(path + "/model.bin") == scene.content)
        #expect(try scene.directory.content(path + "/a/b/empty") == [])
    }
}
