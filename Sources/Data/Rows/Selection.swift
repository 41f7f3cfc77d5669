/// Which rows of a data set are trained on, and in which order.
package enum Selection {
    /// `wanted` of `count` rows: without repetition where there are enough, else every row as often as it goes in
    /// whole and the rest drawn without repetition (`name#n` with n above the size).
    package static func sample(_ wanted: Int, of count: Int, order: SeededOrder?) -> [Int] {
        guard count > 0, wanted > 0 else { return [] }
        let whole = Array(repeating: Array(0..<count), count: wanted / count).flatMap { $0 }
        let rest = wanted % count
        let shuffled = order?.permutation(count) ?? Array(0..<count)
        return whole + shuffled.prefix(rest)
    }

    /// Parts the rows into those to train on and those to validate with: `max(1, ratio * count)` of the latter.
    package static func split(_ rows: [Int], ratio: Double, order: SeededOrder) -> (train: [Int], validation: [Int]) {
        guard ratio > 0, rows.count > 1 else { return (rows, []) }
        if ratio >= 1 { return ([], rows) }
        let wanted = min(rows.count - 1, max(1, Int(ratio * Double(rows.count))))
        let shuffled = order.permutation(rows.count)
        let chosen = Set(shuffled.prefix(wanted))
        return (
            rows.indices.filter { !chosen.contains($0) }.map { rows[$0] },
            rows.indices.filter { chosen.contains($0) }.map { rows[$0] }
        )
    }

    /// Positions of several sources in the order of weighted draws, until one or all of them are used up.
    /// - Returns: (source, number within the source).
    package static func interleave(
        _ counts: [Int], weights: [Double], stopping: InterleavedFeed.Stopping, order: SeededOrder
    ) -> [(source: Int, index: Int)] {
        var used = counts.map { _ in 0 }
        var out: [(source: Int, index: Int)] = []
        var draw = 0
        while true {
            let open = counts.indices.filter { weights[$0] > 0 && used[$0] < counts[$0] }
            if open.isEmpty || stopping == .firstExhausted && open.count < weights.count(where: { $0 > 0 }) {
                return out
            }
            var left = order.uniform(draw) * open.reduce(0) { $0 + weights[$1] }
            draw += 1
            var pick = open[open.count - 1]
            for index in open {
                left -= weights[index]
                if left < 0 {
                    pick = index
                    break
                }
            }
            out.append((pick, used[pick]))
            used[pick] += 1
        }
    }
}
