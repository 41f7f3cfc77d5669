import Foundation
import Glibc
import Testing

/// `martlet download` behind proxies, as the environment names them. The hub's name leads nowhere: what arrives came through
/// the proxy.
@Suite(.serialized, .enabled(if: Downloader.isThere, "the product martlet is not built")) struct ProxyTests {
    private static let hub = "http://hub.invalid"
    private static let listing = Array(
        #"{"sha": "c0ffee", "siblings": [{"rfilename": "config.json", "size": 2}]}"#.utf8)

    private func server() throws -> LoopbackServer {
        try LoopbackServer { $0.path.contains("/api/") ? .init(200, Self.listing) : .good($0, Array("{}".utf8)) }
    }

    @Test(arguments: ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
    func aProxyIsAskedForWholeAddresses(variable: String) throws {
        let proxy = try server()
        defer { proxy.close() }
        let outcome = try Downloader().run(endpoint: Self.hub, [variable: proxy.address])
        #expect(outcome.file == "{}", "\(outcome.text)")
        #expect(proxy.requests("").count == 2)
        #expect(proxy.requests("").allSatisfy { $0.path.hasPrefix(Self.hub + "/") })
        #expect(proxy.requests("").allSatisfy { $0.headers["proxy-authorization"] == nil })
    }

    @Test func aProxyGetsTheNameAndPasswordOfItsAddress() throws {
        let proxy = try server()
        defer { proxy.close() }
        let outcome = try Downloader().run(
            endpoint: Self.hub, ["http_proxy": "http://na%40me:pass%3Aword@127.0.0.1:\(proxy.port)"])
        #expect(outcome.file == "{}", "\(outcome.text)")
        let wanted = "Basic " + Data("na@me:pass:word".utf8).base64EncodedString()
        #expect(proxy.requests("").allSatisfy { $0.headers["proxy-authorization"] == wanted })
    }

    @Test(arguments: [("no_proxy", "other.example,127.0.0.1"), ("NO_PROXY", "*"), ("NO_PROXY", "127.0.0.1")])
    func aServerOfNoProxyIsAskedItself(variable: String, servers: String) throws {
        let hub = try server()
        let proxy = try server()
        defer {
            hub.close()
            proxy.close()
        }
        for name in ["http_proxy", "HTTP_PROXY"] {
            let outcome = try Downloader().run(endpoint: hub.address, [name: proxy.address, variable: servers])
            #expect(outcome.file == "{}", "\(outcome.text)")
        }
        #expect(proxy.requests("").isEmpty)
        #expect(hub.requests("/").count == 4)
    }

    /// A CGI program's HTTP_PROXY is what a visitor sent as the header "Proxy" (CVE-2016-5385).
    @Test func aVisitorsProxyIsNotAsked() throws {
        let hub = try server()
        let proxy = try server()
        defer {
            hub.close()
            proxy.close()
        }
        let outcome = try Downloader().run(
            endpoint: hub.address, ["HTTP_PROXY": proxy.address, "REQUEST_METHOD": "GET"])
        #expect(outcome.file == "{}" && proxy.requests("").isEmpty, "\(outcome.text)")
    }

    @Test(arguments: ["http", "https"]) func aProxyThatWantsAPasswordIsAskedOnce(scheme: String) throws {
        let proxy = try LoopbackServer { _ in .init(407, [], ["Proxy-Authenticate": "Basic realm=\"x\""]) }
        defer { proxy.close() }
        let outcome = try Downloader().run(
            endpoint: scheme + "://hub.invalid",
            [scheme + "_proxy": "http://name:secret@127.0.0.1:\(proxy.port)", "HF_TOKEN": "own"])
        #expect(outcome.status != 0 && outcome.file == nil)
        #expect(outcome.text.contains("the proxy wants a name and a password (407)"), "\(outcome.text)")
        #expect(!outcome.text.contains("secret"))
        #expect(proxy.requests("").count == 1)
        guard scheme == "https" else { return }
        let tunnel = try #require(proxy.requests("").first)
        #expect(tunnel.path == "hub.invalid:443")
        // The hub's token is for the hub.
        #expect(tunnel.headers["authorization"] == nil && tunnel.headers["proxy-authorization"] != nil)
    }

    @Test func aProxyThatForbidsTheServerIsAskedOnce() throws {
        let proxy = try LoopbackServer { _ in .init(403) }
        defer { proxy.close() }
        let outcome = try Downloader().run(endpoint: "https://hub.invalid", ["HTTPS_PROXY": proxy.address])
        #expect(outcome.text.contains("the proxy does not lead there (403)"), "\(outcome.text)")
        #expect(proxy.requests("").count == 1)
    }

    @Test(.enabled(if: Downloader.hasTunnel, "python3 or openssl is missing"))
    func aTunnelLeadsToAHubWhoseCertificateIsKnown() throws {
        let downloader = try Downloader()
        let (certificate, key) = try downloader.certificate(for: "hub.invalid")
        let tunnel = Process()
        let lines = Pipe()
        tunnel.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/tunnel.py"
        tunnel.arguments = ["python3", script, certificate, key]
        tunnel.standardOutput = lines
        tunnel.standardError = FileHandle.nullDevice
        try tunnel.run()
        var text = ""
        while !text.contains("\n") { text += String(decoding: lines.fileHandleForReading.availableData, as: UTF8.self) }
        let proxy = "http://name:secret@127.0.0.1:\(text.prefix { $0 != "\n" })"
        let outcome = try downloader.run(
            endpoint: "https://hub.invalid",
            ["https_proxy": proxy, "SSL_CERT_FILE": certificate, "HF_TOKEN": "own"])
        let stranger = try Downloader().run(endpoint: "https://hub.invalid", ["https_proxy": proxy])
        #expect(stranger.file == nil && stranger.text.contains("certificate"), "\(stranger.text)")
        kill(tunnel.processIdentifier, SIGKILL)
        tunnel.waitUntilExit()
        text += String(decoding: lines.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        #expect(outcome.file == "{}", "\(outcome.text)")
        let requests = text.split(separator: "\n").dropFirst()
        #expect(requests.filter { $0.hasPrefix("CONNECT hub.invalid:443 ") }.count == 3, "\(text)")
        #expect(
            requests.allSatisfy { $0.hasPrefix("CONNECT") != $0.contains("| Authorization: Bearer own") }, "\(text)")
        #expect(requests.allSatisfy { $0.hasPrefix("CONNECT") == $0.contains("Proxy-Authorization: Basic") }, "\(text)")
    }
}

/// The product, run once with an environment of its own.
private struct Downloader {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path
    private static let program = root + "/.build/release/martlet"
    static var isThere: Bool { FileManager.default.isExecutableFile(atPath: program) }
    static var hasTunnel: Bool {
        let places = ProcessInfo.processInfo.environment["PATH"]?.split(separator: ":") ?? []
        return ["python3", "openssl"].allSatisfy { tool in
            places.contains { FileManager.default.isExecutableFile(atPath: $0 + "/" + tool) }
        }
    }

    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// What it said, and the text of config.json where that arrived.
    func run(endpoint: String, _ environment: [String: String]) throws -> (status: Int32, text: String, file: String?) {
        let place = directory.path + "/model"
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Self.program)
        process.arguments = ["download", "hf:owner/name", "--local_dir", place]
        process.currentDirectoryURL = URL(fileURLWithPath: Self.root)
        process.environment = environment.merging(
            [
                "PATH": "/usr/bin:/bin", "HOME": directory.path, "HF_ENDPOINT": endpoint,
                "MARTLET_CACHE": directory.path + "/cache",
            ]
        ) { own, _ in own }
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        let file = try? String(contentsOfFile: place + "/config.json", encoding: .utf8)
        return (process.terminationStatus, text, file)
    }

    /// A certificate that signs itself, and its key.
    func certificate(for host: String) throws -> (certificate: String, key: String) {
        let (certificate, key) = (directory.path + "/certificate.pem", directory.path + "/key.pem")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=\(host)", "-addext",
            "subjectAltName=DNS:\(host)", "-keyout", key, "-out", certificate,
        ]
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return (certificate, key)
    }
}
