/// `value.name`, `value[key]` and `value[from:to:step]`. A name is looked for among the methods of the value's type
/// first and its keys second, an index the other way round, as Jinja does; nothing else can be reached.
extension Interpreter {
    func member(_ name: String, of value: Value) throws(Fault) -> Value {
        try spend()
        if let found = try attribute(name, of: value) { return found }
        return try key(name, of: value) ?? .undefined(.member(name, of: value.typeName))
    }

    func item(_ key: Value, of value: Value) throws(Fault) -> Value {
        try spend()
        switch value {
        case .undefined(let reason): throw reason.fault
        case .dict(let mapping):
            if Mapping.Key(key) != nil, let found = try mapping.find(key) { return found }
        case .list, .tuple, .string, .markup, .range:
            if let index = key.integer, let found = try element(index, of: value) { return found }
        default: break
        }
        if let name = key.text, let found = try attribute(name, of: value) { return found }
        return .undefined(.member(try describe(key), of: value.typeName))
    }

    private func key(_ name: String, of value: Value) throws(Fault) -> Value? {
        guard case .dict(let mapping) = value else { return nil }
        return mapping[name]
    }

    /// Methods and attributes of the value's type; nil if it has none of that name.
    private func attribute(_ name: String, of value: Value) throws(Fault) -> Value? {
        switch value {
        case .undefined(let reason): throw reason.fault
        case .namespace(let space):
            if let found = namespaces[space].first(where: { Text.equal($0.name, name) }) { return found.value }
        case .loop(let state): if let found = try attribute(name, of: state) { return found }
        case .callable(let callable): if let found = try attribute(name, of: callable) { return found }
        case .tuple(let elements):
            if let at = elements.labels.firstIndex(of: name) { return elements.values[at] }
        default: break
        }
        // Everything of Python that begins with two underscores leads out of the values.
        if name.hasPrefix("__"), name.hasSuffix("__"), name.count > 4 {
            return .undefined(.unsafe(member: name, of: value.typeName))
        }
        guard let methods = Methods.table[Methods.family(of: value)] else { return nil }
        if methods.mutating.contains(name) { return .undefined(.unsafe(member: name, of: value.typeName)) }
        return methods.pure.contains(name) ? .callable(try Callable(.method(value, name))) : nil
    }

    private func attribute(_ name: String, of loop: LoopState) throws(Fault) -> Value? {
        let count = loop.items.count
        switch name {
        case "index": return .int(loop.index + 1)
        case "index0": return .int(loop.index)
        case "revindex": return .int(count - loop.index)
        case "revindex0": return .int(count - loop.index - 1)
        case "first": return .bool(loop.index == 0)
        case "last": return .bool(loop.index == count - 1)
        case "length": return .int(count)
        case "depth": return .int(loop.level)
        case "depth0": return .int(loop.level - 1)
        case "previtem":
            return loop.index > 0
                ? loop.items[loop.index - 1] : .undefined(.because("there is no previous item"))
        case "nextitem":
            return loop.index + 1 < count
                ? loop.items[loop.index + 1] : .undefined(.because("there is no next item"))
        case "cycle", "changed": return .callable(try Callable(.loop(loop, name)))
        default: return nil
        }
    }

    private func attribute(_ name: String, of callable: Callable) throws(Fault) -> Value? {
        switch (callable.kind, name) {
        case (.macro(let definition, _), "name"): return .string(definition.name)
        case (.macro(let definition, _), "arguments"):
            return try .makeTuple(definition.parameters.map { .string($0.name) })
        case (.macro(let definition, _), "catch_kwargs"): return .bool(definition.kwargs != nil)
        case (.macro(let definition, _), "catch_varargs"): return .bool(definition.varargs != nil)
        case (.macro(let definition, _), "caller"): return .bool(definition.caller != nil)
        case (.cycler(let items), "current"): return items[callable.count]
        case (.cycler, "next"): return .callable(callable)
        case (.cycler, "reset"): return .callable(try Callable(.method(.callable(callable), "reset")))
        case (.function("dict"), "fromkeys"): return .callable(try Callable(.function("dict.fromkeys")))
        default: return nil
        }
    }

    /// The element at an index that may count from the end; nil if there is none.
    private func element(_ index: Int, of value: Value) throws(Fault) -> Value? {
        func place(_ count: Int) -> Int? {
            let at = index < 0 ? count.addingReportingOverflow(index).partialValue : index
            return (0..<count).contains(at) ? at : nil
        }
        switch value {
        case .list(let elements), .tuple(let elements): return place(elements.values.count).map { elements.values[$0] }
        case .range(let range): return place(range.count).map { .int(range[$0]) }
        case .string(let text), .markup(let text):
            try spend(bytes: text.utf8.count)
            let scalars = text.unicodeScalars
            let found: UnicodeScalar?
            if index >= 0 {
                found = scalars.dropFirst(index).first
            } else if index > Int.min {
                found = scalars.dropLast(-index - 1).last
            } else {
                found = nil
            }
            guard let found else { return nil }
            if case .markup = value { return .markup(String(found)) }
            return .string(String(found))
        default: return nil
        }
    }

    // MARK: Slices

    func slice(_ value: Value, from: Value?, to: Value?, step: Value?) throws(Fault) -> Value {
        func bound(_ value: Value?) throws(Fault) -> Int? {
            guard let value else { return nil }
            if case .undefined(let reason) = value { throw reason.fault }
            guard let number = value.integer else {
                throw .value("slice indices must be integers or None, not \(value.typeName)")
            }
            return number
        }
        let bounds = (try bound(from), try bound(to), try bound(step) ?? 1)
        if bounds.2 == 0 { throw .value("slice step cannot be zero") }
        switch value {
        case .list(let elements):
            return try .makeList(try Self.slice(elements.values, bounds, spend: spend(_:)))
        case .tuple(let elements):
            return try .makeTuple(try Self.slice(elements.values, bounds, spend: spend(_:)))
        case .range(let range): return .range(Self.slice(range, bounds))
        case .string(let text): return .string(try slice(text, bounds))
        case .markup(let text): return .markup(try slice(text, bounds))
        case .undefined(let reason): throw reason.fault
        default: return .undefined(.because("'\(value.typeName)' object cannot be sliced"))
        }
    }

    private func slice(_ text: String, _ bounds: (Int?, Int?, Int)) throws(Fault) -> String {
        try spend(bytes: text.utf8.count)
        let scalars = Array(text.unicodeScalars)
        try spend(scalars.count >> 6)
        return Text.make(try Self.slice(scalars, bounds, spend: { _ throws(Fault) in }))
    }

    /// Python's rules: indices below 0 count from the end, those beyond it are cut off.
    private static func ends(_ bounds: (Int?, Int?, Int), count: Int) -> (start: Int, end: Int) {
        let (from, to, step) = bounds
        func clamp(_ index: Int?, _ standard: Int) -> Int {
            guard let index else { return standard }
            let at = index < 0 ? index + count : index
            return step > 0 ? Swift.max(0, Swift.min(at, count)) : Swift.max(-1, Swift.min(at, count - 1))
        }
        return (clamp(from, step > 0 ? 0 : count - 1), clamp(to, step > 0 ? count : -1))
    }

    private static func slice(_ range: NumberRange, _ bounds: (Int?, Int?, Int)) -> NumberRange {
        let (start, end) = ends(bounds, count: range.count)
        let step = bounds.2
        let span = step > 0 ? end - start : start - end
        let count = span > 0 ? Int(clamping: UInt(span - 1) / step.magnitude) + 1 : 0
        return NumberRange(start: range[start], stop: range[end], step: range.step &* step, count: count)
    }

    private static func slice<Element>(
        _ elements: [Element], _ bounds: (Int?, Int?, Int), spend: (Int) throws(Fault) -> Void
    ) throws(Fault) -> [Element] {
        let (start, end) = ends(bounds, count: elements.count)
        let step = bounds.2
        if step == 1 {
            try spend(Swift.max(0, end - start))
            return start < end ? Array(elements[start..<end]) : []
        }
        try spend(elements.count)
        var result: [Element] = []
        var at = start
        while step > 0 ? at < end : at > end {
            result.append(elements[at])
            let (next, overflow) = at.addingReportingOverflow(step)
            if overflow { break }
            at = next
        }
        return result
    }
}
