internal import JSON
internal import PluginKit

/// Two texts as a model reads them together: ids, and which text each is of.
package struct TextPair: Sendable {
    package let ids, types: [Int32]
}

extension TokenizerHandle {
    /// Two texts with the tokens between them, as the tokenizer's description says; else one text after the other.
    /// - Parameter limit: Tokens that the pair may have; the longer text is cut first, as `tokenizers` does. 0 = any number.
    package func encodePair(_ first: String, _ second: String, limit: Int = 0) throws -> TextPair {
        guard let form = description["pair"]?.array, !form.isEmpty else {
            let parts = try [first, second].map { try encode($0, options: .addSpecial) }
            let kept = Self.kept(parts.map(\.count), limit)
            return TextPair(
                ids: zip(parts, kept).flatMap { $0.prefix($1) },
                types: kept.enumerated().flatMap { [Int32](repeating: Int32($0), count: $1) })
        }
        let parts = try [first, second].map { try encode($0, options: []) }
        let tokens = form.count { $0["id"] != nil }
        let kept = Self.kept(parts.map(\.count), limit > 0 ? max(1, limit - tokens) : 0)
        var ids: [Int32] = []
        var types: [Int32] = []
        for part in form {
            let text = part["text"]?.int ?? 0
            let more =
                part["id"]?.int.map { [Int32(clamping: $0)] }
                ?? Array(parts[text == 1 ? 1 : 0].prefix(kept[text == 1 ? 1 : 0]))
            ids += more
            types += [Int32](repeating: Int32(clamping: part["type"]?.int ?? 0), count: more.count)
        }
        return TextPair(ids: ids, types: types)
    }

    /// How much of two lengths fits into `limit`: the longer one gives way down to a half (`longest_first`).
    package static func kept(_ counts: [Int], _ limit: Int) -> [Int] {
        guard limit > 0, counts[0] + counts[1] > limit else { return counts }
        let (short, long) = (min(counts[0], counts[1]), max(counts[0], counts[1]))
        // With both above a half the first one in order of length has the smaller half.
        let (less, more) = short > limit / 2 ? (limit / 2, limit - limit / 2) : (short, min(long, limit - short))
        return counts[0] > counts[1] ? [more, less] : [less, more]
    }
}
