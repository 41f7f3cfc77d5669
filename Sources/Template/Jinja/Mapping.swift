/// A Python dict: keys in the order in which they came, found by Python's equality (1, 1.0 and True are one key).
final class Mapping {
    let keys: [Value]
    let values: [Value]
    private let index: [Key: Int]
    let depth: Int

    /// A key as the hash table sees it.
    enum Key: Hashable {
        case none
        case number(Double)
        case integer(Int)
        case bytes([UInt8])
        case tuple([Key])

        init?(_ value: Value) {
            switch value {
            case .none: self = .none
            case .bool(let flag): self = .integer(flag ? 1 : 0)
            case .int(let number): self = .integer(number)
            case .double(let number): self = Int(exactly: number).map { .integer($0) } ?? .number(number)
            case .string(let text), .markup(let text): self = .bytes(Array(text.utf8))
            case .tuple(let elements):
                var keys: [Key] = []
                for element in elements.values {
                    guard let key = Key(element) else { return nil }
                    keys.append(key)
                }
                self = .tuple(keys)
            default: return nil
            }
        }
    }

    init(_ members: some Sequence<(key: Value, value: Value)>) throws(Fault) {
        var keys: [Value] = []
        var values: [Value] = []
        var index: [Key: Int] = [:]
        for (key, value) in members {
            let hashed = try Mapping.hashed(key)
            if let at = index[hashed] {
                values[at] = value
            } else {
                index[hashed] = keys.count
                keys.append(key)
                values.append(value)
            }
        }
        self.keys = keys
        self.values = values
        self.index = index
        depth = Swift.max(try Value.checkedDepth(values), try Value.checkedDepth(keys))
    }

    private static func hashed(_ key: Value) throws(Fault) -> Key {
        guard let hashed = Key(key) else { throw .value("unhashable type: '\(key.typeName)'") }
        return hashed
    }

    var count: Int { keys.count }

    func find(_ key: Value) throws(Fault) -> Value? {
        index[try Mapping.hashed(key)].map { values[$0] }
    }

    subscript(key: String) -> Value? { index[.bytes(Array(key.utf8))].map { values[$0] } }

    func items() throws(Fault) -> [Value] {
        var items: [Value] = []
        items.reserveCapacity(count)
        for at in keys.indices { items.append(try .makeTuple([keys[at], values[at]])) }
        return items
    }
}
