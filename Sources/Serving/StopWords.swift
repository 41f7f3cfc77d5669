/// Lets text through until a stop word comes, and holds back what may be the beginning of one.
package struct StopWords: Sendable {
    private let words: [[UInt8]]
    private var held: [UInt8] = []
    /// Whether a stop word came; nothing is let through after it.
    package private(set) var isStopped = false

    package init(_ words: [String]) { self.words = words.filter { !$0.isEmpty }.map { Array($0.utf8) } }

    /// Takes whole characters, and gives those that can be no part of a stop word.
    package mutating func push(_ text: String) -> String {
        guard !isStopped else { return "" }
        if words.isEmpty { return text }
        held += Array(text.utf8)
        if let start = firstMatch() {
            isStopped = true
            held.removeSubrange(start...)
            return flush()
        }
        let keep = longestBeginning()
        let out = String(decoding: held.dropLast(keep), as: UTF8.self)
        held.removeFirst(held.count - keep)
        return out
    }

    /// What is still held back, when no more text comes.
    package mutating func finish() -> String { isStopped ? "" : flush() }

    private mutating func flush() -> String {
        defer { held = [] }
        return String(decoding: held, as: UTF8.self)
    }

    private func firstMatch() -> Int? {
        held.indices.first { start in words.contains { held[start...].starts(with: $0) } }
    }

    /// Bytes at the end that begin a stop word. A word begins with a whole character, so nothing is cut in half.
    private func longestBeginning() -> Int {
        let longest = words.map(\.count).max() ?? 0
        return (0..<min(held.count + 1, longest)).reversed().first { count in
            words.contains { $0.starts(with: held.suffix(count)) }
        } ?? 0
    }
}
