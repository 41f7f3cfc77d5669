import CCurl
import Files

/// One file on its way: which pieces are still wanted, and what the server said of it.
final class FileDownload {
    /// A run of bytes for one request; without an end it is the whole file in one answer.
    struct Piece {
        var begin: Int
        var end: Int?
        /// Attempts that brought nothing.
        var failures = 0
        /// Not before this time of `HTTPClient.now`.
        var notBefore = 0.0
    }

    /// What to do after a transfer has ended.
    enum Outcome: Equatable {
        case whole, partial, restarted
    }

    let file: RemoteFile
    let partial: PartialFile
    private(set) var size: Int?
    var pieces: [Piece] = []
    /// Transfers under way, with the position that each has reached.
    private(set) var active: [ObjectIdentifier: HTTPTransfer] = [:]
    private let policy: RetryPolicy
    private let chunk: Int
    /// Whether the server ignores ranges, so that everything comes in one answer.
    private var isOnePiece = false
    private var restarts = 0
    private var mustRestart = false
    /// Whether the digest was wrong once already.
    var wasDamaged = false

    static let journalStep = 1 << 20

    init(_ file: RemoteFile, stem: String, policy: RetryPolicy, chunk: Int) throws(HubError) {
        self.file = file
        self.policy = policy
        self.chunk = max(1, chunk)
        size = file.size
        let identity = [
            file.name, file.sha256 ?? file.gitSHA1 ?? "", file.size.map(String.init) ?? "",
            RetryPolicy.withoutQuery(file.url),
        ]
        partial = try PartialFile(stem, identity: identity.joined(separator: " "))
        plan()
    }

    /// Bytes that are there.
    var received: Int { partial.count }

    var isComplete: Bool { pieces.isEmpty && active.isEmpty }

    /// Cuts what is missing into pieces.
    private func plan() {
        guard let size, !isOnePiece else {
            pieces = [Piece(begin: 0, end: nil)]
            return
        }
        pieces = partial.missing(0..<size).flatMap { gap in
            stride(from: gap.lowerBound, to: gap.upperBound, by: chunk).map {
                Piece(begin: $0, end: min($0 + chunk, gap.upperBound))
            }
        }
    }

    /// Starts over: from the first byte, of the version `etag`.
    func restart(_ client: HTTPClient, onePiece: Bool, etag: String?) throws(HubError) {
        restarts += 1
        if restarts > policy.attempts {
            throw HubError(.damaged, "the file changed \(restarts) times while it was fetched", at: file.url)
        }
        for transfer in active.values { client.stop(transfer) }
        active = [:]
        isOnePiece = isOnePiece || onePiece
        size = file.size
        try partial.reset(etag: etag)
        plan()
    }

    /// Starts a request for `piece` on `client`; `ended` gets its outcome, or why the file cannot be had.
    func start(_ piece: Piece, on client: HTTPClient, ended: @escaping (Result<Outcome, HubError>) -> Void) {
        var request = HTTPTransfer.Request(url: file.url, headers: file.headers.map { ($0.key, $0.value) })
        if let end = piece.end {
            request.range = piece.begin...end - 1
            // A server whose file has changed answers with all of the new one instead of a part.
            if let etag = partial.etag, !etag.hasPrefix("W/") { request.headers.append(("If-Range", etag)) }
        }
        guard let transfer = HTTPTransfer(request, stallSeconds: policy.stallSeconds) else {
            return ended(.failure(HubError(.network, "libcurl made no transfer", at: file.url)))
        }
        active[ObjectIdentifier(transfer)] = transfer
        var position = piece.begin
        var noted = piece.begin
        var isChecked = false
        // Set when the body cannot be taken; it ends the transfer.
        var refusal: HubError?
        transfer.onBody = { [unowned self, unowned transfer] bytes in
            guard transfer.status == 200 || transfer.status == 206 else { return true }
            do throws(HubError) {
                if !isChecked {
                    try self.check(transfer, piece)
                    isChecked = true
                }
                if self.mustRestart { return false }
                if let limit = piece.end ?? self.size, position + bytes.count > limit {
                    throw HubError(.damaged, "found more than the \(limit) bytes that were promised", at: self.file.url)
                }
                try self.partial.write(bytes, at: position)
                position += bytes.count
                if piece.end != nil, position - noted >= Self.journalStep {
                    try self.partial.note(noted..<position)
                    noted = position
                }
                return true
            } catch {
                refusal = error
                return false
            }
        }
        client.start(transfer) { [unowned self] code in
            self.active[ObjectIdentifier(transfer)] = nil
            ended(
                Result { () throws(HubError) in
                    try self.finish(transfer, code, piece, position: position, noted: noted, refusal, client)
                })
        }
    }

    /// Checks the answer's head before its first byte is taken.
    private func check(_ transfer: HTTPTransfer, _ piece: Piece) throws(HubError) {
        if let encoding = transfer.headers["content-encoding"], encoding != "identity" {
            throw HubError(
                .damaged, "found the content encoding \(encoding), wanted the bytes as they are", at: file.url)
        }
        let etag = transfer.headers["etag"]
        if transfer.status == 206 {
            guard let end = piece.end, let range = transfer.contentRange, range.first == piece.begin,
                range.last == end - 1,
                range.total == nil || range.total == size
            else {
                throw HubError(
                    .damaged,
                    "found the range \(transfer.headers["content-range"] ?? "none"), wanted bytes \(piece.begin)-\((piece.end ?? 1) - 1) of \(size ?? 0)",
                    at: file.url)
            }
            if let known = partial.etag, let etag, known != etag { mustRestart = true }
        } else if piece.end != nil, piece.begin > 0 || partial.count > 0 || (piece.end ?? 0) < size ?? 0 {
            // The server sends all of it: it knows no ranges, or the file is another one now.
            mustRestart = true
            isOnePiece = true
        }
        if let length = transfer.headers["content-length"].flatMap({ Int($0) }), transfer.status == 200, !mustRestart,
            let size, length != size
        {
            throw HubError(
                .damaged,
                "found a file of \(length) bytes, wanted the \(size) of the listing; it may have changed, try again",
                at: file.url)
        }
        if partial.etag == nil, !mustRestart, let etag, partial.count == 0, active.count == 1 {
            try partial.reset(etag: etag)
        }
    }

    private func finish(
        _ transfer: HTTPTransfer, _ code: CURLcode, _ piece: Piece, position: Int, noted: Int, _ fault: HubError?,
        _ client: HTTPClient
    ) throws(HubError) -> Outcome {
        if mustRestart {
            mustRestart = false
            try restart(client, onePiece: isOnePiece, etag: nil)
            return .restarted
        }
        if piece.end != nil, fault == nil { try partial.note(noted..<position) }
        if let fault, fault.code == .storage || fault.code == .noSpace { throw fault }
        if code == CURLE_OK, fault == nil, transfer.status == 200 || transfer.status == 206 {
            if piece.end == nil {
                size = size ?? position
                try partial.note(0..<position)
            }
            if position == piece.end ?? size { return isComplete ? .whole : .partial }
        } else if fault == nil, !RetryPolicy.isTemporary(transfer, code) {
            throw RetryPolicy.error(transfer, code)
        }
        var next = piece
        // What a wrong answer brought is asked for again; progress resets the count of attempts.
        let begin = fault == nil && piece.end != nil ? position : piece.begin
        next.failures = begin > piece.begin ? 1 : piece.failures + 1
        guard let delay = policy.delay(attempt: next.failures, retryAfter: transfer.retryAfter) else {
            let isAnswered = code == CURLE_OK && (transfer.status == 200 || transfer.status == 206)
            throw fault ?? RetryPolicy.error(transfer, isAnswered ? CURLE_PARTIAL_FILE : code)
        }
        next.begin = begin
        next.notBefore = HTTPClient.now + delay
        pieces.append(next)
        return .partial
    }

    /// Compares the finished file with its digests.
    func verify() throws(HubError) {
        if let size, System.size(of: partial.path) != size {
            throw HubError(.damaged, "found \(System.size(of: partial.path) ?? 0) bytes, wanted \(size)", at: file.url)
        }
        let found: String?
        let wanted: String?
        if let sha256 = file.sha256 {
            (found, wanted) = (Digest.sha256(file: partial.path), sha256)
        } else if let sha1 = file.gitSHA1 {
            (found, wanted) = (Digest.gitSHA1(file: partial.path, size: size ?? 0), sha1)
        } else {
            return
        }
        if found != wanted {
            throw HubError(
                .damaged,
                "found the digest \(found ?? "of nothing"), wanted \(wanted ?? ""); the file was fetched twice and is not kept",
                at: file.url)
        }
    }
}
