/// The candidate that `name` was most likely meant to be, or nil when none is near: at most a third of the letters differ.
/// Distance: optimal string alignment (insert, delete, replace, swap of neighbours), case and '-' against '_' ignored.
package func nearest(_ name: String, in candidates: some Sequence<String>) -> String? {
    let wanted = folded(name)
    var best: (candidate: String, distance: Int)?
    for candidate in candidates {
        let other = folded(candidate)
        let limit = max(wanted.count, other.count) / 3
        guard abs(wanted.count - other.count) <= limit else { continue }
        let distance = editDistance(wanted, other)
        if distance <= limit, distance < best?.distance ?? Int.max { best = (candidate, distance) }
    }
    return best?.candidate
}

private func folded(_ text: String) -> [UInt8] {
    text.utf8.map { 65...90 ~= $0 ? $0 + 32 : $0 == UInt8(ascii: "-") ? UInt8(ascii: "_") : $0 }
}

private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var before: [Int] = []
    var previous = Array(0...b.count)
    for i in 0..<a.count {
        var current = [i + 1]
        current.reserveCapacity(b.count + 1)
        for j in 0..<b.count {
            var cost = min(previous[j + 1] + 1, current[j] + 1, previous[j] + (a[i] == b[j] ? 0 : 1))
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, before[j - 1] + 1) }
            current.append(cost)
        }
        before = previous
        previous = current
    }
    return previous[b.count]
}
