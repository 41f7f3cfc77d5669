extension Interpreter {
    func evaluate(_ expression: Expression) throws(Fault) -> Value {
        try enter()
        defer { leave() }
        position = expression.offset
        switch expression.node {
        case .literal(let literal): return Value(literal)
        case .name(let id): return try lookup(id)
        case .tuple(let elements): return try .makeTuple(try evaluate(all: elements))
        case .list(let elements): return try .makeList(try evaluate(all: elements))
        case .mapping(let members):
            var values: [(key: Value, value: Value)] = []
            for (key, value) in members { values.append((try evaluate(key), try evaluate(value))) }
            position = expression.offset
            return .dict(try Mapping(values))
        case .attribute(let base, let name):
            let value = try evaluate(base)
            position = expression.offset
            return try member(name, of: value)
        case .item(let base, let key):
            let value = try evaluate(base)
            let key = try evaluate(key)
            position = expression.offset
            return try item(key, of: value)
        case .slice(let base, let from, let to, let step):
            let value = try evaluate(base)
            let bounds = (try bound(from), try bound(to), try bound(step))
            position = expression.offset
            return try slice(value, from: bounds.0, to: bounds.1, step: bounds.2)
        case .call(let function, let arguments):
            return try call(function, arguments, at: expression.offset, caller: nil)
        case .filter(let operand, let name, let arguments):
            let value = try operand.map { operand throws(Fault) in try evaluate(operand) } ?? blockText
            let given = try evaluate(arguments)
            position = expression.offset
            return try filter(name, value, given)
        case .test(let operand, let name, let arguments, let negated):
            let value = try evaluate(operand)
            let given = try evaluate(arguments)
            position = expression.offset
            return .bool(try test(name, value, given) != negated)
        case .not(let operand): return .bool(!(try isTrue(try evaluate(operand))))
        case .sign(let negative, let operand):
            let value = try evaluate(operand)
            position = expression.offset
            return try sign(negative: negative, value)
        case .and(let left, let right):
            let value = try evaluate(left)
            return try isTrue(value) ? evaluate(right) : value
        case .or(let left, let right):
            let value = try evaluate(left)
            return try isTrue(value) ? value : evaluate(right)
        case .binary(let operation, let left, let right):
            let left = try evaluate(left)
            let right = try evaluate(right)
            position = expression.offset
            return try apply(operation, left, right)
        case .concatenate(let parts): return try concatenate(try evaluate(all: parts))
        case .compare(let first, let operations): return try compare(first, operations, at: expression.offset)
        case .conditional(let test, let then, let otherwise):
            if try isTrue(try evaluate(test)) { return try evaluate(then) }
            guard let otherwise else {
                return .undefined(
                    .because("the inline if-expression was false and has no else section"))
            }
            return try evaluate(otherwise)
        }
    }

    private func evaluate(all expressions: [Expression]) throws(Fault) -> [Value] {
        var values: [Value] = []
        values.reserveCapacity(expressions.count)
        for expression in expressions { values.append(try evaluate(expression)) }
        return values
    }

    private func bound(_ expression: Expression?) throws(Fault) -> Value? {
        guard let expression else { return nil }
        let value = try evaluate(expression)
        if case .none = value { return nil }
        return value
    }

    /// `~` writes each operand as it would be printed. It does not escape, unlike `+` with safe markup.
    private func concatenate(_ values: [Value]) throws(Fault) -> Value {
        var text = ""
        for value in values {
            text += try describe(value)
            try spend(bytes: text.utf8.count)
        }
        return .string(text)
    }

    /// `a < b < c` holds if both do; each operand is evaluated once, and none after the first failure.
    private func compare(
        _ first: Expression, _ operations: [(relation: ComparisonOperator, operand: Expression)], at offset: Int
    ) throws(Fault) -> Value {
        var left = try evaluate(first)
        for (operation, operand) in operations {
            let right = try evaluate(operand)
            position = offset
            if !(try holds(operation, left, right)) { return .bool(false) }
            left = right
        }
        return .bool(true)
    }

    // MARK: Calls

    func evaluate(_ arguments: Arguments) throws(Fault) -> Given {
        var given = Given(positional: try evaluate(all: arguments.positional))
        for (name, value) in arguments.keywords { given.keywords.append((name, try evaluate(value))) }
        if let spread = arguments.spread { given.positional += try elements(of: try evaluate(spread)) }
        if let spread = arguments.keywordSpread {
            guard case .dict(let mapping) = try evaluate(spread) else {
                throw .value("argument after ** must be a mapping")
            }
            for (key, value) in zip(mapping.keys, mapping.values) {
                guard let name = key.text else { throw .value("keywords must be strings") }
                given.keywords.append((name, value))
            }
        }
        for at in given.keywords.indices.dropFirst()
        where given.keywords[..<at].contains(where: { Text.equal($0.name, given.keywords[at].name) }) {
            throw .value("got multiple values for keyword argument '\(given.keywords[at].name)'")
        }
        return given
    }

    func call(
        _ function: Expression, _ arguments: Arguments, at offset: Int, caller: Value?
    ) throws(Fault) -> Value {
        let callee = try evaluate(function)
        var given = try evaluate(arguments)
        if let caller { given.keywords.append(("caller", caller)) }
        position = offset
        switch callee {
        case .callable(let callable): return try call(callable, given)
        case .loop(let state): return try call(try Callable(.loop(state, "loop")), given)
        case .undefined(let reason): throw reason.fault
        default: throw .value("'\(callee.typeName)' object is not callable")
        }
    }

    func call(_ callable: Callable, _ given: Given) throws(Fault) -> Value {
        try spend()
        switch callable.kind {
        case .macro(let definition, let scope): return try call(definition, in: scope, given)
        case .function(let name): return try call(function: name, given)
        case .method(let receiver, let name): return try call(method: name, of: receiver, given)
        case .cycler(let items):
            defer { callable.count = (callable.count + 1) % items.count }
            return items[callable.count]
        case .joiner(let separator):
            defer { callable.count += 1 }
            return .string(callable.count == 0 ? "" : separator)
        case .loop(let state, let name): return try call(loop: state, name, given)
        }
    }

    /// Binds parameters as Python does and gives the text that the macro's body writes.
    private func call(_ macro: MacroDefinition, in definedIn: Scope, _ given: Given) throws(Fault) -> Value {
        calls += 1
        defer { calls -= 1 }
        if calls > budget.callDepth {
            throw Fault(.budget, "macros call each other deeper than \(budget.callDepth) levels")
        }
        var keywords = given.keywords
        let text = try capture { () throws(Fault) in
            try scoped(in: definedIn) { () throws(Fault) in
                for (at, parameter) in macro.parameters.enumerated() {
                    let named = keywords.firstIndex { Text.equal($0.name, parameter.name) }
                    if at < given.positional.count {
                        if named != nil {
                            throw .value("macro '\(macro.name)' got two values for the argument '\(parameter.name)'")
                        }
                        scope[parameter.id] = given.positional[at]
                    } else if let named {
                        scope[parameter.id] = keywords.remove(at: named).value
                    } else if let standard = parameter.standard {
                        scope[parameter.id] = try evaluate(standard)
                    } else {
                        scope[parameter.id] = .undefined(.because("parameter '\(parameter.name)' was not provided"))
                    }
                }
                try bindExtras(of: macro, given.positional.dropFirst(macro.parameters.count), keywords)
                _ = try run(macro.body)
            }
        }
        return .string(text)
    }

    private func bindExtras(
        of macro: MacroDefinition, _ positional: ArraySlice<Value>, _ named: [(name: String, value: Value)]
    ) throws(Fault) {
        var keywords = named
        if let caller = macro.caller {
            let at = keywords.firstIndex { $0.name == "caller" }
            scope[caller] = at.map { keywords.remove(at: $0).value } ?? .undefined(.because("No caller defined"))
        }
        if let kwargs = macro.kwargs {
            scope[kwargs] = .dict(try Mapping(keywords.map { (key: .string($0.name), value: $0.value) }))
        } else if let first = keywords.first {
            throw .value("macro '\(macro.name)' takes no keyword argument '\(first.name)'")
        }
        if let varargs = macro.varargs {
            scope[varargs] = try .makeTuple(Array(positional))
        } else if !positional.isEmpty {
            throw .value("macro '\(macro.name)' takes not more than \(macro.parameters.count) argument(s)")
        }
    }

    private func call(loop state: LoopState, _ name: String, _ given: Given) throws(Fault) -> Value {
        switch name {
        case "cycle":
            guard !given.positional.isEmpty else { throw .value("no items for cycling given") }
            return given.positional[state.index % given.positional.count]
        case "changed":
            var same = state.lastChanged?.count == given.positional.count
            for (old, new) in zip(state.lastChanged ?? [], given.positional) where same {
                same = try equal(old, new)
            }
            state.lastChanged = given.positional
            return .bool(!same)
        default:
            guard let (loop, parent) = state.recursion else {
                throw .value("the loop must have the 'recursive' marker to be called")
            }
            calls += 1
            defer { calls -= 1 }
            if calls > budget.callDepth {
                throw Fault(.budget, "the loop recurses deeper than \(budget.callDepth) levels")
            }
            let items = try given.one("loop")
            return .string(
                try capture { () throws(Fault) in try run(loop, over: items, in: parent, level: state.level + 1) })
        }
    }
}

/// The values that a call, filter or test was given.
struct Given {
    var positional: [Value] = []
    var keywords: [(name: String, value: Value)] = []

    /// The argument named `name`, or the one at `position`.
    func value(_ name: String, _ position: Int) -> Value? {
        if position < positional.count { return positional[position] }
        return keywords.first { $0.name == name }?.value
    }

    /// The only argument of `function`.
    func one(_ function: String) throws(Fault) -> Value {
        guard positional.count == 1, keywords.isEmpty else {
            throw .value("\(function)() takes exactly one argument (\(positional.count + keywords.count) given)")
        }
        return positional[0]
    }

    /// Refuses arguments beyond the named ones.
    func check(_ function: String, _ names: String...) throws(Fault) {
        if positional.count > names.count {
            throw .value("\(function)() takes at most \(names.count) argument(s), \(positional.count) given")
        }
        for (name, _) in keywords {
            guard let at = names.firstIndex(of: name) else {
                throw .value("\(function)() got an unexpected keyword argument '\(name)'")
            }
            if at < positional.count { throw .value("\(function)() got multiple values for argument '\(name)'") }
        }
    }
}

extension Value {
    init(_ literal: Literal) {
        switch literal {
        case .none: self = .none
        case .bool(let value): self = .bool(value)
        case .int(let value): self = .int(value)
        case .double(let value): self = .double(value)
        case .string(let value): self = .string(value)
        }
    }
}
