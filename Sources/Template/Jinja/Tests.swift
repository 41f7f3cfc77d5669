/// What may follow `is`. Semantics: Jinja documentation, "List of Builtin Tests".
extension Interpreter {
    static let testNames: Set<String> = [
        "odd", "even", "divisibleby", "defined", "undefined", "filter", "test", "none", "boolean", "false", "true",
        "integer", "float", "lower", "upper", "string", "mapping", "number", "sequence", "iterable", "callable",
        "sameas", "escaped", "in", "==", "eq", "equalto", "!=", "ne", ">", "gt", "greaterthan", "ge", ">=", "<", "lt",
        "lessthan", "<=", "le",
    ]

    func test(_ name: String, _ value: Value, _ given: Given) throws(Fault) -> Bool {
        try spend()
        switch name {
        case "defined": return !value.isUndefined
        case "undefined": return value.isUndefined
        case "none": if case .none = value { return true }
        case "boolean": if case .bool = value { return true }
        case "true": if case .bool(true) = value { return true }
        case "false": if case .bool(false) = value { return true }
        case "integer": if case .int = value { return true }
        case "float": if case .double = value { return true }
        case "number": return value.number != nil
        case "string": return value.text != nil
        case "escaped": if case .markup = value { return true }
        case "mapping": if case .dict = value { return true }
        case "sequence": return Self.isSequence(value)
        case "iterable":
            switch value {
            case .none, .bool, .int, .double, .namespace, .callable: return false
            default: return true
            }
        case "callable":
            switch value {
            case .callable, .loop: return true
            default: return false
            }
        case "odd": return try remainder(value, .int(2)) == 1
        case "even": return try remainder(value, .int(2)) == 0
        case "divisibleby": return try remainder(value, try given.one(name)) == 0
        case "lower": return Text.isCase(try describe(value), upper: false)
        case "upper": return Text.isCase(try describe(value), upper: true)
        case "filter": return Self.filterNames.contains(try describe(value))
        case "test": return Self.testNames.contains(try describe(value))
        case "in": return try contains(try given.one(name), value)
        case "sameas": return try isSame(value, try given.one(name))
        case "==", "eq", "equalto": return try equal(value, try given.one(name))
        case "!=", "ne": return !(try equal(value, try given.one(name)))
        case ">", "gt", "greaterthan": return try holds(.greater, value, try given.one(name))
        case ">=", "ge": return try holds(.greaterOrEqual, value, try given.one(name))
        case "<", "lt", "lessthan": return try holds(.less, value, try given.one(name))
        case "<=", "le": return try holds(.lessOrEqual, value, try given.one(name))
        default: throw Fault(.unsupported, "No test named '\(name)'.")
        }
        return false
    }

    /// Values with a length and elements by index; Python's dicts count.
    private static func isSequence(_ value: Value) -> Bool {
        switch value {
        // Jinja's undefined has a length (0) and a way to be asked for elements, so it counts too.
        case .string, .markup, .list, .tuple, .dict, .range, .undefined: return true
        default: return false
        }
    }

    private func remainder(_ value: Value, _ divisor: Value) throws(Fault) -> Double {
        if value.text != nil { throw .value("not all arguments converted during string formatting") }
        return try apply(.modulo, value, divisor).number ?? .nan
    }

    /// Identity, of which plain values have only what Python guarantees.
    private func isSame(_ left: Value, _ right: Value) throws(Fault) -> Bool {
        switch (left, right) {
        case (.none, .none): return true
        case (.bool(let a), .bool(let b)): return a == b
        case (.int(let a), .int(let b)): return a == b
        case (.string(let a), .string(let b)): return Text.equal(a, b)
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)): return a === b
        case (.dict(let a), .dict(let b)): return a === b
        case (.namespace(let a), .namespace(let b)): return a == b
        default: return false
        }
    }
}
