import CCurl

extension HTTPClient {
    /// The body of a small answer, tried again as the policy says.
    /// - Throws: `HubError`; also for an answer over `limit` bytes.
    static func fetch(
        _ request: HTTPTransfer.Request, policy: RetryPolicy, limit: Int = 64 << 20
    ) throws(HubError) -> [UInt8] {
        let client = try HTTPClient()
        var attempt = 1
        while true {
            guard let transfer = HTTPTransfer(request, stallSeconds: policy.stallSeconds) else {
                throw HubError(.network, "libcurl made no transfer", at: request.url)
            }
            var body: [UInt8] = []
            transfer.onBody = { bytes in
                if body.count + bytes.count > limit { return false }
                body += bytes
                return true
            }
            var outcome: CURLcode?
            client.start(transfer) { outcome = $0 }
            while outcome == nil { client.run(milliseconds: 200) }
            let code = outcome ?? CURLE_OK
            if code == CURLE_OK, transfer.status == 200 { return body }
            guard RetryPolicy.isTemporary(transfer, code),
                let delay = policy.delay(attempt: attempt, retryAfter: transfer.retryAfter)
            else {
                throw RetryPolicy.error(transfer, code)
            }
            attempt += 1
            let until = now + delay
            while now < until { client.run(milliseconds: Int32(min(1000, max(1, (until - now) * 1000)))) }
        }
    }
}
