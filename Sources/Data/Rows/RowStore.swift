import Files
import Glibc
import JSON

/// The rows of a data set by number, for shuffling, sampling and splitting as a whole.
///
/// Texts are kept in a file without a name, which the system's page cache holds as far as there is room; 24 bytes a row
/// are kept in memory, so that compressed and column-wise files cost no second decoding.
package final class RowStore: @unchecked Sendable {
    private struct Entry {
        var offset: Int
        var length: Int32
        var source: Int32
        /// A line, or below 0 a row.
        var place: Int32
    }
    /// Rows that could not be read.
    package private(set) var rejects: [Reject] = []
    private var entries: [Entry] = []
    private var sources: [String] = []
    private let dataset: Int
    private let descriptor: Int32

    package var count: Int { entries.count }

    /// Reads `feed` to its end.
    package init(_ feed: any RowFeed, dataset: Int = 0) throws {
        self.dataset = dataset
        let directory = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array((directory + "/martlet-rows-XXXXXX").utf8CString)
        descriptor = mkstemp(&template)
        if descriptor >= 0 {
            unlink(template)
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        }
        guard descriptor >= 0 else {
            throw System.error(directory, "a temporary file", wanted: "one that may be written", fix: "Set TMPDIR.")
        }
        var pending: [UInt8] = []
        var offset = 0
        var known: [String: Int32] = [:]
        while let item = try feed.next() {
            switch item {
            case .reject(let reject): rejects.append(reject)
            case .row(let row):
                let source = known[row.source] ?? Int32(clamping: sources.count)
                if known[row.source] == nil {
                    known[row.source] = source
                    sources.append(row.source)
                }
                let place =
                    switch row.place {
                    case .line(let number): Int32(clamping: number)
                    case .row(let number): -Int32(clamping: number)
                    }
                entries.append(
                    Entry(
                        offset: offset + pending.count, length: Int32(clamping: row.text.count), source: source,
                        place: place))
                pending.append(contentsOf: row.text)
                if pending.count >= 1 << 20 {
                    try write(pending, at: offset, directory)
                    offset += pending.count
                    pending.removeAll(keepingCapacity: true)
                }
            }
        }
        try write(pending, at: offset, directory)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// The row numbered `index`, from 0.
    package func row(_ index: Int) throws -> SourceRow {
        let entry = entries[index]
        var failed = false
        let text = [UInt8](unsafeUninitializedCapacity: Int(entry.length)) { buffer, count in
            while count < Int(entry.length) {
                guard let base = buffer.baseAddress else { break }
                let got = pread(descriptor, base + count, Int(entry.length) - count, off_t(entry.offset + count))
                if got < 0, errno == EINTR { continue }
                if got <= 0 { break }
                count += got
            }
            failed = count < Int(entry.length)
        }
        if failed { throw System.error(sources[Int(entry.source)], "row \(index)", wanted: "its text") }
        return SourceRow(
            dataset: dataset, source: sources[Int(entry.source)],
            place: entry.place < 0 ? .row(-Int(entry.place)) : .line(Int(entry.place)), text: text)
    }

    private func write(_ bytes: [UInt8], at offset: Int, _ directory: String) throws {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                buffer.baseAddress.map { pwrite(descriptor, $0 + done, bytes.count - done, off_t(offset + done)) } ?? 0
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw System.error(
                    directory, "writing rows", wanted: "free space", fix: "Set TMPDIR, or use streaming.")
            }
            done += count
        }
    }
}

/// Rows of stores in a given order.
package final class OrderedFeed: RowFeed {
    /// A row of one of the stores.
    package struct Reference: Sendable, Equatable {
        package var store: Int32
        package var row: Int32
        package init(store: Int, row: Int) {
            self.store = Int32(clamping: store)
            self.row = Int32(clamping: row)
        }
    }
    private let stores: [RowStore]
    private let order: [Reference]
    private var position = 0

    package init(_ stores: [RowStore], order: [Reference]) {
        self.stores = stores
        self.order = order
    }

    package var count: Int { order.count }

    package func next() throws -> FeedItem? {
        guard position < order.count else { return nil }
        let reference = order[position]
        position += 1
        return .row(try stores[Int(reference.store)].row(Int(reference.row)))
    }

    package var state: JSON { ["position": .int(Int64(position)), "rows": .int(Int64(order.count))] }

    package func restore(_ state: JSON) throws {
        guard let position = state["position"]?.int, state["rows"]?.int == order.count,
            (0...order.count).contains(position)
        else {
            throw DataError(
                "cursor", found: state.text(), wanted: "a place among \(order.count) rows",
                fix: "The data set or its sampling changed since the run was saved.")
        }
        self.position = position
    }
}
