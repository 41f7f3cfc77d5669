import JSON
import Threads

/// What became of a row.
package enum EncodedRow: Sendable, Equatable {
    /// Examples of the row, how it was cut if it was, and its file and place.
    case examples([EncodedExample], cut: String?, at: String)
    case rejected(Reject)
}

/// Rows read and encoded ahead by several threads, in pieces that keep their order.
final class EncodingQueue: @unchecked Sendable {
    struct Chunk {
        /// Where the feed stood before the chunk.
        var start: JSON
        var rows: [EncodedRow] = []
        var failure: (any Error)?
        var isLast = false
    }

    private let feed: any RowFeed
    private let encode: @Sendable (FeedItem) -> EncodedRow
    private let monitor = Monitor()
    private let chunkSize: Int
    private let limit: Int
    // Guarded by the monitor; the feed by `isReading`.
    private var isReading = false
    private var nextRead = 0
    private var nextGiven = 0
    private var hasEnded = false
    private var isStopped = false
    private var ready: [Int: Chunk] = [:]

    init(_ feed: any RowFeed, chunkSize: Int, limit: Int, encode: @escaping @Sendable (FeedItem) -> EncodedRow) {
        self.feed = feed
        self.chunkSize = chunkSize
        self.limit = limit
        self.encode = encode
    }

    /// A worker's life: read a chunk, encode it, lay it down.
    func work() { while step(waits: true) {} }

    /// The next chunk in order. Without workers it is made here and now.
    func next(hasWorkers: Bool) -> Chunk {
        monitor.locked {
            while true {
                if let chunk = ready.removeValue(forKey: nextGiven) {
                    nextGiven += 1
                    monitor.wake()
                    return chunk
                }
                if hasEnded, nextGiven >= nextRead { return Chunk(start: feed.state, isLast: true) }
                if hasWorkers { monitor.wait() } else { break }
            }
            return nil
        }
            ?? {
                _ = step(waits: false)
                return next(hasWorkers: hasWorkers)
            }()
    }

    func stop() {
        monitor.locked {
            isStopped = true
            monitor.wake()
        }
    }

    /// Makes one chunk; false when there is no more to do.
    private func step(waits: Bool) -> Bool {
        let number: Int? = monitor.locked {
            while waits, !isStopped, !hasEnded, isReading || nextRead >= nextGiven + limit { monitor.wait() }
            if isStopped || hasEnded { return nil }
            isReading = true
            nextRead += 1
            return nextRead - 1
        }
        guard let number else { return false }
        var chunk = Chunk(start: feed.state)
        var items: [FeedItem] = []
        do {
            while items.count < chunkSize, !chunk.isLast {
                if let item = try feed.next() { items.append(item) } else { chunk.isLast = true }
            }
        } catch {
            chunk.failure = error
            chunk.isLast = true
        }
        monitor.locked {
            isReading = false
            if chunk.isLast { hasEnded = true }
            monitor.wake()
        }
        chunk.rows = items.map(encode)
        monitor.locked {
            ready[number] = chunk
            monitor.wake()
        }
        return true
    }
}
