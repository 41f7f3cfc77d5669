import Foundation
import Glibc

/// A web server on 127.0.0.1 that does as a test says: right, slow, wrong or half.
final class LoopbackServer: @unchecked Sendable {
    struct Request {
        let path: String
        let headers: [String: String]
        /// Number of this request for this path, from 0.
        let number: Int
        var range: Range<Int>? {
            guard let text = headers["range"], text.hasPrefix("bytes=") else { return nil }
            let parts = text.dropFirst(6).split(separator: "-")
            guard parts.count == 2, let first = Int(parts[0]), let last = Int(parts[1]) else { return nil }
            return first..<last + 1
        }
    }

    struct Answer {
        var status = 200
        var headers: [String: String] = [:]
        var body: [UInt8] = []
        /// Close the connection after so many bytes of the body.
        var cutAfter: Int?
        /// Send nothing more after so many bytes, but keep the connection.
        var stallAfter: Int?
        /// Say this length instead of the body's.
        var length: Int?

        init(_ status: Int = 200, _ body: [UInt8] = [], _ headers: [String: String] = [:]) {
            self.status = status
            self.body = body
            self.headers = headers
        }
    }

    let port: UInt16
    var address: String { "http://127.0.0.1:\(port)" }
    private let listener: Int32
    private let lock = NSLock()
    private var log: [Request] = []
    private var answer: @Sendable (Request) -> Answer
    private var isClosed = false

    init(_ answer: @escaping @Sendable (Request) -> Answer) throws {
        self.answer = answer
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = inet_addr("127.0.0.1")
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listening = listener
        let result = withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listening, $0, size) == 0 && listen(listening, 64) == 0 && getsockname(listening, $0, &size) == 0
            }
        }
        guard result else { throw POSIXError(.EADDRINUSE) }
        port = UInt16(bigEndian: name.sin_port)
        Thread.detachNewThread { [self] in
            while true {
                let connection = accept(listener, nil, nil)
                if connection < 0 { return }
                Thread.detachNewThread { [self] in serve(connection) }
            }
        }
    }

    /// Requests for paths that begin with `prefix`.
    func requests(_ prefix: String = "/") -> [Request] {
        lock.withLock { log.filter { $0.path.hasPrefix(prefix) } }
    }

    func change(_ answer: @escaping @Sendable (Request) -> Answer) { lock.withLock { self.answer = answer } }

    func close() {
        let wasClosed = lock.withLock { () -> Bool in
            defer { isClosed = true }
            return isClosed
        }
        if wasClosed { return }
        shutdown(listener, Int32(SHUT_RDWR))
        Glibc.close(listener)
    }

    private func serve(_ connection: Int32) {
        defer { Glibc.close(connection) }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 8192)
        while !text.suffix(4).elementsEqual([13, 10, 13, 10]) {
            let count = recv(connection, &buffer, buffer.count, 0)
            if count <= 0 { return }
            text += buffer[..<count]
        }
        let lines = String(decoding: text, as: UTF8.self).components(separatedBy: "\r\n")
        let path = lines[0].split(separator: " ").dropFirst().first.map(String.init) ?? ""
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            if let colon = line.firstIndex(of: ":") {
                headers[line[..<colon].lowercased()] = line[colon...].dropFirst().trimmingCharacters(in: .whitespaces)
            }
        }
        let (request, answer) = lock.withLock { () -> (Request, @Sendable (Request) -> Answer) in
            let request = Request(path: path, headers: headers, number: log.filter { $0.path == path }.count)
            log.append(request)
            return (request, self.answer)
        }
        send(answer(request), connection)
    }

    private func send(_ answer: Answer, _ connection: Int32) {
        var head =
            "HTTP/1.1 \(answer.status) x\r\nConnection: close\r\nContent-Length: \(answer.length ?? answer.body.count)\r\n"
        for (name, value) in answer.headers { head += "\(name): \(value)\r\n" }
        write(Array((head + "\r\n").utf8), connection)
        let end = min(answer.cutAfter ?? .max, answer.stallAfter ?? .max, answer.body.count)
        write(Array(answer.body[..<end]), connection)
        if answer.stallAfter != nil {
            // Until the other side gives up, at most 20 seconds.
            var wait = pollfd(fd: connection, events: Int16(POLLIN), revents: 0)
            poll(&wait, 1, 20_000)
        }
        shutdown(connection, Int32(SHUT_WR))
    }

    private func write(_ bytes: [UInt8], _ connection: Int32) {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(
                    connection, $0.baseAddress.map { $0 + done }, bytes.count - done, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return }
            done += count
        }
    }
}

extension LoopbackServer.Answer {
    /// An answer as a good server gives it: ranges, an etag, If-Range.
    static func good(
        _ request: LoopbackServer.Request, _ content: [UInt8], etag: String = "\"v1\""
    ) -> LoopbackServer.Answer {
        let condition = request.headers["if-range"]
        guard let range = request.range, condition == nil || condition == etag, range.lowerBound < content.count else {
            return LoopbackServer.Answer(200, content, ["ETag": etag])
        }
        let end = min(range.upperBound, content.count)
        return LoopbackServer.Answer(
            206, Array(content[range.lowerBound..<end]),
            ["ETag": etag, "Content-Range": "bytes \(range.lowerBound)-\(end - 1)/\(content.count)"])
    }
}
