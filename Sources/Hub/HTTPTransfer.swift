import CCurl
import Glibc

/// One GET request and what came of it. Redirects are followed at most five times; the extra headers, tokens among
/// them, go to the first host alone (libcurl's rule since 7.58).
final class HTTPTransfer {
    struct Request {
        var url: String
        var headers: [(name: String, value: String)] = []
        /// First and last byte, both included.
        var range: ClosedRange<Int>?
    }

    let request: Request
    let handle: UnsafeMutableRawPointer
    private var list: UnsafeMutablePointer<curl_slist>?
    /// Headers of the last answer of a redirect chain, names in lower case.
    private(set) var headers: [String: String] = [:]
    private var headerBytes = 0
    /// Gets each part of the body; false stops the transfer.
    var onBody: (UnsafeRawBufferPointer) -> Bool = { _ in true }

    init?(_ request: Request, stallSeconds: Int) {
        guard let handle = curl_easy_init() else { return nil }
        self.request = request
        self.handle = handle
        ccurl_set_text(handle, CURLOPT_URL, request.url)
        ccurl_set_text(handle, CURLOPT_PROTOCOLS_STR, "http,https")
        ccurl_set_text(handle, CURLOPT_REDIR_PROTOCOLS_STR, "http,https")
        ccurl_set_text(handle, CURLOPT_USERAGENT, "martlet")
        ccurl_set_long(handle, CURLOPT_NOSIGNAL, 1)
        ccurl_set_long(handle, CURLOPT_FOLLOWLOCATION, 1)
        ccurl_set_long(handle, CURLOPT_MAXREDIRS, 5)
        ccurl_set_long(handle, CURLOPT_CONNECTTIMEOUT, 15)
        // Less than one byte a second for so long is a stall.
        ccurl_set_long(handle, CURLOPT_LOW_SPEED_LIMIT, 1)
        ccurl_set_long(handle, CURLOPT_LOW_SPEED_TIME, stallSeconds)
        ccurl_set_long(handle, CURLOPT_BUFFERSIZE, 256 << 10)
        if let proxy = Self.plainProxy(for: request.url) { ccurl_set_text(handle, CURLOPT_PROXY, proxy) }
        if let authorities = Self.environment("CURL_CA_BUNDLE") ?? Self.environment("SSL_CERT_FILE") {
            ccurl_set_text(handle, CURLOPT_CAINFO, authorities)
        }
        if let range = request.range {
            ccurl_set_text(handle, CURLOPT_RANGE, "\(range.lowerBound)-\(range.upperBound)")
        }
        for header in request.headers {
            let plain = (header.name + header.value).unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }
            if plain { list = curl_slist_append(list, "\(header.name): \(header.value)") }
        }
        ccurl_set_list(handle, CURLOPT_HTTPHEADER, list)
        let context = Unmanaged.passUnretained(self).toOpaque()
        ccurl_set_pointer(handle, CURLOPT_WRITEDATA, context)
        ccurl_set_pointer(handle, CURLOPT_HEADERDATA, context)
        ccurl_set_pointer(handle, CURLOPT_PRIVATE, context)
        ccurl_set_writer(handle, CURLOPT_WRITEFUNCTION) { data, size, count, context in
            guard let data, let context else { return 0 }
            let transfer = Unmanaged<HTTPTransfer>.fromOpaque(context).takeUnretainedValue()
            return transfer.onBody(UnsafeRawBufferPointer(start: data, count: size * count)) ? size * count : 0
        }
        ccurl_set_writer(handle, CURLOPT_HEADERFUNCTION) { data, size, count, context in
            guard let data, let context else { return 0 }
            let transfer = Unmanaged<HTTPTransfer>.fromOpaque(context).takeUnretainedValue()
            return transfer.header(UnsafeRawBufferPointer(start: data, count: size * count)) ? size * count : 0
        }
    }

    deinit {
        curl_easy_cleanup(handle)
        curl_slist_free_all(list)
    }

    var status: Int { ccurl_long(handle, CURLINFO_RESPONSE_CODE) }

    /// What a proxy answered that was asked for a tunnel; 0 where none was.
    var tunnelStatus: Int { ccurl_long(handle, CURLINFO_HTTP_CONNECTCODE) }

    /// Seconds that the server asks to wait, 0 when it says nothing.
    var retryAfter: Int { Int(ccurl_offset(handle, CURLINFO_RETRY_AFTER)) }

    /// First byte, last byte and total of "Content-Range: bytes 0-9/100"; nil when there is none of that form.
    var contentRange: (first: Int, last: Int, total: Int?)? {
        guard let text = headers["content-range"], text.hasPrefix("bytes ") else { return nil }
        let parts = text.dropFirst(6).split(whereSeparator: { $0 == "-" || $0 == "/" })
        guard parts.count == 3, let first = Int(parts[0]), let last = Int(parts[1]), first <= last else { return nil }
        return (first, last, Int(parts[2]))
    }

    /// HTTP_PROXY, which libcurl leaves alone in capitals: whoever asks a CGI program sets it there. It reads the others, and
    /// no_proxy for this one, itself.
    private static func plainProxy(for url: String) -> String? {
        guard url.hasPrefix("http://"), environment("http_proxy") == nil, environment("REQUEST_METHOD") == nil else {
            return nil
        }
        return environment("HTTP_PROXY")
    }

    private static func environment(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }

    private func header(_ line: UnsafeRawBufferPointer) -> Bool {
        headerBytes += line.count
        if headerBytes > 256 << 10 { return false }
        let text = String(decoding: line, as: UTF8.self)
        if text.hasPrefix("HTTP/") {
            headers = [:]
            return true
        }
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else { return true }
        let value = text[colon...].dropFirst().drop(while: \.isWhitespace)
        headers[text[..<colon].lowercased()] = String(value.reversed().drop(while: \.isWhitespace).reversed())
        return true
    }
}
