/// Damage to JSON that leaves it JSON: values of other types in the place of others, members renamed, doubled and dropped.
extension Mutator {
    private static let values: [String] = [
        "null", "true", "false", "0", "-1", "1.5", "1e300", "-0.0", "NaN", "18446744073709551616",
        "9223372036854775807", "-9223372036854775808", "4294967296", "2147483648", "65536", "\"\"", "\"a\"",
        "\"\\u0000\"", "\"\\ud800\"", "[]", "{}", "[[]]", "[0]", "[null]", "{\"type\":\"Sequence\"}", "[{}]",
        "[1,2,3,4,5,6,7,8,9]", "\"(a|aa)+$\"", "\"../../x\"", "\"/etc/passwd\"", "[-1,9223372036854775807]",
    ]

    /// One to six changes; bytes are damaged as well once in a while.
    package mutating func damageJSON(_ bytes: [UInt8], with other: [UInt8]) -> [UInt8] {
        if below(6) == 0 { return damage(bytes, with: other) }
        var out = bytes
        for _ in 0...below(6) {
            let spans = JSONSpans(out)
            guard !spans.values.isEmpty else { return damage(out, with: other) }
            let value = pick(spans.values)
            switch below(8) {
            case 0, 1: out.replaceSubrange(value, with: Array(pick(Self.values).utf8))
            case 2: out.replaceSubrange(value, with: Array(out[pick(spans.values)]))
            case 3:
                // A value of another file, so that known names meet in new ways.
                let theirs = JSONSpans(other).values
                guard !theirs.isEmpty else { continue }
                out.replaceSubrange(value, with: Array(other[pick(theirs)]))
            case 4:
                guard !spans.keys.isEmpty else { continue }
                out.replaceSubrange(pick(spans.keys), with: Array(out[pick(spans.keys)]))
            case 5:
                guard !spans.members.isEmpty else { continue }
                out.removeSubrange(pick(spans.members))
            case 6:
                guard !spans.members.isEmpty else { continue }
                let member = pick(spans.members)
                out.insert(contentsOf: Array(out[member]), at: pick(spans.members).lowerBound)
            default:
                let depth = 1 + below(100)
                let isList = below(2) == 0
                let open = Array((isList ? "[" : "{\"a\":").utf8)
                let inner = Array(out[value])
                out.replaceSubrange(
                    value,
                    with: Array(Array(repeating: open, count: depth).joined()) + inner
                        + Array(repeating: UInt8(ascii: isList ? "]" : "}"), count: depth))
            }
            if out.count > Self.maximumBytes { return Array(out.prefix(Self.maximumBytes)) }
        }
        return out
    }
}

/// Where the values, the names and the members of a JSON text stand. It reads damaged texts too, as far as they go.
struct JSONSpans {
    private(set) var values: [Range<Int>] = []
    /// Names with their quotes.
    private(set) var keys: [Range<Int>] = []
    /// A name, its value and the comma after it.
    private(set) var members: [Range<Int>] = []

    init(_ bytes: [UInt8]) {
        var open: [(start: Int, key: Int?)] = []
        var key: Int?
        var at = 0
        func end(of start: Int) -> Int {
            var at = start + 1
            while at < bytes.count, bytes[at] != UInt8(ascii: "\"") {
                at += bytes[at] == UInt8(ascii: "\\") ? 2 : 1
            }
            return min(bytes.count, at + 1)
        }
        func close(_ start: Int, _ end: Int, _ name: Int?) {
            values.append(start..<end)
            guard let name else { return }
            let hasComma = end < bytes.count && bytes[end] == UInt8(ascii: ",")
            members.append(name..<(hasComma ? end + 1 : end))
        }
        while at < bytes.count {
            let start = at
            switch bytes[at] {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                open.append((at, key))
                key = nil
                at += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                at += 1
                if let last = open.popLast() { close(last.start, at, last.key) }
                key = nil
            case UInt8(ascii: "\""):
                at = end(of: at)
                let after = bytes[at...].first { $0 != 0x20 && $0 != 0x0A && $0 != 0x0D && $0 != 0x09 }
                if after == UInt8(ascii: ":"), key == nil {
                    keys.append(start..<at)
                    key = start
                } else {
                    close(start, at, key)
                    key = nil
                }
            case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "z"):
                while at < bytes.count, ![0x2C, 0x5D, 0x7D, 0x20, 0x0A, 0x0D, 0x09, 0x3A].contains(bytes[at]) {
                    at += 1
                }
                if at == start { at += 1 }
                close(start, at, key)
                key = nil
            default: at += 1
            }
        }
    }
}
