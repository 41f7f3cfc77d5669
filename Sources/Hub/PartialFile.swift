import Files
import Glibc
import JSON

/// A file that is being fetched, and the journal of what of it is there.
///
/// The journal's first line names what is fetched; each further line is "BEGIN END", bytes that were written. A line
/// that a kill cut short has no end of line and does not count. The whole file is checked by its digest in the end.
package final class PartialFile {
    package let path: String
    private let journalPath: String
    private var data: Int32 = -1
    private var journal: Int32 = -1
    /// Runs of bytes that are there, sorted and apart.
    package private(set) var ranges: [Range<Int>] = []
    /// The version of the content that the server named, by which a resumed fetch knows that it is still the same.
    package private(set) var etag: String?
    private let identity: String

    /// - Parameters:
    ///   - stem: Path without ".data" and ".journal".
    ///   - identity: What is fetched; a journal of something else is not continued.
    package init(_ stem: String, identity: String) throws(HubError) {
        path = stem + ".data"
        journalPath = stem + ".journal"
        self.identity = identity
        data = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o666)
        journal = open(journalPath, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o666)
        guard data >= 0, journal >= 0 else {
            throw HubError(.storage, "\(System.lastError); wanted files that may be written", at: stem)
        }
        if !resume() { try reset(etag: nil) }
    }

    deinit {
        close(data)
        close(journal)
    }

    package var count: Int { ranges.reduce(0) { $0 + $1.count } }

    /// Forgets everything and starts on the version `etag`.
    package func reset(etag: String?) throws(HubError) {
        ranges = []
        self.etag = etag
        guard ftruncate(journal, 0) == 0, ftruncate(data, 0) == 0 else {
            throw HubError(.storage, System.lastError, at: path)
        }
        let line: JSON = ["identity": .string(identity), "etag": etag.map { .string($0) } ?? .null]
        try append(line.text() + "\n")
    }

    package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(HubError) {
        var done = 0
        while done < bytes.count, let base = bytes.baseAddress {
            let count = pwrite(data, base + done, bytes.count - done, off_t(offset + done))
            if count < 0, errno == EINTR { continue }
            if count <= 0 {
                throw HubError(
                    errno == ENOSPC || errno == EDQUOT ? .noSpace : .storage, "writing: \(System.lastError)", at: path)
            }
            done += count
        }
    }

    /// Notes that `range` was written.
    package func note(_ range: Range<Int>) throws(HubError) {
        if range.isEmpty { return }
        try append("\(range.lowerBound) \(range.upperBound)\n")
        add(range)
    }

    /// What of `whole` is not there yet.
    package func missing(_ whole: Range<Int>) -> [Range<Int>] {
        var out: [Range<Int>] = []
        var at = whole.lowerBound
        for range in ranges where range.upperBound > whole.lowerBound && range.lowerBound < whole.upperBound {
            if range.lowerBound > at { out.append(at..<range.lowerBound) }
            at = max(at, range.upperBound)
        }
        if at < whole.upperBound { out.append(at..<whole.upperBound) }
        return out
    }

    /// Flushes, and gives the content its name.
    package func place(_ destination: String) throws(HubError) {
        guard fsync(data) == 0, rename(path, destination) == 0 else {
            throw HubError(.storage, "giving the fetched file its name: \(System.lastError)", at: destination)
        }
        unlink(journalPath)
        do { try System.flush(directory: System.parent(of: destination) ?? "") } catch {
            throw HubError(.storage, error.description, at: destination)
        }
    }

    private func append(_ line: String) throws(HubError) {
        var text = line
        let count = text.withUTF8 { Glibc.write(journal, $0.baseAddress, $0.count) }
        if count != line.utf8.count { throw HubError(.noSpace, "writing: \(System.lastError)", at: journalPath) }
    }

    /// Reads the journal; whether it was of the same thing.
    private func resume() -> Bool {
        guard let file = try? MappedFile(journalPath), file.bytes.count < 64 << 20 else { return false }
        var lines = file.bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
        lines.removeLast()  // empty after the last end of line, or cut short
        guard let first = lines.first, let head = try? JSON(parsing: Array(first)), head["identity"]?.string == identity
        else { return false }
        etag = head["etag"]?.string
        var status = stat()
        let size = fstat(data, &status) == 0 ? Int(status.st_size) : 0
        for line in lines.dropFirst() {
            let parts = String(decoding: line, as: UTF8.self).split(separator: " ")
            guard parts.count == 2, let begin = Int(parts[0]), let end = Int(parts[1]), begin >= 0, begin < end,
                end <= size
            else { continue }
            add(begin..<end)
        }
        return true
    }

    private func add(_ range: Range<Int>) {
        var joined = range
        var out: [Range<Int>] = []
        for other in ranges {
            if other.upperBound < joined.lowerBound || other.lowerBound > joined.upperBound {
                out.append(other)
            } else {
                joined = min(other.lowerBound, joined.lowerBound)..<max(other.upperBound, joined.upperBound)
            }
        }
        out.append(joined)
        ranges = out.sorted { $0.lowerBound < $1.lowerBound }
    }
}
