/// Byte-pair merging of a long word in near-linear time.
///
/// Positions that wait for a merge lie in one bucket for each rank; the ranks lie in a heap. A merge makes pairs of
/// higher rank nearly always: then a bucket is drained once, left to right, and no position is compared with another.
/// Where it makes one of no higher rank, the bucket in hand is laid aside until that pair is merged, so the order is the
/// exact one for any vocabulary.
struct LongWordMerge<Rule: MergeRule> {
    private let rule: Rule
    private let text: UnsafeBufferPointer<UInt8>
    /// By symbol: id (-1 once merged away), start, neighbours, and the merge it could make with its right neighbour.
    private var ids: [Int32]
    private let starts: [Int32]
    private var next: [Int32]
    private var previous: [Int32]
    private var merges: [Merge]
    private var buckets: [UInt32: Bucket] = [:]
    private var ranks = Heap<UInt32>()

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
        for index in 0..<ids.count
        where frozen.isEmpty || !(frozen.contains(Int32(index)) || frozen.contains(Int32(index) + 1)) {
            push(index)
        }
        while let rank = ranks.pop() {
            guard let bucket = buckets.removeValue(forKey: rank) else { continue }
            drain(bucket, rank, frozen)
        }
        let left = ids.indices.filter { ids[$0] != Int32.min }
        return (left.map { ids[$0] }, left.map { starts[$0] } + [starts[ids.count]])
    }

    private mutating func drain(_ waiting: Bucket, _ rank: UInt32, _ frozen: Set<Int32>) {
        var bucket = waiting
        bucket.start()
        while let position = bucket.next() {
            let index = Int(position)
            guard ids[index] != Int32.min, merges[index] != .none, merges[index].rank == rank else { continue }
            if apply(index, frozen) <= rank {
                // The rest waits until what must come before it is merged.
                if let late = buckets.removeValue(forKey: rank) { bucket.add(late) }
                buckets[rank] = bucket
                ranks.push(rank)
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
        if buckets[rank]?.add(Int32(index)) == nil {
            buckets[rank] = Bucket(Int32(index))
            ranks.push(rank)
        }
        return rank
    }
}

/// The positions that wait for the merges of one rank.
private struct Bucket {
    private var positions: [Int32]
    private var done = 0
    private var isStarted = false
    /// What came after the draining began.
    private var late = Heap<Int32>()

    init(_ position: Int32) { positions = [position] }

    mutating func add(_ position: Int32) {
        if isStarted { late.push(position) } else { positions.append(position) }
    }

    mutating func add(_ other: Bucket) {
        for position in other.positions { add(position) }
    }

    mutating func start() {
        if isStarted { return }
        isStarted = true
        if !zip(positions, positions.dropFirst()).allSatisfy({ $0 <= $1 }) { positions.sort() }
    }

    /// Takes the leftmost position.
    mutating func next() -> Int32? {
        if done < positions.count, late.least.map({ positions[done] <= $0 }) ?? true {
            done += 1
            return positions[done - 1]
        }
        return late.pop()
    }
}

/// A binary heap, the least first. An item may stand in it more than once.
private struct Heap<Item: Comparable> {
    private var items: [Item] = []

    var least: Item? { items.first }

    mutating func push(_ item: Item) {
        items.append(item)
        var at = items.count - 1
        while at > 0, items[(at - 1) / 2] > items[at] {
            items.swapAt(at, (at - 1) / 2)
            at = (at - 1) / 2
        }
    }

    mutating func pop() -> Item? {
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
