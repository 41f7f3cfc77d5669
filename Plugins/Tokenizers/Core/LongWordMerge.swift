/// Byte-pair merging of a long word in near-linear time.
///
/// Positions that wait for a merge lie in one bucket for each rank; the ranks lie in a heap. A merge makes pairs of
/// higher rank only, when the vocabulary was trained as byte-pair encoding is: then a bucket is drained once, left to
/// right, and no position is compared with another. Where a vocabulary breaks that rule, the pair that does is put
/// into its bucket and that bucket is drained first, so the result is the exact one for any vocabulary.
struct LongWordMerge<Rule: MergeRule> {
    private let rule: Rule
    private let text: UnsafeBufferPointer<UInt8>
    /// By symbol: id (-1 once merged away), start, neighbours, and the merge it could make with its right neighbour.
    private var ids: [Int32]
    private let starts: [Int32]
    private var next: [Int32]
    private var previous: [Int32]
    private var merges: [Merge]
    private var buckets: [UInt32: [Int32]] = [:]
    private var ranks = Heap()

    /// - Parameter starts: the start of each symbol, and the word's end.
    init(_ rule: Rule, _ text: UnsafeBufferPointer<UInt8>, ids: [Int32], starts: [Int32]) {
        self.rule = rule
        self.text = text
        self.ids = ids
        self.starts = starts
        let count = Int32(ids.count)
        next = (0..<count).map { $0 + 1 }
        previous = (0..<count).map { $0 - 1 }
        merges = Array(repeating: .none, count: ids.count)
    }

    /// Merges until nothing merges.
    /// - Parameter isFrozen: whether the symbol at this index may not merge.
    /// - Returns: the ids that are left and where each starts.
    mutating func run(frozen: Set<Int32>) -> (ids: [Int32], starts: [Int32]) {
        for index in 0..<ids.count where frozen.isEmpty || !(frozen.contains(Int32(index)) || frozen.contains(Int32(index) + 1)) {
            push(index)
        }
        while let rank = ranks.pop() {
            guard let bucket = buckets.removeValue(forKey: rank) else { continue }
            drain(bucket, rank, frozen)
        }
        let left = ids.indices.filter { ids[$0] != Int32.min }
        return (left.map { ids[$0] }, left.map { starts[$0] } + [starts[ids.count]])
    }

    private mutating func drain(_ unsorted: [Int32], _ rank: UInt32, _ frozen: Set<Int32>) {
        var bucket = unsorted
        if !zip(bucket, bucket.dropFirst()).allSatisfy({ $0 <= $1 }) { bucket.sort() }
        for (at, position) in bucket.enumerated() {
            let index = Int(position)
            guard ids[index] != Int32.min, merges[index] != .none, merges[index].rank == rank else { continue }
            let least = apply(index, frozen)
            if least <= rank {
                // The rest waits until what must come before it is merged.
                let rest = bucket[(at + 1)...]
                if buckets[rank] == nil { ranks.push(rank) }
                buckets[rank, default: []].append(contentsOf: rest)
                return
            }
        }
    }

    /// Merges the symbol at `index` with its right neighbour; gives the least rank among the pairs this makes.
    private mutating func apply(_ index: Int, _ frozen: Set<Int32>) -> UInt32 {
        let right = Int(next[index])
        ids[index] = merges[index].mergedID
        ids[right] = Int32.min
        merges[right] = .none
        merges[index] = .none
        next[index] = next[right]
        if Int(next[index]) < ids.count { previous[Int(next[index])] = Int32(index) }
        var least = UInt32.max
        if frozen.isEmpty || !frozen.contains(next[index]) { least = push(index) }
        let left = Int(previous[index])
        if left >= 0, frozen.isEmpty || !frozen.contains(Int32(left)) { least = min(least, push(left)) }
        return least
    }

    @discardableResult
    private mutating func push(_ index: Int) -> UInt32 {
        let right = Int(next[index])
        guard right < ids.count, let base = text.baseAddress else {
            merges[index] = .none
            return .max
        }
        let start = Int(starts[index])
        let end = Int(next[right]) < ids.count ? Int(starts[Int(next[right])]) : Int(starts[ids.count])
        let merge = rule.merge(ids[index], ids[right], base + start, end - start)
        merges[index] = merge
        if merge == .none { return .max }
        let rank = merge.rank
        if buckets[rank]?.append(Int32(index)) == nil {
            buckets[rank] = [Int32(index)]
            ranks.push(rank)
        }
        return rank
    }
}

/// A binary heap of ranks, the least first. A rank may stand in it more than once.
private struct Heap {
    private var items: [UInt32] = []

    mutating func push(_ item: UInt32) {
        items.append(item)
        var at = items.count - 1
        while at > 0, items[(at - 1) / 2] > items[at] {
            items.swapAt(at, (at - 1) / 2)
            at = (at - 1) / 2
        }
    }

    mutating func pop() -> UInt32? {
        guard let least = items.first, let last = items.popLast() else { return nil }
        if items.isEmpty { return least }
        items[0] = last
        var at = 0
        while 2 * at + 1 < items.count {
            var child = 2 * at + 1
            if child + 1 < items.count, items[child + 1] < items[child] { child += 1 }
            if items[at] <= items[child] { break }
            items.swapAt(at, child)
            at = child
        }
        return least
    }
}
