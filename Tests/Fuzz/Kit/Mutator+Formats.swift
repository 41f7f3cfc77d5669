import Files

/// Damage that keeps the frame of a binary format whole, so that what lies within is read at all.
extension Mutator {
    /// A safetensors file whose header is damaged as JSON and whose length says so.
    mutating func damageSafetensors(_ bytes: [UInt8], with other: [UInt8]) -> [UInt8] {
        guard below(4) > 0, let header = Self.header(bytes) else { return damage(bytes, with: other) }
        let theirs = Self.header(other).map { Array(other[$0]) } ?? []
        let damaged = damageJSON(Array(bytes[header]), with: theirs)
        var out = [UInt8](repeating: 0, count: 8) + damaged + bytes[header.upperBound...]
        overwrite(&out, 0, width: 8, UInt64(damaged.count))
        return out
    }

    private static func header(_ bytes: [UInt8]) -> Range<Int>? {
        guard bytes.count >= 8 else { return nil }
        let count = bytes[..<8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        return count <= UInt64(bytes.count - 8) ? 8..<8 + Int(count) : nil
    }

    /// A GGUF file in which a length, a count, a type, a dimension or an offset is another; else any damage.
    mutating func damageGGUF(_ bytes: [UInt8], with other: [UInt8]) -> [UInt8] {
        let fields = below(4) > 0 ? GGUFFields(bytes).fields : []
        guard !fields.isEmpty else { return damage(bytes, with: other) }
        var out = bytes
        for _ in 0...below(3) {
            let field = pick(fields)
            let old = bytes[field].reversed().reduce(0) { $0 << 8 | UInt64($1) }
            let new: UInt64
            switch below(5) {
            case 0: new = pick(Self.edges)
            case 1: new = old &+ 1
            case 2: new = old &- 1
            case 3: new = UInt64(below(16))
            default: new = UInt64(below(2 * bytes.count))
            }
            overwrite(&out, field.lowerBound, width: field.count, new)
        }
        return below(4) == 0 ? damage(out, with: other) : out
    }

    /// A PyTorch archive whose pickle is damaged, put together anew.
    mutating func damageArchive(_ bytes: [UInt8], with other: [UInt8]) -> [UInt8] {
        guard below(4) > 0,
            let zip = bytes.withUnsafeBytes({ raw in try? ZipDirectory(raw, path: "") }),
            let pickle = zip.entries.firstIndex(where: { $0.name.hasSuffix("data.pkl") })
        else { return damage(bytes, with: other) }
        let lent = other.withUnsafeBytes { raw in try? ZipDirectory(raw, path: "") }?.entries
            .first { $0.name.hasSuffix("data.pkl") }
        var members = zip.entries.map { (name: $0.name, bytes: Array(bytes[$0.range])) }
        members[pickle].bytes = damage(members[pickle].bytes, with: lent.map { Array(other[$0.range]) } ?? [])
        return Self.archive(members)
    }

    /// A zip archive of stored entries (PKWARE APPNOTE 6.3.10), without checksums.
    private static func archive(_ members: [(name: String, bytes: [UInt8])]) -> [UInt8] {
        func number(_ value: Int, _ width: Int) -> [UInt8] { (0..<width).map { UInt8(value >> (8 * $0) & 255) } }
        var out: [UInt8] = []
        var directory: [UInt8] = []
        for (name, bytes) in members {
            let sizes = number(0, 4) + number(bytes.count, 4) + number(bytes.count, 4) + number(name.utf8.count, 2)
            let common = number(20, 2) + number(0, 8) + sizes + number(0, 2)
            directory +=
                number(0x0201_4b50, 4) + number(20, 2) + common + number(0, 10) + number(out.count, 4) + name.utf8
            out += number(0x0403_4b50, 4) + common + name.utf8 + bytes
        }
        let end = number(members.count, 2) + number(members.count, 2) + number(directory.count, 4)
        return out + directory + number(0x0605_4b50, 4) + number(0, 4) + end + number(out.count, 4) + number(0, 2)
    }
}

/// Where the lengths, counts, types, numbers and offsets of a GGUF file stand (ggml's gguf.md), as far as it makes sense.
private struct GGUFFields {
    private(set) var fields: [Range<Int>] = []
    private let bytes: [UInt8]
    private var at = 4

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        _ = take(4)
        guard let tensors = take(8), let keys = take(8), tensors < 4096, keys < 4096 else { return }
        for _ in 0..<keys {
            guard text(), let type = take(4), value(type) else { return }
        }
        for _ in 0..<tensors {
            guard text(), let dimensions = take(4), dimensions < 9 else { return }
            for _ in 0..<dimensions where take(8) == nil { return }
            guard take(4) != nil, take(8) != nil else { return }
        }
    }

    private mutating func take(_ width: Int) -> UInt64? {
        guard at + width <= bytes.count else { return nil }
        fields.append(at..<at + width)
        at += width
        return bytes[at - width..<at].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    private mutating func text() -> Bool {
        guard let count = take(8), count <= UInt64(bytes.count - at) else { return false }
        at += Int(count)
        return true
    }

    private mutating func value(_ type: UInt64) -> Bool {
        switch type {
        case 0, 1, 7: return take(1) != nil
        case 2, 3: return take(2) != nil
        case 4...6: return take(4) != nil
        case 10...12: return take(8) != nil
        case 8: return text()
        case 9:
            guard let inner = take(4), inner != 9, let count = take(8) else { return false }
            for i in 0..<count {
                guard value(inner) else { return false }
                // Of a long list the first few are enough.
                if i > 15 { fields.removeLast() }
            }
            return true
        default: return false
        }
    }
}
