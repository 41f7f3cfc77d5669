/// How rows are put together into batches.
package enum PackingStrategy: String, Sendable, CaseIterable {
    /// `rows` examples a batch, of whatever length.
    case none
    /// Best fit, longest first, within windows of a fixed number of rows.
    case binpack
    /// In the order in which they come, a new batch when the next does not fit.
    case sequential
}

/// What batches look like.
package struct BatchPlan: Sendable, Equatable {
    package var strategy: PackingStrategy
    /// Most tokens in a batch, for the packing strategies.
    package var tokens: Int
    /// Examples in a batch, for `none`.
    package var rows: Int
    /// Examples that best fit sees at once. The window is counted in rows of the stream, so that neither the number of
    /// workers nor the place at which a run was resumed changes a batch.
    package var window: Int

    package init(_ strategy: PackingStrategy = .none, tokens: Int = 2048, rows: Int = 1, window: Int = 1024) {
        self.strategy = strategy
        self.tokens = max(1, tokens)
        self.rows = max(1, rows)
        self.window = max(1, window)
    }
}

/// Puts examples into bins.
package enum Packing {
    /// Bins of indices into `lengths`, none longer in sum than `capacity` except a single item that is longer itself.
    ///
    /// Best-fit decreasing (Johnson, Near-optimal bin packing algorithms, 1973): at most 11/9 of the fewest bins
    /// plus a constant. Items of one bin keep their order, and bins are ordered by their first item, so that what was
    /// shuffled stays shuffled and the result depends on `lengths` alone.
    package static func bestFit(_ lengths: [Int], capacity: Int) -> [[Int]] {
        let order = lengths.indices.sorted { lengths[$0] != lengths[$1] ? lengths[$0] > lengths[$1] : $0 < $1 }
        var bins: [[Int]] = []
        /// Bins by the room that is left in them, least first; ties by age.
        var open: [(room: Int, bin: Int)] = []
        for item in order {
            let length = lengths[item]
            var low = 0
            var high = open.count
            while low < high {
                let middle = (low + high) / 2
                if open[middle].room < length { low = middle + 1 } else { high = middle }
            }
            let target: (room: Int, bin: Int)
            if low < open.count {
                target = open.remove(at: low)
                bins[target.bin].append(item)
            } else {
                target = (max(capacity, length), bins.count)
                bins.append([item])
            }
            let left = (room: target.room - length, bin: target.bin)
            if left.room > 0 {
                let at = open.firstIndex { ($0.room, $0.bin) > (left.room, left.bin) } ?? open.count
                open.insert(left, at: at)
            }
        }
        return bins.map { $0.sorted() }.sorted { ($0.first ?? 0) < ($1.first ?? 0) }
    }

    /// Bins in the order of the items.
    package static func sequential(_ lengths: [Int], capacity: Int) -> [[Int]] {
        var bins: [[Int]] = []
        var room = 0
        for (item, length) in lengths.enumerated() {
            if bins.isEmpty || length > room {
                bins.append([])
                room = capacity
            }
            bins[bins.count - 1].append(item)
            room -= length
        }
        return bins
    }
}
