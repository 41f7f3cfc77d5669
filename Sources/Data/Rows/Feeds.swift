import JSON

/// Shuffles a stream within windows of `window` rows.
///
/// A window, unlike a buffer from which single rows are drawn, can be rebuilt from where it starts: the state stays
/// small, and a run taken up again sees the rows that it would have seen.
package final class ShuffledFeed: RowFeed {
    private let feed: any RowFeed
    private let window: Int
    private let seed: UInt64
    private var windowIndex = -1
    private var start: JSON
    private var items: [FeedItem] = []
    private var position = 0

    package init(_ feed: any RowFeed, window: Int, seed: UInt64) {
        self.feed = feed
        self.window = max(1, window)
        self.seed = seed
        start = feed.state
    }

    package func next() throws -> FeedItem? {
        if position == items.count { try fill() }
        guard position < items.count else { return nil }
        defer { position += 1 }
        return items[position]
    }

    private func fill() throws {
        start = feed.state
        windowIndex += 1
        position = 0
        var read: [FeedItem] = []
        while read.count < window, let item = try feed.next() { read.append(item) }
        items = SeededOrder(seed: seed, stream: windowIndex).permutation(read.count).map { read[$0] }
    }

    package var state: JSON {
        [
            "feed": position == items.count ? feed.state : start,
            "window": .int(Int64(position == items.count ? windowIndex : windowIndex - 1)),
            "position": .int(Int64(position == items.count ? 0 : position)),
        ]
    }

    package func restore(_ state: JSON) throws {
        guard let inner = state["feed"], let index = state["window"]?.int, let position = state["position"]?.int,
            index >= -1, position >= 0
        else { throw DataError("cursor", found: state.text(), wanted: "a state of a shuffled stream") }
        try feed.restore(inner)
        windowIndex = index
        items = []
        self.position = 0
        guard position > 0 else { return }
        try fill()
        self.position = min(position, items.count)
    }
}

/// Draws from several streams by weight.
package final class InterleavedFeed: RowFeed {
    /// When the mixture ends.
    package enum Stopping: String, Sendable {
        /// As soon as one stream has no more rows.
        case firstExhausted = "first_exhausted"
        /// When every stream has ended; those that end early leave the draw.
        case allExhausted = "all_exhausted"
    }
    private let feeds: [any RowFeed]
    private let weights: [Double]
    private let order: SeededOrder
    private let stopping: Stopping
    private var draws = 0
    private var ended: [Bool]

    package init(_ feeds: [any RowFeed], weights: [Double], seed: UInt64, stopping: Stopping) {
        self.feeds = feeds
        self.weights = weights
        order = SeededOrder(seed: seed, stream: 0x6D69)
        self.stopping = stopping
        ended = feeds.map { _ in false }
    }

    package func next() throws -> FeedItem? {
        while let pick = pick() {
            draws += 1
            if let item = try feeds[pick].next() { return item }
            ended[pick] = true
            if stopping == .firstExhausted { ended = ended.map { _ in true } }
        }
        return nil
    }

    private func pick() -> Int? {
        let open = feeds.indices.filter { !ended[$0] && weights[$0] > 0 }
        var left = order.uniform(draws) * open.reduce(0) { $0 + weights[$1] }
        for index in open {
            left -= weights[index]
            if left < 0 { return index }
        }
        return open.last
    }

    package var state: JSON {
        ["draws": .int(Int64(draws)), "ended": .array(ended.map { .bool($0) }), "feeds": .array(feeds.map(\.state))]
    }

    package func restore(_ state: JSON) throws {
        guard let draws = state["draws"]?.int, let ended = state["ended"]?.array?.compactMap(\.bool),
            let states = state["feeds"]?.array, ended.count == feeds.count, states.count == feeds.count
        else { throw DataError("cursor", found: state.text(), wanted: "a state of \(feeds.count) mixed streams") }
        for (feed, state) in zip(feeds, states) { try feed.restore(state) }
        self.draws = draws
        self.ended = ended
    }
}

/// Streams one after the other.
package final class ChainedFeed: RowFeed {
    private let feeds: [any RowFeed]
    private var index = 0

    package init(_ feeds: [any RowFeed]) { self.feeds = feeds }

    package func next() throws -> FeedItem? {
        while index < feeds.count {
            if let item = try feeds[index].next() { return item }
            index += 1
        }
        return nil
    }

    package var state: JSON {
        ["index": .int(Int64(index)), "feed": index < feeds.count ? feeds[index].state : .null]
    }

    package func restore(_ state: JSON) throws {
        guard let index = state["index"]?.int, (0...feeds.count).contains(index), let inner = state["feed"] else {
            throw DataError("cursor", found: state.text(), wanted: "a state of \(feeds.count) streams")
        }
        self.index = index
        if index < feeds.count { try feeds[index].restore(inner) }
    }
}
