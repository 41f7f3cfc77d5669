/// A JSON value (RFC 8259). Objects keep the order of their keys; integers that fit stay integers.
public enum JSON: Sendable, Equatable {
    case null
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case string(String)
    case array([JSON])
    case object(JSONObject)
}

extension JSON {
    /// The member named `key`, or nil when this is no object or has no such member.
    public subscript(key: String) -> JSON? {
        if case .object(let object) = self { return object[key] }
        return nil
    }

    /// The element at `index`, or nil when this is no array or the index is out of range.
    public subscript(index: Int) -> JSON? {
        if case .array(let array) = self, array.indices.contains(index) { return array[index] }
        return nil
    }

    /// The value at a path such as "rope_scaling.factor" or "messages[0].content"; nil where a step is absent.
    public func value(at path: String) -> JSON? {
        var value = self
        for part in path.split(whereSeparator: { $0 == "." || $0 == "[" }) {
            let next = part.hasSuffix("]") ? Int(part.dropLast()).flatMap { value[$0] } : value[String(part)]
            guard let next else { return nil }
            value = next
        }
        return value
    }

    public var isNull: Bool { self == .null }

    public var bool: Bool? {
        if case .bool(let value) = self { return value }
        return nil
    }

    /// The value as an integer; a double that is a whole number counts.
    public var int: Int? {
        switch self {
        case .int(let value): return Int(value)
        case .double(let value): return Int(exactly: value)
        default: return nil
        }
    }

    public var double: Double? {
        switch self {
        case .int(let value): return Double(value)
        case .double(let value): return value
        default: return nil
        }
    }

    public var string: String? {
        if case .string(let value) = self { return value }
        return nil
    }

    public var array: [JSON]? {
        if case .array(let value) = self { return value }
        return nil
    }

    public var object: JSONObject? {
        if case .object(let value) = self { return value }
        return nil
    }

    /// "null", "boolean", "number", "string", "array" or "object", for messages.
    public var typeName: String {
        switch self {
        case .null: return "null"
        case .bool: return "boolean"
        case .int, .double: return "number"
        case .string: return "string"
        case .array: return "array"
        case .object: return "object"
        }
    }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .int(value) }
    public init(floatLiteral value: Double) { self = .double(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSON)...) { self = .object(JSONObject(elements)) }
}

/// The members of an object, in the order in which they stood.
public struct JSONObject: Sendable, Equatable, Sequence {
    public private(set) var keys: [String]
    private var values: [JSON]
    /// Positions by key, kept once the object has more members than a scan is good for.
    private var index: [String: Int]?
    private static let scanLimit = 12

    public init() {
        keys = []
        values = []
    }

    public init(_ members: [(String, JSON)]) {
        self.init()
        for (key, value) in members { self[key] = value }
    }

    public var count: Int { keys.count }
    public var isEmpty: Bool { keys.isEmpty }

    func position(of key: String) -> Int? {
        if let index { return index[key] }
        return keys.firstIndex(of: key)
    }

    public subscript(key: String) -> JSON? {
        get { position(of: key).map { values[$0] } }
        set {
            switch (position(of: key), newValue) {
            case (let at?, let value?):
                values[at] = value
            case (nil, let value?):
                append(key, value)
            case (let at?, nil):
                keys.remove(at: at)
                values.remove(at: at)
                if index != nil { rebuildIndex() }
            case (nil, nil):
                break
            }
        }
    }

    /// Appends a member whose key is known to be new.
    mutating func append(_ key: String, _ value: JSON) {
        keys.append(key)
        values.append(value)
        if index != nil {
            index?[key] = keys.count - 1
        } else if keys.count > Self.scanLimit {
            rebuildIndex()
        }
    }

    private mutating func rebuildIndex() {
        index = Dictionary(keys.enumerated().map { ($1, $0) }, uniquingKeysWith: { $1 })
    }

    public func makeIterator() -> AnyIterator<(key: String, value: JSON)> {
        var at = 0
        return AnyIterator {
            guard at < keys.count else { return nil }
            defer { at += 1 }
            return (keys[at], values[at])
        }
    }

    /// Equal when both have the same members; their order does not count.
    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.count == right.count && left.allSatisfy { right[$0.key] == $0.value }
    }
}

extension JSON: ExpressibleByNilLiteral {
    public init(nilLiteral: ()) { self = .null }
}
