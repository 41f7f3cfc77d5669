/// The functions that every template may call.
enum Functions {
    static let names: Set<String> = [
        "range", "dict", "namespace", "cycler", "joiner", "lipsum", "raise_exception", "strftime_now",
    ]
}

extension Interpreter {
    func call(function name: String, _ given: Given) throws(Fault) -> Value {
        switch name {
        case "range": return .range(try range(given))
        case "dict": return .dict(try Mapping(try members(name, given)))
        case "dict.fromkeys":
            try given.check(name, "iterable", "value")
            guard let keys = given.value("iterable", 0) else { throw .value("fromkeys expected at least 1 argument") }
            let value = given.value("value", 1) ?? .none
            return .dict(try Mapping(try elements(of: keys).map { (key: $0, value: value) }))
        case "namespace":
            let space = namespaces.count
            namespaces.append([])
            for (key, value) in try members(name, given) { try set(key.text ?? "", of: space, to: value) }
            return .namespace(space)
        case "cycler":
            if given.positional.isEmpty { throw .value("at least one item has to be provided") }
            return .callable(try Callable(.cycler(given.positional)))
        case "joiner":
            try given.check(name, "sep")
            return .callable(try Callable(.joiner(try describe(given.value("sep", 0) ?? .string(", ")))))
        case "raise_exception": throw Fault(.raised, try describe(try given.one(name)))
        case "strftime_now":
            guard let format = try given.one(name).text else { throw .value("strftime_now() needs a text") }
            try spend(bytes: format.utf8.count << 4)
            return .string(try now.formatted(format))
        default: throw Fault(.unsupported, "the function '\(name)' is not offered to templates")
        }
    }

    private func range(_ given: Given) throws(Fault) -> NumberRange {
        var bounds: [Int] = []
        for value in given.positional {
            if case .undefined(let reason) = value { throw reason.fault }
            guard let bound = value.integer else {
                throw .value("'\(value.typeName)' object cannot be interpreted as an integer")
            }
            bounds.append(bound)
        }
        guard (1...3).contains(bounds.count), given.keywords.isEmpty else {
            throw .value("range expected 1 to 3 arguments, got \(bounds.count + given.keywords.count)")
        }
        let start = bounds.count == 1 ? 0 : bounds[0]
        let stop = bounds.count == 1 ? bounds[0] : bounds[1]
        let step = bounds.count == 3 ? bounds[2] : 1
        if step == 0 { throw .value("range() arg 3 must not be zero") }
        var count = 0
        if step > 0 ? start < stop : start > stop {
            let distance = step > 0 ? UInt(bitPattern: stop &- start) : UInt(bitPattern: start &- stop)
            count = Int(clamping: (distance - 1) / step.magnitude + 1)
        }
        if count > budget.rangeLength {
            throw Fault(.budget, "range has \(count) numbers; at most \(budget.rangeLength) are allowed")
        }
        return NumberRange(start: start, stop: stop, step: step, count: count)
    }

    /// What `dict` and `namespace` are made of: a mapping or pairs, then named values.
    private func members(_ function: String, _ given: Given) throws(Fault) -> [(key: Value, value: Value)] {
        if given.positional.count > 1 {
            throw .value("\(function) expected at most 1 argument, got \(given.positional.count)")
        }
        var members: [(key: Value, value: Value)] = []
        if let first = given.positional.first {
            if case .dict(let mapping) = first {
                members = zip(mapping.keys, mapping.values).map { (key: $0, value: $1) }
            } else {
                for pair in try elements(of: first) {
                    let pair = try elements(of: pair)
                    guard pair.count == 2 else {
                        throw .value("\(function) update sequence element has length \(pair.count); 2 is required")
                    }
                    members.append((pair[0], pair[1]))
                }
            }
        }
        try spend(members.count)
        return members + given.keywords.map { (key: .string($0.name), value: $0.value) }
    }
}
