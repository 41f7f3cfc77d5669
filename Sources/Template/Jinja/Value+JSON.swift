import JSON

extension Value {
    /// A caller's value as a template sees it.
    init(_ json: JSON) throws(Fault) {
        try self.init(json, level: 0)
    }

    private init(_ json: JSON, level: Int) throws(Fault) {
        if level >= SourceLimits.valueDepth {
            throw Fault(.budget, "values nest deeper than \(SourceLimits.valueDepth) levels")
        }
        switch json {
        case .null: self = .none
        case .bool(let value): self = .bool(value)
        case .int(let value): self = .int(Int(value))
        case .double(let value): self = .double(value)
        case .string(let value): self = .string(value)
        case .array(let elements):
            var values: [Value] = []
            values.reserveCapacity(elements.count)
            for element in elements { values.append(try Value(element, level: level + 1)) }
            self = try .makeList(values)
        case .object(let members):
            var values: [(key: Value, value: Value)] = []
            values.reserveCapacity(members.count)
            for (key, value) in members { values.append((.string(key), try Value(value, level: level + 1))) }
            self = .dict(try Mapping(values))
        }
    }
}
