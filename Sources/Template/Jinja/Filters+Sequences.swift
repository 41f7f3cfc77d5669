/// Filters over sequences.
extension Interpreter {
    func filter(sequence name: String, _ value: Value, _ given: Given) throws(Fault) -> Value {
        switch name {
        case "list": return try .makeList(try elements(of: value))
        case "items":
            if value.isUndefined { return try .makeIterator([]) }
            guard case .dict(let mapping) = value else { throw .value("Can only get item pairs from a mapping.") }
            return try .makeIterator(try elements(of: .view(.items, mapping)))
        case "first": return try first(value)
        case "last": return try last(value)
        case "join": return try join(value, given)
        case "map": return try map(value, given)
        case "select", "reject", "selectattr", "rejectattr": return try select(name, value, given)
        case "sort":
            try given.check(name, "reverse", "case_sensitive", "attribute")
            return try .makeList(
                try sorted(
                    try elements(of: value), by: try attributes(given.value("attribute", 2)),
                    foldingCase: !isTrue(given.value("case_sensitive", 1) ?? .bool(false)),
                    reversed: try isTrue(given.value("reverse", 0) ?? .bool(false))))
        case "dictsort": return try dictSort(value, given)
        case "groupby": return try group(value, given)
        case "unique": return try unique(value, given)
        case "min", "max": return try extreme(name, value, given)
        case "sum": return try sum(value, given)
        case "reverse": return try reverse(value)
        case "batch", "slice": return try parts(name, value, given)
        default: throw Fault(.unsupported, "No filter named '\(name)'.")
        }
    }

    private func first(_ value: Value) throws(Fault) -> Value {
        if case .iterator(let iterator) = value {
            guard iterator.position < iterator.values.count else {
                return .undefined(.because("No first item, sequence was empty."))
            }
            iterator.position += 1
            return iterator.values[iterator.position - 1]
        }
        return try elements(of: value).first ?? .undefined(.because("No first item, sequence was empty."))
    }

    private func last(_ value: Value) throws(Fault) -> Value {
        switch value {
        case .iterator: throw .value("'generator' object is not reversible")
        default: return try elements(of: value).last ?? .undefined(.because("No last item, sequence was empty."))
        }
    }

    private func reverse(_ value: Value) throws(Fault) -> Value {
        switch value {
        case .string(let text): return .string(Text.make(text.unicodeScalars.reversed()))
        case .markup(let text): return .markup(Text.make(text.unicodeScalars.reversed()))
        case .iterator: return try .makeList(try elements(of: value).reversed())
        default: return try .makeIterator(try elements(of: value).reversed())
        }
    }

    // MARK: Attributes

    /// The path that an `attribute` argument names: "a.b.0".
    private func path(_ attribute: Value) throws(Fault) -> [Value] {
        if let index = attribute.integer { return [.int(index)] }
        guard let text = attribute.text else { throw .value("an attribute is a name or an index") }
        return Text.split(text, ".", limit: -1).map { part in
            part.utf8.allSatisfy { $0 &- 0x30 < 10 } ? Int(part).map(Value.int) ?? .string(part) : .string(part)
        }
    }

    /// Attributes after commas, for `sort`.
    private func attributes(_ attribute: Value?) throws(Fault) -> [[Value]] {
        guard let attribute else { return [[]] }
        if case .none = attribute { return [[]] }
        guard let text = attribute.text else { return [try path(attribute)] }
        var paths: [[Value]] = []
        for part in Text.split(text, ",", limit: -1) { paths.append(try path(.string(part))) }
        return paths
    }

    private func value(at path: [Value], of value: Value, default standard: Value? = nil) throws(Fault) -> Value {
        var value = value
        for part in path {
            value = try item(part, of: value)
            if value.isUndefined, let standard, !isNone(standard) { value = standard }
        }
        return value
    }

    private func isNone(_ value: Value) -> Bool {
        if case .none = value { return true }
        return false
    }

    private func folded(_ value: Value) -> Value {
        value.text.map { .string(Text.lower($0)) } ?? value
    }

    private func key(
        _ item: Value, _ given: Given, attribute: (name: String, position: Int), case position: Int
    ) throws(Fault) -> Value {
        let path =
            try given.value(attribute.name, attribute.position)
            .map { value throws(Fault) in isNone(value) ? [] : try self.path(value) } ?? []
        let found = try value(at: path, of: item)
        return try isTrue(given.value("case_sensitive", position) ?? .bool(false)) ? found : folded(found)
    }

    // MARK: map and select

    private func map(_ value: Value, _ given: Given) throws(Fault) -> Value {
        let items = try isTrue(value) ? try elements(of: value) : []
        var results: [Value] = []
        results.reserveCapacity(items.count)
        if given.positional.isEmpty, let attribute = given.value("attribute", 0) {
            try given.check("map", "attribute", "default")
            let path = try path(attribute)
            for item in items { results.append(try self.value(at: path, of: item, default: given.value("default", 1))) }
        } else {
            guard let name = given.positional.first?.text else { throw .value("map requires a filter argument") }
            let rest = Given(positional: Array(given.positional.dropFirst()), keywords: given.keywords)
            for item in items { results.append(try filter(name, item, rest)) }
        }
        return try .makeIterator(results)
    }

    private func select(_ name: String, _ value: Value, _ given: Given) throws(Fault) -> Value {
        var arguments = given.positional[...]
        var path: [Value] = []
        if name.hasSuffix("attr") {
            guard let attribute = arguments.popFirst() else { throw .value("Missing parameter for attribute name") }
            path = try self.path(attribute)
        }
        let test = try arguments.popFirst().map { value throws(Fault) in try describe(value) }
        let rest = Given(positional: Array(arguments), keywords: given.keywords)
        let wanted = name.hasPrefix("select")
        var kept: [Value] = []
        for item in try isTrue(value) ? try elements(of: value) : [] {
            try spend()
            let subject = try self.value(at: path, of: item)
            let holds: Bool
            if let test { holds = try self.test(test, subject, rest) } else { holds = try isTrue(subject) }
            if holds == wanted { kept.append(item) }
        }
        return try .makeIterator(kept)
    }

    private func join(_ value: Value, _ given: Given) throws(Fault) -> Value {
        try given.check("join", "d", "attribute")
        let separator = try describe(given.value("d", 0) ?? .string(""))
        let path = try given.value("attribute", 1).map { value throws(Fault) in try self.path(value) } ?? []
        var out = ""
        for (at, item) in try elements(of: value).enumerated() {
            if at > 0 { out += separator }
            out += try describe(try self.value(at: path, of: item))
            try spend(1 + separator.utf8.count >> 8)
            if out.utf8.count > budget.outputBytes { try spend(bytes: out.utf8.count) }
        }
        try spend(bytes: out.utf8.count)
        return .string(out)
    }

    // MARK: Order

    /// A stable merge sort, whose comparisons may fail and are counted.
    func sorted<Element>(
        _ elements: [Element], _ precedes: (Element, Element) throws(Fault) -> Bool
    ) throws(Fault) -> [Element] {
        if elements.count < 2 { return elements }
        let middle = elements.count / 2
        let left = try sorted(Array(elements[..<middle]), precedes)
        let right = try sorted(Array(elements[middle...]), precedes)
        var result: [Element] = []
        result.reserveCapacity(elements.count)
        var (i, j) = (0, 0)
        while i < left.count, j < right.count {
            if try precedes(right[j], left[i]) {
                result.append(right[j])
                j += 1
            } else {
                result.append(left[i])
                i += 1
            }
        }
        return result + left[i...] + right[j...]
    }

    private func sorted(
        _ items: [Value], by paths: [[Value]], foldingCase: Bool, reversed: Bool
    ) throws(Fault) -> [Value] {
        var keyed: [(key: Value, item: Value)] = []
        for item in items {
            var keys: [Value] = []
            for path in paths {
                let key = try value(at: path, of: item)
                keys.append(foldingCase ? folded(key) : key)
            }
            keyed.append((keys.count == 1 ? keys[0] : try .makeList(keys), item))
        }
        return try sorted(keyed) { a, b throws(Fault) in
            reversed ? try precedes(b.key, a.key) : try precedes(a.key, b.key)
        }.map(\.item)
    }

    private func dictSort(_ value: Value, _ given: Given) throws(Fault) -> Value {
        try given.check("dictsort", "case_sensitive", "by", "reverse")
        guard case .dict(let mapping) = value else {
            if case .undefined(let reason) = value { throw reason.fault }
            throw Fault(.undefined, "'\(value.typeName)' object has no attribute 'items'")
        }
        let by = given.value("by", 1)?.text ?? "key"
        guard by == "key" || by == "value" else { throw .value("You can only sort by either \"key\" or \"value\"") }
        return try .makeList(
            try sorted(
                try mapping.items(), by: [[.int(by == "key" ? 0 : 1)]],
                foldingCase: !isTrue(given.value("case_sensitive", 0) ?? .bool(false)),
                reversed: try isTrue(given.value("reverse", 2) ?? .bool(false))))
    }

    private func unique(_ value: Value, _ given: Given) throws(Fault) -> Value {
        try given.check("unique", "case_sensitive", "attribute")
        var seen: Set<Mapping.Key> = []
        var kept: [Value] = []
        for item in try elements(of: value) {
            try spend()
            let key = try key(item, given, attribute: ("attribute", 1), case: 0)
            guard let hashed = Mapping.Key(key) else { throw .value("unhashable type: '\(key.typeName)'") }
            if seen.insert(hashed).inserted { kept.append(item) }
        }
        return try .makeIterator(kept)
    }

    private func extreme(_ name: String, _ value: Value, _ given: Given) throws(Fault) -> Value {
        try given.check(name, "case_sensitive", "attribute")
        var best: (item: Value, key: Value)?
        for item in try elements(of: value) {
            let key = try key(item, given, attribute: ("attribute", 1), case: 0)
            guard let present = best else {
                best = (item, key)
                continue
            }
            if name == "min" ? try precedes(key, present.key) : try precedes(present.key, key, ">") {
                best = (item, key)
            }
        }
        return best?.item ?? .undefined(.because("No aggregated item, sequence was empty."))
    }

    private func sum(_ value: Value, _ given: Given) throws(Fault) -> Value {
        try given.check("sum", "attribute", "start")
        let path =
            try given.value("attribute", 0)
            .map { value throws(Fault) in isNone(value) ? [] : try self.path(value) } ?? []
        var total = given.value("start", 1) ?? .int(0)
        if total.text != nil { throw .value("sum() can't sum strings [use ''.join(seq) instead]") }
        for item in try elements(of: value) { total = try apply(.add, total, try self.value(at: path, of: item)) }
        return total
    }

    private func group(_ value: Value, _ given: Given) throws(Fault) -> Value {
        try given.check("groupby", "attribute", "default", "case_sensitive")
        guard let attribute = given.value("attribute", 0) else { throw .value("groupby() needs an attribute") }
        let path = try path(attribute)
        let folds = try !isTrue(given.value("case_sensitive", 2) ?? .bool(false))
        var keyed: [(key: Value, sortKey: Value, item: Value)] = []
        for item in try elements(of: value) {
            let key = try self.value(at: path, of: item, default: given.value("default", 1))
            keyed.append((key, folds ? folded(key) : key, item))
        }
        keyed = try sorted(keyed) { a, b throws(Fault) in try precedes(a.sortKey, b.sortKey) }
        var groups: [(key: Value, sortKey: Value, items: [Value])] = []
        for (key, sortKey, item) in keyed {
            if let last = groups.last, try equal(last.sortKey, sortKey) {
                groups[groups.count - 1].items.append(item)
            } else {
                groups.append((key, sortKey, [item]))
            }
        }
        var values: [Value] = []
        for group in groups {
            values.append(.tuple(try Elements([group.key, try .makeList(group.items)], labels: ["grouper", "list"])))
        }
        return try .makeList(values)
    }

    // MARK: Parts

    private func parts(_ name: String, _ value: Value, _ given: Given) throws(Fault) -> Value {
        try given.check(name, name == "batch" ? "linecount" : "slices", "fill_with")
        guard let size = given.positional.first?.integer ?? given.keywords.first?.value.integer, size > 0 else {
            throw .value("\(name)() needs a number above 0")
        }
        let filler = given.value("fill_with", 1).flatMap { isNone($0) ? nil : $0 }
        let items = try elements(of: value)
        var lists: [Value] = []
        if name == "batch" {
            var start = 0
            while start < items.count {
                let end = Swift.min(start.addingReportingOverflow(size).overflow ? Int.max : start + size, items.count)
                var part = Array(items[start..<end])
                if let filler, part.count < size {
                    try spend(size)
                    part += Array(repeating: filler, count: size - part.count)
                }
                lists.append(try .makeList(part))
                start = end
            }
        } else {
            try spend(size)
            let (each, extra) = items.count.quotientAndRemainder(dividingBy: size)
            var start = 0
            for at in 0..<size {
                let end = start + each + (at < extra ? 1 : 0)
                var part = Array(items[start..<end])
                if let filler, at >= extra { part.append(filler) }
                lists.append(try .makeList(part))
                start = end
            }
        }
        return try .makeIterator(lists)
    }
}
