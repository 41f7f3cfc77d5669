/// Builds the tree of a template's statements. Grammar: Jinja documentation, "List of Control Structures".
struct Parser {
    var tokens: [Token]
    var index = 0
    var depth = 0
    private var names: [String] = []
    private var ids: [String: Int] = [:]
    private var marksGeneration = false
    private var loopDepth = 0
    /// Names mentioned since the innermost macro began; a macro takes extra arguments only if it mentions them.
    private var mentioned: Set<Int> = []

    init(_ tokens: [Token]) { self.tokens = tokens }

    mutating func tree() throws(Fault) -> Tree {
        let statements = try body(until: [])
        return Tree(statements: statements, names: names, marksGeneration: marksGeneration, loopID: ids["loop"])
    }

    // MARK: Tokens

    var current: Token { tokens[index] }
    var next: Token { tokens[Swift.min(index + 1, tokens.count - 1)] }

    mutating func advance() { if index < tokens.count - 1 { index += 1 } }

    func at(symbol: String) -> Bool { current.kind == .symbol(symbol) }
    func at(word: String) -> Bool { current.kind == .name(word) }

    mutating func take(symbol: String) -> Bool {
        guard at(symbol: symbol) else { return false }
        advance()
        return true
    }

    mutating func take(word: String) -> Bool {
        guard at(word: word) else { return false }
        advance()
        return true
    }

    mutating func expect(symbol: String) throws(Fault) {
        if !take(symbol: symbol) { throw unexpected("'\(symbol)'") }
    }

    mutating func expect(word: String) throws(Fault) {
        if !take(word: word) { throw unexpected("'\(word)'") }
    }

    mutating func expectName() throws(Fault) -> String {
        guard case .name(let name) = current.kind else { throw unexpected("a name") }
        advance()
        return name
    }

    func unexpected(_ wanted: String) -> Fault {
        Fault(.syntax, "expected \(wanted), found \(current.description)")
    }

    /// Runs `body` one level deeper.
    mutating func nested<Result>(
        _ body: (inout Parser) throws(Fault) -> Result
    ) throws(Fault) -> Result {
        depth += 1
        defer { depth -= 1 }
        if depth > SourceLimits.depth {
            throw Fault(.budget, "the template nests deeper than \(SourceLimits.depth) levels")
        }
        return try body(&self)
    }

    /// The index of a variable's name.
    mutating func id(_ name: String) -> Int {
        let id = ids[name] ?? names.count
        if id == names.count {
            names.append(name)
            ids[name] = id
        }
        mentioned.insert(id)
        return id
    }

    // MARK: Statements

    /// Statements up to a tag that begins with one of `ends`, which is left at its word.
    private mutating func body(until ends: Set<String>) throws(Fault) -> [Statement] {
        try nested { parser throws(Fault) in
            var statements: [Statement] = []
            while true {
                let token = parser.current
                switch token.kind {
                case .data(let text):
                    parser.advance()
                    statements.append(Statement(node: .data(text), offset: token.offset))
                case .variableBegin:
                    parser.advance()
                    let value = try parser.tuple()
                    guard parser.current.kind == .variableEnd else { throw parser.unexpected("'}}'") }
                    parser.advance()
                    statements.append(Statement(node: .output(value), offset: token.offset))
                case .blockBegin:
                    parser.advance()
                    guard case .name(let word) = parser.current.kind else { throw parser.unexpected("a tag's name") }
                    if ends.contains(word) { return statements }
                    statements.append(try parser.statement(word))
                    try parser.blockEnd()
                default:
                    if ends.isEmpty { return statements }
                    let wanted = ends.sorted().map { "'{% \($0) %}'" }.joined(separator: " or ")
                    throw Fault(.syntax, "the template ends where \(wanted) was expected")
                }
            }
        }
    }

    private mutating func blockEnd() throws(Fault) {
        guard current.kind == .blockEnd else { throw unexpected("'%}'") }
        advance()
    }

    /// A tag's end, its body, and the word at which the body stopped, passed over.
    private mutating func block(_ ends: String...) throws(Fault) -> (body: [Statement], end: String) {
        _ = take(symbol: ":")
        try blockEnd()
        let statements = try body(until: Set(ends))
        return (statements, try expectName())
    }

    private mutating func statement(_ word: String) throws(Fault) -> Statement {
        let offset = current.offset
        let node: Statement.Node
        switch word {
        case "if": node = try branch()
        case "for": node = try loop()
        case "set": node = try assignment()
        case "macro":
            advance()
            node = .macro(try macro(name: try expectName(), end: "endmacro"))
        case "call": node = try callBlock()
        case "filter":
            advance()
            let filter = try filters(on: nil, startsInline: true)
            node = .filterBlock(filter, try scoped("endfilter"))
        case "with": node = try with()
        case "generation":
            advance()
            marksGeneration = true
            node = .generation(try scoped("endgeneration"))
        case "break", "continue":
            if loopDepth == 0 { throw Fault(.syntax, "'\(word)' stands outside a loop") }
            advance()
            node = word == "break" ? .breakLoop : .continueLoop
        case "print":
            advance()
            node = .output(try tuple())
        case "include", "import", "from", "extends", "block":
            throw Fault(
                .unsupported, "'\(word)' is refused: a chat template stands alone and loads no other template")
        case "do", "autoescape", "trans", "debug":
            throw Fault(.unsupported, "the tag '\(word)' is not part of what chat templates may use")
        default:
            throw Fault(.syntax, "unknown tag '\(word)'")
        }
        return Statement(node: node, offset: offset)
    }

    private mutating func scoped(_ end: String) throws(Fault) -> [Statement] {
        // A break inside would have to leave the scope's own output behind; Jinja refuses it too.
        let outer = loopDepth
        loopDepth = 0
        defer { loopDepth = outer }
        return try block(end).body
    }

    private mutating func branch() throws(Fault) -> Statement.Node {
        var branches: [(test: Expression, body: [Statement])] = []
        var otherwise: [Statement] = []
        while true {
            advance()
            let test = try tuple(conditional: false)
            let (body, end) = try block("elif", "else", "endif")
            branches.append((test, body))
            if end == "elif" {
                index -= 1
                continue
            }
            if end == "else" { otherwise = try block("endif").body }
            return .branch(branches, otherwise: otherwise)
        }
    }

    private mutating func loop() throws(Fault) -> Statement.Node {
        advance()
        let target = try self.target(until: "in", attributes: false)
        try expect(word: "in")
        let iterable = try tuple(conditional: false, until: "recursive")
        let test = take(word: "if") ? try expression() : nil
        let isRecursive = take(word: "recursive")
        loopDepth += 1
        let (body, end) = try block("endfor", "else")
        loopDepth -= 1
        let otherwise = end == "else" ? try block("endfor").body : []
        return .loop(
            Loop(
                target: target, iterable: iterable, test: test, isRecursive: isRecursive, body: body,
                otherwise: otherwise))
    }

    private mutating func assignment() throws(Fault) -> Statement.Node {
        advance()
        let target = try self.target(until: nil, attributes: true)
        if take(symbol: "=") { return .assign(target, try tuple()) }
        let filter = at(symbol: "|") ? try filters(on: nil, startsInline: false) : nil
        return .assignBlock(target, filter: filter, try scoped("endset"))
    }

    private mutating func with() throws(Fault) -> Statement.Node {
        advance()
        var bindings: [(target: Target, value: Expression)] = []
        while current.kind != .blockEnd {
            if !bindings.isEmpty { try expect(symbol: ",") }
            let target = try singleTarget(attributes: false)
            try expect(symbol: "=")
            bindings.append((target, try expression()))
        }
        return .with(bindings, try block("endwith").body)
    }

    private mutating func callBlock() throws(Fault) -> Statement.Node {
        advance()
        let parameters = at(symbol: "(") ? try signature() : []
        let call = try expression()
        guard case .call = call.node else { throw Fault(.syntax, "'{% call %}' needs a call of a macro") }
        let definition = try macroBody(name: "caller", parameters: parameters, end: "endcall")
        return .callBlock(call, definition)
    }

    private mutating func macro(name: String, end: String) throws(Fault) -> MacroDefinition {
        try macroBody(name: name, parameters: try signature(), end: end)
    }

    private mutating func macroBody(
        name: String, parameters: [(id: Int, name: String, standard: Expression?)], end: String
    ) throws(Fault) -> MacroDefinition {
        let outer = mentioned
        mentioned = []
        let body = try scoped(end)
        func special(_ name: String) -> Int? {
            guard let id = ids[name], mentioned.contains(id), !parameters.contains(where: { $0.id == id }) else {
                return nil
            }
            return id
        }
        let (varargs, kwargs, caller) = (special("varargs"), special("kwargs"), special("caller"))
        mentioned.formUnion(outer)
        return MacroDefinition(
            name: name, nameID: id(name), parameters: parameters, body: body, varargs: varargs, kwargs: kwargs,
            caller: caller)
    }

    private mutating func signature() throws(Fault) -> [(id: Int, name: String, standard: Expression?)] {
        try expect(symbol: "(")
        var parameters: [(id: Int, name: String, standard: Expression?)] = []
        while !at(symbol: ")") {
            if !parameters.isEmpty { try expect(symbol: ",") }
            let name = try expectName()
            let standard = take(symbol: "=") ? try expression() : nil
            if standard == nil, parameters.last?.standard != nil {
                throw Fault(.syntax, "the parameter '\(name)' without a default follows one that has it")
            }
            parameters.append((id(name), name, standard))
        }
        try expect(symbol: ")")
        return parameters
    }

    // MARK: Targets of assignments

    private mutating func target(until word: String?, attributes: Bool) throws(Fault) -> Target {
        var targets: [Target] = []
        var isTuple = false
        while true {
            targets.append(try singleTarget(attributes: attributes))
            guard take(symbol: ",") else { break }
            isTuple = true
            if let word, at(word: word) { break }
            if at(symbol: "=") || current.kind == .blockEnd { break }
        }
        return isTuple ? .tuple(targets) : targets[0]
    }

    private mutating func singleTarget(attributes: Bool) throws(Fault) -> Target {
        if take(symbol: "(") {
            let inner = try nested { parser throws(Fault) in
                try parser.target(until: nil, attributes: attributes)
            }
            try expect(symbol: ")")
            return inner
        }
        let name = try expectName()
        if ["true", "false", "none", "True", "False", "None"].contains(name) {
            throw Fault(.syntax, "'\(name)' cannot be assigned to")
        }
        if attributes, take(symbol: ".") { return .attribute(id(name), try expectName()) }
        return .name(id(name))
    }
}
