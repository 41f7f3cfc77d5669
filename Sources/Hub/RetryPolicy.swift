import CCurl

/// Which failures are tried again, and when.
package struct RetryPolicy: Sendable {
    /// Attempts in a row that bring no new byte before one gives up.
    package var attempts = 6
    /// Seconds before the second attempt; doubled for each further one.
    package var firstDelay = 0.5
    package var longestDelay = 30.0
    /// Longest wait that a server may ask for by Retry-After.
    package var longestRequested = 300.0
    /// Seconds without a byte before a transfer counts as stalled.
    package var stallSeconds = 30

    package init() {}

    /// Seconds before attempt number `attempt` (from 1), or nil to give up.
    func delay(attempt: Int, retryAfter: Int) -> Double? {
        guard attempt < attempts else { return nil }
        if retryAfter > 0 { return Double(retryAfter) > longestRequested ? nil : Double(retryAfter) }
        var delay = firstDelay
        for _ in 1..<max(1, attempt) { delay = min(delay * 2, longestDelay) }
        return delay
    }

    /// Whether a status says "later", not "never".
    private static func isTemporary(status: Int) -> Bool {
        [408, 425, 429].contains(status) || (500...599).contains(status)
    }

    /// Whether a transfer that ended with `code` may bring more when it is tried again.
    static func isTemporary(_ transfer: HTTPTransfer, _ code: CURLcode) -> Bool {
        if code == CURLE_OK { return isTemporary(status: transfer.status) }
        // A proxy that does not lead on to the server says why by a status.
        let refusal = transfer.tunnelStatus
        return refusal >= 300 ? isTemporary(status: refusal) : isTemporary(code)
    }

    /// Whether a failure of the connection may pass: not one of the address, the certificate or this machine.
    private static func isTemporary(_ code: CURLcode) -> Bool {
        switch code {
        case CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST, CURLE_PARTIAL_FILE, CURLE_OPERATION_TIMEDOUT,
            CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_SSL_CONNECT_ERROR, CURLE_HTTP2,
            CURLE_HTTP2_STREAM, CURLE_COULDNT_RESOLVE_PROXY, CURLE_WEIRD_SERVER_REPLY:
            return true
        default: return false
        }
    }

    /// The error of a transfer that will not be tried again.
    static func error(_ transfer: HTTPTransfer, _ code: CURLcode) -> HubError {
        let url = withoutQuery(transfer.request.url)
        let proxy = code == CURLE_OK ? 0 : transfer.tunnelStatus
        if transfer.status == 407 || proxy == 407 {
            return HubError(
                .denied,
                "the proxy wants a name and a password (407); set them in its address, as in http_proxy=http://NAME:PASSWORD@HOST:PORT, or name the server in no_proxy",
                at: url)
        }
        if proxy >= 300 {
            return HubError(.network, "the proxy does not lead there (\(proxy)); name the server in no_proxy", at: url)
        }
        switch (code, transfer.status) {
        case (CURLE_OK, 401), (CURLE_OK, 403):
            return HubError(
                .denied, "the server refuses with status \(transfer.status); set a token that may read this", at: url)
        case (CURLE_OK, 404): return HubError(.notFound, "the server has nothing there (404)", at: url)
        case (CURLE_OK, let status): return HubError(.network, "found status \(status), wanted 200 or 206", at: url)
        default: return HubError(.network, String(cString: curl_easy_strerror(code)), at: url)
        }
    }

    /// An address as messages may show it: names and passwords, and signatures in its query, left out.
    static func withoutQuery(_ url: String) -> String {
        let plain = String(url.prefix { $0 != "?" })
        guard let scheme = plain.firstRange(of: "://"), let at = plain.lastIndex(of: "@") else { return plain }
        return String(plain[..<scheme.upperBound] + plain[at...].dropFirst())
    }
}
