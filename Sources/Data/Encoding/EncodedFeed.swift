import JSON
import Template
import Threads

/// Encoded rows in the order of a feed, whatever the number of threads that encode them.
package final class EncodedFeed {
    private let feed: any RowFeed
    private let encode: @Sendable (FeedItem) -> EncodedRow
    private let workerCount: Int
    private var queue: EncodingQueue
    private var workers: Workers?
    private var chunk: EncodingQueue.Chunk
    private var index = 0
    private static let chunkSize = 32

    /// - Parameters:
    ///   - schemas: By the number of the data set that a row belongs to; the last one serves for those beyond it.
    ///   - workers: Threads that encode ahead; 0 encodes in the caller's thread.
    ///   - cache: Where encoded rows are kept from run to run.
    package init(
        _ feed: any RowFeed, encoder: any RowEncoder, schemas: [RowSchema], truncation: Truncation, workers: Int,
        cache: EncodedCache? = nil
    ) {
        self.feed = feed
        workerCount = max(0, workers)
        encode = { Self.encode($0, encoder, schemas, truncation, cache) }
        queue = EncodingQueue(feed, chunkSize: Self.chunkSize, limit: 4 * max(1, workers), encode: encode)
        chunk = EncodingQueue.Chunk(start: feed.state)
    }

    deinit { stop() }

    /// The next row's examples or rejection; nil at the end.
    package func next() throws -> EncodedRow? {
        while index == chunk.rows.count {
            if let failure = chunk.failure { throw failure }
            if chunk.isLast { return nil }
            if workers == nil, workerCount > 0 {
                let queue = queue
                workers = Workers(workerCount) { queue.work() }
            }
            chunk = queue.next(hasWorkers: (workers?.count ?? 0) > 0)
            index = 0
        }
        defer { index += 1 }
        return chunk.rows[index]
    }

    /// Where the feed stood before the chunk in hand, and how many of its rows were given.
    package var state: JSON { ["feed": chunk.start, "skip": .int(Int64(index))] }

    package func restore(_ state: JSON) throws {
        guard let inner = state["feed"], let skip = state["skip"]?.int, skip >= 0 else {
            throw DataError("cursor", found: state.text(), wanted: "a state of encoded rows")
        }
        stop()
        try feed.restore(inner)
        for _ in 0..<skip {
            guard try feed.next() != nil else { break }
        }
        queue = EncodingQueue(feed, chunkSize: Self.chunkSize, limit: 4 * max(1, workerCount), encode: encode)
        chunk = EncodingQueue.Chunk(start: feed.state)
        index = 0
    }

    private func stop() {
        queue.stop()
        workers?.join()
        workers = nil
    }

    private static func encode(
        _ item: FeedItem, _ encoder: any RowEncoder, _ schemas: [RowSchema], _ truncation: Truncation,
        _ cache: EncodedCache?
    ) -> EncodedRow {
        switch item {
        case .reject(let reject): return .rejected(reject)
        case .row(let row):
            let schema = schemas.isEmpty ? RowSchema() : schemas[min(max(row.dataset, 0), schemas.count - 1)]
            do {
                let example =
                    try cache?.example(for: row, schema)
                    ?? { () throws in
                        let fresh = try encoder.encode(try schema.convert(row))
                        try cache?.keep(fresh, for: row, schema)
                        return fresh
                    }()
                let outcome = try truncation.apply(example)
                return .examples(outcome.examples, cut: outcome.cut, at: row.location)
            } catch let reject as Reject {
                return .rejected(reject)
            } catch let failure as TruncationFailure {
                return .rejected(Reject(row, failure.cause))
            } catch let lost as LostTools {
                return .rejected(Reject(row, lost.cause))
            } catch TrainingError.nothingTrained {
                return .rejected(Reject(row, "nothing trained: \(TrainingError.nothingTrained)"))
            } catch {
                return .rejected(Reject(row, "cannot be encoded: \(error)"))
            }
        }
    }
}
