import CCurl
import Glibc

/// Runs many transfers at once on the calling thread.
final class HTTPClient {
    private let multi: UnsafeMutableRawPointer
    private var active: [UnsafeMutableRawPointer: (transfer: HTTPTransfer, done: (CURLcode) -> Void)] = [:]

    private static let isReady: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    init() throws(HubError) {
        guard Self.isReady, Digest.isReady, let multi = curl_multi_init() else {
            throw HubError(.network, "libcurl did not start; install libcurl.so.4 and libcrypto.so.3", at: "network")
        }
        self.multi = multi
    }

    deinit {
        for handle in active.keys { curl_multi_remove_handle(multi, handle) }
        curl_multi_cleanup(multi)
    }

    var count: Int { active.count }

    /// Starts a transfer; `done` is called from `run` when it has ended.
    func start(_ transfer: HTTPTransfer, done: @escaping (CURLcode) -> Void) {
        active[transfer.handle] = (transfer, done)
        curl_multi_add_handle(multi, transfer.handle)
    }

    /// Ends a transfer without a word.
    func stop(_ transfer: HTTPTransfer) {
        if active.removeValue(forKey: transfer.handle) != nil { curl_multi_remove_handle(multi, transfer.handle) }
    }

    /// Moves all transfers on, waiting at most `milliseconds` for something to happen.
    func run(milliseconds: Int32) {
        var running: Int32 = 0
        curl_multi_perform(multi, &running)
        var left: Int32 = 0
        var ended: [(UnsafeMutableRawPointer, CURLcode)] = []
        while let message = curl_multi_info_read(multi, &left) {
            if message.pointee.msg == CURLMSG_DONE, let handle = message.pointee.easy_handle {
                ended.append((handle, ccurl_message_result(message)))
            }
        }
        for (handle, code) in ended {
            guard let (_, done) = active.removeValue(forKey: handle) else { continue }
            curl_multi_remove_handle(multi, handle)
            done(code)
        }
        if ended.isEmpty { curl_multi_poll(multi, nil, 0, milliseconds, nil) }
    }

    /// The monotonic clock in seconds.
    static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
