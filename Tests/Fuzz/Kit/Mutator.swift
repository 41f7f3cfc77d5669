/// Damages bytes in the ways in which files are damaged or forged: bits, numbers, lengths, cuts, repeats, and parts of
/// others. The same seed gives the same damage.
package struct Mutator {
    private var random: SplitMix
    /// No input grows beyond this.
    package static let maximumBytes = 1 << 17

    package init(seed: UInt64) { random = SplitMix(seed) }

    package mutating func below(_ limit: Int) -> Int { limit <= 0 ? 0 : Int.random(in: 0..<limit, using: &random) }

    package mutating func pick<T>(_ list: [T]) -> T { list[below(list.count)] }

    /// Numbers that lengths, offsets and counts go wrong at.
    static let edges: [UInt64] = [
        0, 1, 2, 7, 8, 31, 32, 127, 128, 255, 256, 65_535, 65_536, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF,
        0x1_0000_0000, 0x7FFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000, 0xFFFF_FFFF_FFFF_FFFF,
    ]
    /// Pieces that text formats go wrong at.
    private static let pieces: [[UInt8]] =
        [
            "{", "}", "[", "]", "\"", ":", ",", "null", "true", "-1", "1e999", "99999999999999999999", "\\u0000",
            "\\ud800", "{{", "}}", "{%", "%}", "{% for x in y %}", "{% endfor %}", "|", "((((((((", "[[[[[[[[", "**",
            "//", "%", "~", "loop", "range(99999999)", "'", "\\", "\n", "\u{0}", "é", "(?:a+)+$", "\\p{L}+",
            "(((((((((((", "{1,65535}", "<0x00>", ".", "-", " is ", "if", "NaN", "{\"a\":1,\"a\":2}", "\"\"\"",
            "\r\n", "\u{FEFF}", "<img>", "&a *a", "\t", " ",
        ].map { Array($0.utf8) } + [
            [0xFF], [0xC3], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], Array(repeating: 0x5B, count: 300),
            Array(repeating: 0x61, count: 5000),
        ]

    /// One to eight changes to `bytes`; `other` lends parts.
    package mutating func damage(_ bytes: [UInt8], with other: [UInt8]) -> [UInt8] {
        var out = bytes
        for _ in 0...below(8) { damageOnce(&out, other) }
        if out.count > Self.maximumBytes { out.removeLast(out.count - Self.maximumBytes) }
        return out
    }

    private mutating func damageOnce(_ out: inout [UInt8], _ other: [UInt8]) {
        let at = below(out.count)
        switch below(12) {
        case 0 where !out.isEmpty: out[at] ^= 1 << UInt8(below(8))
        case 1 where !out.isEmpty: out[at] = UInt8(below(256))
        case 2 where !out.isEmpty: out.removeSubrange(at..<min(out.count, at + 1 + below(16)))
        case 3 where !out.isEmpty:
            // Cut short: a little most often, anywhere at times.
            out.removeLast(below(4) == 0 ? below(out.count) : below(min(out.count, 64) + 1))
        case 4: overwrite(&out, at, width: pick([1, 2, 4, 8]), pick(Self.edges))
        case 5: overwrite(&out, at, width: pick([4, 8]), UInt64(below(2 * out.count + 2)))
        case 6: out.insert(contentsOf: pick(Self.pieces), at: at)
        case 7 where !out.isEmpty:
            let part = Array(out[at..<min(out.count, at + 1 + below(64))])
            out.insert(contentsOf: part, at: below(out.count))
        case 8 where !other.isEmpty:
            let from = below(other.count)
            out.insert(contentsOf: other[from..<min(other.count, from + 1 + below(64))], at: at)
        case 9 where !out.isEmpty && !other.isEmpty:
            let cut = below(other.count)
            out = Array(out[..<at] + other[cut...])
        case 10: number(&out, at)
        default: out.insert(UInt8(below(256)), at: at)
        }
    }

    /// Writes `value`, little-endian, over what stands at `at`.
    func overwrite(_ bytes: inout [UInt8], _ at: Int, width: Int, _ value: UInt64) {
        for i in 0..<width where at + i < bytes.count { bytes[at + i] = UInt8(truncatingIfNeeded: value >> (8 * i)) }
    }

    /// Puts another number in the place of the next one that is written out.
    private mutating func number(_ bytes: inout [UInt8], _ at: Int) {
        guard let start = bytes[min(at, bytes.count)...].firstIndex(where: { 48...57 ~= $0 }) else { return }
        let end = bytes[start...].firstIndex { !(48...57 ~= $0) } ?? bytes.count
        bytes.replaceSubrange(start..<end, with: Array(String(pick(Self.edges)).utf8))
    }
}
