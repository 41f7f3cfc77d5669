import Glibc

/// Python's truth, equality, order, arithmetic and containment.
extension Interpreter {
    func isTrue(_ value: Value) throws(Fault) -> Bool {
        switch value {
        case .undefined, .none: return false
        case .bool(let flag): return flag
        case .int(let number): return number != 0
        case .double(let number): return number != 0
        case .string(let text), .markup(let text): return !text.isEmpty
        case .list(let elements), .tuple(let elements): return !elements.values.isEmpty
        case .dict(let mapping), .view(_, let mapping): return mapping.count > 0
        case .range(let range): return range.count > 0
        case .iterator, .namespace, .callable, .loop: return true
        }
    }

    /// The values that a loop over `value` takes.
    func elements(of value: Value) throws(Fault) -> [Value] {
        switch value {
        case .list(let elements), .tuple(let elements):
            try spend(elements.values.count >> 4)
            return elements.values
        case .string(let text), .markup(let text):
            try spend(text.utf8.count)
            return text.unicodeScalars.map { .string(String($0)) }
        case .dict(let mapping), .view(.keys, let mapping): return mapping.keys
        case .view(.values, let mapping): return mapping.values
        case .view(.items, let mapping):
            try spend(mapping.count)
            return try mapping.items()
        case .range(let range):
            try spend(range.count)
            return (0..<range.count).map { .int(range[$0]) }
        case .iterator(let iterator): return iterator.drain()
        case .loop(let state): return state.items
        case .undefined: return []
        default: throw .value("'\(value.typeName)' object is not iterable")
        }
    }

    // MARK: Equality and order

    func equal(_ left: Value, _ right: Value) throws(Fault) -> Bool {
        try spend()
        switch (left, right) {
        case (.none, .none): return true
        case (.undefined, .undefined): return true
        case (.namespace(let a), .namespace(let b)): return a == b
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
            if a === b { return true }
            if a.values.count != b.values.count { return false }
            for (x, y) in zip(a.values, b.values) where !(try equal(x, y)) { return false }
            return true
        case (.dict(let a), .dict(let b)):
            if a === b { return true }
            if a.count != b.count { return false }
            for (key, value) in zip(a.keys, a.values) {
                guard let other = try b.find(key), try equal(value, other) else { return false }
            }
            return true
        case (.range(let a), .range(let b)):
            return a.count == b.count && (a.count == 0 || a.start == b.start)
                && (a.count < 2 || a.step == b.step)
        case (.iterator(let a), .iterator(let b)): return a === b
        case (.callable(let a), .callable(let b)): return a === b
        case (.loop(let a), .loop(let b)): return a === b
        default:
            if let a = left.text, let b = right.text {
                try spend(bytes: Swift.min(a.utf8.count, b.utf8.count))
                return Text.equal(a, b)
            }
            if let a = left.integer, let b = right.integer { return a == b }
            if let a = left.number, let b = right.number { return a == b }
            return false
        }
    }

    /// True if `left` stands before `right`; `symbol` is for the message if they have no order.
    func precedes(_ left: Value, _ right: Value, _ symbol: String = "<") throws(Fault) -> Bool {
        try spend()
        for case .undefined(let reason) in [left, right] { throw reason.fault }
        if let a = left.integer, let b = right.integer { return a < b }
        if let a = left.number, let b = right.number { return a < b }
        if let a = left.text, let b = right.text {
            try spend(bytes: Swift.min(a.utf8.count, b.utf8.count))
            return Text.precedes(a, b)
        }
        switch (left, right) {
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
            for (x, y) in zip(a.values, b.values) where !(try equal(x, y)) { return try precedes(x, y, symbol) }
            return a.values.count < b.values.count
        default:
            throw .value(
                "'\(symbol)' not supported between instances of '\(left.typeName)' and '\(right.typeName)'")
        }
    }

    func holds(_ operation: ComparisonOperator, _ left: Value, _ right: Value) throws(Fault) -> Bool {
        switch operation {
        case .equal: return try equal(left, right)
        case .notEqual: return !(try equal(left, right))
        case .less: return try precedes(left, right)
        case .greater: return try precedes(right, left, ">")
        case .lessOrEqual:
            // NaN is neither less than nor equal to anything, so "not greater" would not do.
            let isLess = try precedes(left, right, "<=")
            return isLess ? true : try equal(left, right)
        case .greaterOrEqual:
            let isGreater = try precedes(right, left, ">=")
            return isGreater ? true : try equal(left, right)
        case .isIn: return try contains(right, left)
        case .isNotIn: return !(try contains(right, left))
        }
    }

    func contains(_ container: Value, _ value: Value) throws(Fault) -> Bool {
        switch container {
        case .string(let text), .markup(let text):
            guard let needle = value.text else {
                if case .undefined(let reason) = value { throw reason.fault }
                throw .value("'in <string>' requires string as left operand, not \(value.typeName)")
            }
            try spend(bytes: text.utf8.count)
            return Text.contains(text, needle)
        case .dict(let mapping), .view(.keys, let mapping):
            if case .undefined = value { return false }
            return try mapping.find(value) != nil
        case .int, .double, .bool, .none, .namespace, .callable:
            throw .value("argument of type '\(container.typeName)' is not iterable")
        default:
            for element in try elements(of: container) where try equal(element, value) { return true }
            return false
        }
    }

    // MARK: Arithmetic

    func sign(negative: Bool, _ value: Value) throws(Fault) -> Value {
        if case .undefined(let reason) = value { throw reason.fault }
        if let number = value.integer {
            if !negative { return .int(number) }
            return .int(try checked(Int(0).subtractingReportingOverflow(number)))
        }
        if case .double(let number) = value { return .double(negative ? -number : number) }
        throw .value("bad operand type for unary \(negative ? "-" : "+"): '\(value.typeName)'")
    }

    private func checked(_ result: (partialValue: Int, overflow: Bool)) throws(Fault) -> Int {
        if result.overflow { throw .value("the result does not fit in a 64-bit integer") }
        return result.partialValue
    }

    func apply(_ operation: BinaryOperator, _ left: Value, _ right: Value) throws(Fault) -> Value {
        if operation == .modulo, let format = left.text {
            guard case .markup = left else { return .string(try self.format(percent: format, right)) }
            return .markup(try self.format(percent: format, right, escapes: true))
        }
        for case .undefined(let reason) in [left, right] { throw reason.fault }
        if let a = left.integer, let b = right.integer { return try apply(operation, a, b) }
        if let a = left.number, let b = right.number { return try apply(operation, a, b) }
        switch operation {
        case .add: return try add(left, right)
        case .multiply:
            if let count = right.integer { return try `repeat`(left, count) }
            if let count = left.integer { return try `repeat`(right, count) }
        default: break
        }
        throw unsupported(operation, left, right)
    }

    private func unsupported(_ operation: BinaryOperator, _ left: Value, _ right: Value) -> Fault {
        .value(
            "unsupported operand type(s) for \(operation.rawValue): '\(left.typeName)' and '\(right.typeName)'")
    }

    private func apply(_ operation: BinaryOperator, _ a: Int, _ b: Int) throws(Fault) -> Value {
        switch operation {
        case .add: return .int(try checked(a.addingReportingOverflow(b)))
        case .subtract: return .int(try checked(a.subtractingReportingOverflow(b)))
        case .multiply: return .int(try checked(a.multipliedReportingOverflow(by: b)))
        case .divide:
            if b == 0 { throw .value("division by zero") }
            return .double(Double(a) / Double(b))
        case .floorDivide, .modulo:
            if b == 0 { throw .value("integer division or modulo by zero") }
            let quotient = try checked(a.dividedReportingOverflow(by: b))
            let remainder = b == -1 ? 0 : a % b
            let isBelow = remainder != 0 && (remainder < 0) != (b < 0)
            if operation == .modulo { return .int(isBelow ? remainder + b : remainder) }
            return .int(isBelow ? quotient - 1 : quotient)
        case .power:
            if b < 0 { return try apply(.power, Double(a), Double(b)) }
            if a == 0 || a == 1 { return .int(b == 0 ? 1 : a) }
            if a == -1 { return .int(b % 2 == 0 ? 1 : -1) }
            var result = 1
            for _ in 0..<Swift.min(b, 64) { result = try checked(result.multipliedReportingOverflow(by: a)) }
            if b > 64 { throw .value("the result does not fit in a 64-bit integer") }
            return .int(result)
        }
    }

    private func apply(_ operation: BinaryOperator, _ a: Double, _ b: Double) throws(Fault) -> Value {
        switch operation {
        case .add: return .double(a + b)
        case .subtract: return .double(a - b)
        case .multiply: return .double(a * b)
        case .divide:
            if b == 0 { throw .value("float division by zero") }
            return .double(a / b)
        case .floorDivide, .modulo:
            if b == 0 { throw .value("float \(operation == .modulo ? "modulo" : "floor division by zero")") }
            var remainder = fmod(a, b)
            if remainder != 0, (remainder < 0) != (b < 0) { remainder += b }
            if operation == .modulo { return .double(remainder) }
            return .double(((a - remainder) / b).rounded())
        case .power:
            if a == 0, b < 0 { throw .value("0.0 cannot be raised to a negative power") }
            let result = pow(a, b)
            if a < 0, result.isNaN { throw .value("a root of a negative number is not a real number") }
            if result.isInfinite, a.isFinite, b.isFinite { throw .value("the result is out of a float's range") }
            return .double(result)
        }
    }

    private func add(_ left: Value, _ right: Value) throws(Fault) -> Value {
        switch (left, right) {
        case (.list(let a), .list(let b)):
            try spend(a.values.count + b.values.count)
            return try .makeList(a.values + b.values)
        case (.tuple(let a), .tuple(let b)):
            try spend(a.values.count + b.values.count)
            return try .makeTuple(a.values + b.values)
        default:
            if let a = left.text {
                guard let b = right.text else {
                    throw .value("can only concatenate str (not \"\(right.typeName)\") to str")
                }
                try spend(bytes: a.utf8.count + b.utf8.count)
                switch (left, right) {
                case (.markup, .markup): return .markup(a + b)
                case (.markup, _): return .markup(a + Text.escapeHTML(b))
                case (_, .markup): return .markup(Text.escapeHTML(a) + b)
                default: return .string(a + b)
                }
            }
            if case .list = left { throw .value("can only concatenate list (not \"\(right.typeName)\") to list") }
            throw unsupported(.add, left, right)
        }
    }

    private func `repeat`(_ value: Value, _ count: Int) throws(Fault) -> Value {
        let count = Swift.max(count, 0)
        switch value {
        case .string(let text), .markup(let text):
            let (bytes, overflow) = text.utf8.count.multipliedReportingOverflow(by: count)
            try spend(bytes: overflow ? Int.max : bytes)
            let result = text.isEmpty ? "" : String(repeating: text, count: count)
            if case .markup = value { return .markup(result) }
            return .string(result)
        case .list(let elements), .tuple(let elements):
            let (total, overflow) = elements.values.count.multipliedReportingOverflow(by: count)
            try spend(overflow || total > budget.steps ? budget.steps : total)
            var values: [Value] = []
            values.reserveCapacity(total)
            if total > 0 { for _ in 0..<count { values += elements.values } }
            if case .list = value { return try .makeList(values) }
            return try .makeTuple(values)
        default:
            throw .value("can't multiply sequence by non-int of type '\(value.typeName)'")
        }
    }
}
