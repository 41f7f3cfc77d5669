/// Variables of one block; names not found here are looked for in the parent.
final class Scope {
    let parent: Scope?
    private var ids: [Int] = []
    private var values: [Value] = []

    init(parent: Scope?) { self.parent = parent }

    subscript(id: Int) -> Value? {
        get {
            var at = ids.count - 1
            while at >= 0 {
                if ids[at] == id { return values[at] }
                at -= 1
            }
            return nil
        }
        set {
            guard let newValue else { return }
            if let at = ids.firstIndex(of: id) {
                values[at] = newValue
            } else {
                ids.append(id)
                values.append(newValue)
            }
        }
    }

    func removeAll() {
        ids = []
        values = []
    }
}

/// One rendering of a template: its variables, its output and what it has cost so far.
final class Interpreter {
    let tree: Tree
    let budget: TemplateBudget
    let now: TemplateTime
    /// Values of `tree.names` that the caller gave.
    private let given: [Value?]
    var scope = Scope(parent: nil)
    var output = ""
    /// Byte ranges of `output` that stand in generation blocks, of the text being written at present.
    private(set) var generated: [Range<Int>] = []
    /// A generation block stood where its place in the whole text cannot be told.
    private(set) var lostGeneration = false
    private var capturing = 0
    /// Attributes of each namespace.
    var namespaces: [[(name: String, value: Value)]] = []
    /// The text that a block's filters work on.
    private var piped: Value = .none
    /// Byte offset in the source of what is being done, for messages.
    var position = 0
    private(set) var steps = 0
    private var frames = 0
    var calls = 0
    /// Scopes that macros hold on to. Macros stand in scopes in turn, so these are emptied at the end.
    var captured: [Scope] = []

    enum Flow { case normal, breakLoop, continueLoop }

    init(_ tree: Tree, values: [Value?], budget: TemplateBudget, now: TemplateTime) {
        self.tree = tree
        given = values
        self.budget = budget
        self.now = now
    }

    func run() throws(Fault) {
        defer {
            for scope in captured { scope.removeAll() }
            scope.removeAll()
            namespaces = []
        }
        _ = try run(tree.statements)
    }

    // MARK: Costs

    func spend(_ count: Int = 1) throws(Fault) {
        let (sum, overflow) = steps.addingReportingOverflow(count)
        steps = sum
        if overflow || steps > budget.steps {
            throw Fault(.budget, "the template takes more than \(budget.steps) steps")
        }
    }

    /// Counts the handling of `bytes` bytes of text and refuses texts beyond the limit.
    func spend(bytes: Int) throws(Fault) {
        if bytes > budget.outputBytes {
            throw Fault(.budget, "the template makes a text of more than \(budget.outputBytes) bytes")
        }
        try spend(bytes >> 8)
    }

    /// Counts the change of case of `text`, which beyond ASCII asks tables for each character.
    func spend(onCaseOf text: String) throws(Fault) {
        if !Text.isASCII(text) { try spend(text.utf8.count >> 4) }
    }

    func enter() throws(Fault) {
        frames += 1
        steps += 1
        if frames > SourceLimits.frames { throw Fault(.budget, "the template recurses too deep") }
        if steps > budget.steps { throw Fault(.budget, "the template takes more than \(budget.steps) steps") }
    }

    func leave() { frames -= 1 }

    func write(_ text: String) throws(Fault) {
        if output.utf8.count + text.utf8.count > budget.outputBytes {
            throw Fault(.budget, "the rendered text grows beyond \(budget.outputBytes) bytes")
        }
        try spend(text.utf8.count >> 8)
        output += text
    }

    /// What `body` writes, as a text of its own.
    func capture(_ body: () throws(Fault) -> Void) throws(Fault) -> String {
        let outer = output
        output = ""
        capturing += 1
        defer {
            output = outer
            capturing -= 1
        }
        try body()
        return output
    }

    /// Runs `body` with variables of its own.
    func scoped<Result>(in parent: Scope? = nil, _ body: () throws(Fault) -> Result) throws(Fault) -> Result {
        let outer = scope
        scope = Scope(parent: parent ?? outer)
        defer { scope = outer }
        return try body()
    }

    // MARK: Variables

    func lookup(_ id: Int) throws(Fault) -> Value {
        var at: Scope? = scope
        while let here = at {
            if let value = here[id] { return value }
            at = here.parent
        }
        if let value = given[id] { return value }
        let name = tree.names[id]
        return Functions.names.contains(name) ? .callable(try Callable(.function(name))) : .undefined(.name(name))
    }

    func assign(_ target: Target, _ value: Value) throws(Fault) {
        switch target {
        case .name(let id): scope[id] = value
        case .attribute(let id, let name):
            guard case .namespace(let space) = try lookup(id) else {
                throw .value("cannot assign attribute on non-namespace object '\(tree.names[id])'")
            }
            try set(name, of: space, to: value)
        case .tuple(let targets):
            let values = try elements(of: value)
            if values.count < targets.count {
                throw .value("not enough values to unpack (expected \(targets.count), got \(values.count))")
            }
            if values.count > targets.count {
                throw .value("too many values to unpack (expected \(targets.count))")
            }
            for (target, value) in zip(targets, values) { try assign(target, value) }
        }
    }

    func set(_ name: String, of space: Int, to value: Value) throws(Fault) {
        if name.hasPrefix("_") {
            throw Fault(.security, "the attribute '\(name)' of a namespace may not begin with an underscore")
        }
        if let at = namespaces[space].firstIndex(where: { Text.equal($0.name, name) }) {
            namespaces[space][at].value = value
        } else {
            try spend(namespaces[space].count >> 4)
            namespaces[space].append((name, value))
        }
    }

    // MARK: Statements

    func run(_ statements: [Statement]) throws(Fault) -> Flow {
        try enter()
        defer { leave() }
        for statement in statements {
            let flow = try run(statement)
            if flow != .normal { return flow }
        }
        return .normal
    }

    private func run(_ statement: Statement) throws(Fault) -> Flow {
        position = statement.offset
        try spend()
        switch statement.node {
        case .data(let text): try write(text)
        case .output(let expression):
            let value = try evaluate(expression)
            position = expression.offset
            if case .string(let text) = value { try write(text) } else { try write(try describe(value)) }
        case .branch(let branches, let otherwise):
            for (test, body) in branches where try isTrue(try evaluate(test)) { return try run(body) }
            return try run(otherwise)
        case .loop(let loop): try run(loop, over: try evaluate(loop.iterable), in: scope)
        case .assign(let target, let expression):
            let value = try evaluate(expression)
            position = statement.offset
            try assign(target, value)
        case .assignBlock(let target, let filter, let body):
            let text = try capture { () throws(Fault) in _ = try scoped { () throws(Fault) in try run(body) } }
            let value = try filter.map { filter throws(Fault) in try apply(filter, to: text) } ?? .string(text)
            position = statement.offset
            try assign(target, value)
        case .macro(let definition):
            captured.append(scope)
            scope[definition.nameID] = .callable(try Callable(.macro(definition, scope)))
        case .callBlock(let call, let definition):
            captured.append(scope)
            let caller = Value.callable(try Callable(.macro(definition, scope)))
            guard case .call(let function, let arguments) = call.node else { return .normal }
            try write(try describe(try self.call(function, arguments, at: call.offset, caller: caller)))
        case .filterBlock(let filter, let body):
            let text = try capture { () throws(Fault) in _ = try scoped { () throws(Fault) in try run(body) } }
            try write(try describe(try apply(filter, to: text)))
        case .with(let bindings, let body):
            return try with(bindings, body)
        case .generation(let body):
            let start = output.utf8.count
            _ = try scoped { () throws(Fault) in try run(body) }
            if capturing > 0 { lostGeneration = true } else { generated.append(start..<output.utf8.count) }
        case .breakLoop: return .breakLoop
        case .continueLoop: return .continueLoop
        }
        return .normal
    }

    private func apply(_ filter: Expression, to text: String) throws(Fault) -> Value {
        let outer = piped
        piped = .string(text)
        defer { piped = outer }
        return try evaluate(filter)
    }

    /// The text that the filters of a block begin with.
    var blockText: Value { piped }

    private func with(
        _ bindings: [(target: Target, value: Expression)], _ body: [Statement]
    ) throws(Fault) -> Flow {
        var values: [Value] = []
        for (_, expression) in bindings { values.append(try evaluate(expression)) }
        return try scoped { () throws(Fault) in
            for (binding, value) in zip(bindings, values) { try assign(binding.target, value) }
            return try run(body)
        }
    }

    /// Runs a loop's body for each element that passes its test.
    func run(_ loop: Loop, over iterable: Value, in parent: Scope, level: Int = 1) throws(Fault) {
        var items = try elements(of: iterable)
        if let test = loop.test {
            var kept: [Value] = []
            for item in items {
                let passes = try scoped(in: parent) { () throws(Fault) in
                    try assign(loop.target, item)
                    return try isTrue(try evaluate(test))
                }
                if passes { kept.append(item) }
            }
            items = kept
        }
        if items.isEmpty {
            _ = try scoped(in: parent) { () throws(Fault) in try run(loop.otherwise) }
            return
        }
        let state = try LoopState(items: items, level: level, recursion: loop.isRecursive ? (loop, parent) : nil)
        for at in items.indices {
            try spend()
            state.index = at
            let flow = try scoped(in: parent) { () throws(Fault) in
                if let id = tree.loopID { scope[id] = .loop(state) }
                try assign(loop.target, items[at])
                return try run(loop.body)
            }
            if flow == .breakLoop { break }
        }
    }
}
