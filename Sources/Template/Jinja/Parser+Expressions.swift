/// Expressions, by falling precedence: conditional, or, and, not, comparison, + -, ~, * / // %, **, sign, postfix, filter.
extension Parser {
    /// One expression, or several with commas between: a tuple.
    mutating func tuple(
        conditional: Bool = true, until word: String? = nil, inParentheses: Bool = false
    ) throws(Fault) -> Expression {
        let offset = current.offset
        var elements: [Expression] = []
        var isTuple = false
        while !endsTuple(word) {
            elements.append(try expression(conditional: conditional))
            guard take(symbol: ",") else { break }
            isTuple = true
        }
        if !isTuple, let first = elements.first { return first }
        if !isTuple, !inParentheses { throw unexpected("an expression") }
        return try make(.tuple(elements), offset, elements)
    }

    private func endsTuple(_ word: String?) -> Bool {
        switch current.kind {
        case .variableEnd, .blockEnd, .end: return true
        case .symbol(")"): return true
        case .name(let name): return name == word
        default: return false
        }
    }

    private func make(_ node: Expression.Node, _ offset: Int, _ children: [Expression?]) throws(Fault) -> Expression {
        try make(node, offset, height: children.reduce(0) { Swift.max($0, $1?.height ?? 0) })
    }

    private func make(_ node: Expression.Node, _ offset: Int, height: Int) throws(Fault) -> Expression {
        if height >= SourceLimits.depth {
            throw Fault(.budget, "the expression nests deeper than \(SourceLimits.depth) levels")
        }
        return Expression(node, offset: offset, children: height)
    }

    mutating func expression(conditional: Bool = true) throws(Fault) -> Expression {
        try nested { parser throws(Fault) in
            var value = try parser.or()
            guard conditional else { return value }
            while parser.at(word: "if") {
                let offset = parser.current.offset
                parser.advance()
                let test = try parser.or()
                let otherwise = parser.take(word: "else") ? try parser.expression() : nil
                value = try parser.make(
                    .conditional(test: test, then: value, otherwise: otherwise), offset, [value, test, otherwise])
            }
            return value
        }
    }

    private mutating func or() throws(Fault) -> Expression {
        var left = try and()
        while at(word: "or") {
            let offset = current.offset
            advance()
            let right = try and()
            left = try make(.or(left, right), offset, [left, right])
        }
        return left
    }

    private mutating func and() throws(Fault) -> Expression {
        var left = try not()
        while at(word: "and") {
            let offset = current.offset
            advance()
            let right = try not()
            left = try make(.and(left, right), offset, [left, right])
        }
        return left
    }

    private mutating func not() throws(Fault) -> Expression {
        guard at(word: "not") else { return try comparison() }
        let offset = current.offset
        advance()
        let operand = try nested { parser throws(Fault) in try parser.not() }
        return try make(.not(operand), offset, [operand])
    }

    private mutating func comparison() throws(Fault) -> Expression {
        let first = try sum()
        var offset = current.offset
        var operations: [(relation: ComparisonOperator, operand: Expression)] = []
        while let comparison = comparisonOperator() {
            if operations.isEmpty { offset = current.offset }
            advance()
            if comparison == .isNotIn { advance() }
            operations.append((comparison, try sum()))
        }
        if operations.isEmpty { return first }
        return try make(.compare(first, operations), offset, [first] + operations.map(\.operand))
    }

    private func comparisonOperator() -> ComparisonOperator? {
        switch current.kind {
        case .symbol(let text): return ComparisonOperator(rawValue: text)
        case .name("in"): return .isIn
        case .name("not"): return next.kind == .name("in") ? .isNotIn : nil
        default: return nil
        }
    }

    private mutating func sum() throws(Fault) -> Expression {
        try leftAssociative(["+", "-"]) { parser throws(Fault) in try parser.concatenation() }
    }

    private mutating func concatenation() throws(Fault) -> Expression {
        var parts = [try product()]
        let offset = current.offset
        while take(symbol: "~") { parts.append(try product()) }
        return parts.count == 1 ? parts[0] : try make(.concatenate(parts), offset, parts)
    }

    private mutating func product() throws(Fault) -> Expression {
        try leftAssociative(["*", "/", "//", "%"]) { parser throws(Fault) in
            // Powers bind to the left, as in Jinja and unlike Python.
            try parser.leftAssociative(["**"]) { parser throws(Fault) in try parser.unary(filtered: true) }
        }
    }

    private mutating func leftAssociative(
        _ symbols: Set<String>, _ operand: (inout Parser) throws(Fault) -> Expression
    ) throws(Fault) -> Expression {
        var left = try operand(&self)
        while case .symbol(let symbol) = current.kind, symbols.contains(symbol),
            let operation = BinaryOperator(rawValue: symbol)
        {
            let offset = current.offset
            advance()
            let right = try operand(&self)
            left = try make(.binary(operation, left, right), offset, [left, right])
        }
        return left
    }

    private mutating func unary(filtered: Bool) throws(Fault) -> Expression {
        let offset = current.offset
        var value: Expression
        if at(symbol: "-") || at(symbol: "+") {
            let negative = at(symbol: "-")
            advance()
            let operand = try nested { parser throws(Fault) in try parser.unary(filtered: false) }
            value = try make(.sign(negative: negative, operand), offset, [operand])
        } else {
            value = try primary()
        }
        value = try postfix(value)
        return filtered ? try filtersAndTests(on: value) : value
    }

    private mutating func primary() throws(Fault) -> Expression {
        let offset = current.offset
        switch current.kind {
        case .name(let name):
            advance()
            switch name {
            case "true", "True": return try make(.literal(.bool(true)), offset, [])
            case "false", "False": return try make(.literal(.bool(false)), offset, [])
            case "none", "None": return try make(.literal(.none), offset, [])
            default: return try make(.name(id(name)), offset, [])
            }
        case .string(var text):
            advance()
            while case .string(let more) = current.kind {
                text += more
                advance()
            }
            return try make(.literal(.string(text)), offset, [])
        case .integer(let value):
            advance()
            return try make(.literal(.int(value)), offset, [])
        case .float(let value):
            advance()
            return try make(.literal(.double(value)), offset, [])
        case .symbol("("):
            advance()
            let value = try nested { parser throws(Fault) in try parser.tuple(inParentheses: true) }
            try expect(symbol: ")")
            return value
        case .symbol("["): return try list()
        case .symbol("{"): return try mapping()
        default: throw unexpected("an expression")
        }
    }

    private mutating func list() throws(Fault) -> Expression {
        let offset = current.offset
        advance()
        var elements: [Expression] = []
        while !at(symbol: "]") {
            elements.append(try expression())
            if !take(symbol: ",") { break }
        }
        try expect(symbol: "]")
        return try make(.list(elements), offset, elements)
    }

    private mutating func mapping() throws(Fault) -> Expression {
        let offset = current.offset
        advance()
        var members: [(key: Expression, value: Expression)] = []
        while !at(symbol: "}") {
            let key = try expression()
            try expect(symbol: ":")
            members.append((key, try expression()))
            if !take(symbol: ",") { break }
        }
        try expect(symbol: "}")
        return try make(.mapping(members), offset, members.flatMap { [$0.key, $0.value] })
    }

    // MARK: Postfix

    private mutating func postfix(_ start: Expression) throws(Fault) -> Expression {
        var value = start
        while true {
            let offset = current.offset
            if take(symbol: ".") {
                let member = current
                advance()
                switch member.kind {
                case .name(let name): value = try make(.attribute(value, name), offset, [value])
                case .integer(let position):
                    let key = try make(.literal(.int(position)), member.offset, [])
                    value = try make(.item(value, key), offset, [value])
                default: throw Fault(.syntax, "expected a member's name after '.', found \(member.description)")
                }
            } else if at(symbol: "[") {
                value = try `subscript`(value)
            } else if at(symbol: "(") {
                let arguments = try self.arguments()
                value = try make(.call(value, arguments), offset, height: Swift.max(value.height, arguments.height))
            } else {
                return value
            }
        }
    }

    private mutating func `subscript`(_ base: Expression) throws(Fault) -> Expression {
        let offset = current.offset
        advance()
        var parts: [Expression?] = [nil]
        if !at(symbol: ":") { parts[0] = try expression() }
        while parts.count < 3, take(symbol: ":") {
            let isEmpty = at(symbol: "]") || at(symbol: ":")
            parts.append(isEmpty ? nil : try expression())
        }
        if at(symbol: ","), parts.count == 1, let first = parts[0] {
            var elements = [first]
            while take(symbol: ",") { elements.append(try expression()) }
            parts[0] = try make(.tuple(elements), offset, elements)
        }
        try expect(symbol: "]")
        if parts.count == 1 {
            guard let key = parts[0] else { throw unexpected("an index") }
            return try make(.item(base, key), offset, [base, key])
        }
        let step = parts.count > 2 ? parts[2] : nil
        return try make(.slice(base, from: parts[0], to: parts[1], step: step), offset, [base, step] + parts)
    }

    mutating func arguments() throws(Fault) -> Arguments {
        try expect(symbol: "(")
        var arguments = Arguments()
        while !at(symbol: ")") {
            if take(symbol: "*") {
                guard arguments.spread == nil, arguments.keywordSpread == nil else { throw unexpected("an argument") }
                arguments.spread = try expression()
            } else if take(symbol: "**") {
                guard arguments.keywordSpread == nil else { throw unexpected("an argument") }
                arguments.keywordSpread = try expression()
            } else if case .name(let name) = current.kind, next.kind == .symbol("=") {
                advance()
                advance()
                arguments.keywords.append((name, try expression()))
            } else {
                guard arguments.keywords.isEmpty, arguments.spread == nil, arguments.keywordSpread == nil else {
                    throw Fault(.syntax, "a positional argument follows a named one")
                }
                arguments.positional.append(try expression())
            }
            if !take(symbol: ",") { break }
        }
        try expect(symbol: ")")
        return arguments
    }

    // MARK: Filters and tests

    private mutating func filtersAndTests(on start: Expression) throws(Fault) -> Expression {
        var value = start
        while true {
            if at(symbol: "|") {
                value = try filters(on: value, startsInline: false)
            } else if at(word: "is") {
                value = try test(on: value)
            } else if at(symbol: "(") {
                let offset = current.offset
                let arguments = try self.arguments()
                value = try make(.call(value, arguments), offset, height: Swift.max(value.height, arguments.height))
            } else {
                return value
            }
        }
    }

    private mutating func dottedName() throws(Fault) -> String {
        var name = try expectName()
        while take(symbol: ".") { name += "." + (try expectName()) }
        return name
    }

    /// A chain of filters; the first has no bar before it where `startsInline`.
    mutating func filters(on start: Expression?, startsInline: Bool) throws(Fault) -> Expression {
        var value = start
        var first = startsInline
        while first || take(symbol: "|") {
            first = false
            let offset = current.offset
            let name = try dottedName()
            let arguments = at(symbol: "(") ? try self.arguments() : .none
            let height = Swift.max(value?.height ?? 0, arguments.height)
            value = try make(.filter(value, name, arguments), offset, height: height)
        }
        guard let value else { throw unexpected("a filter") }
        return value
    }

    private mutating func test(on value: Expression) throws(Fault) -> Expression {
        advance()
        let negated = take(word: "not")
        let offset = current.offset
        let name = try dottedName()
        var arguments = Arguments.none
        switch current.kind {
        case .symbol("("): arguments = try self.arguments()
        case .name("is"): throw Fault(.syntax, "tests cannot be chained with 'is'")
        case .name("else"), .name("or"), .name("and"): break
        case .name, .string, .integer, .float, .symbol("["), .symbol("{"):
            arguments.positional = [try postfix(try primary())]
        default: break
        }
        let height = Swift.max(value.height, arguments.height)
        return try make(.test(value, name, arguments, negated: negated), offset, height: height)
    }
}
