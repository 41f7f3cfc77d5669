/// An expression and the byte offset where it stands, for messages.
final class Expression: Sendable {
    let node: Node
    let offset: Int
    /// Levels below and including this one.
    let height: Int

    init(_ node: Node, offset: Int, children: Int) {
        self.node = node
        self.offset = offset
        height = children + 1
    }

    enum Node: Sendable {
        case literal(Literal)
        /// A variable, by its index in `Tree.names`.
        case name(Int)
        case tuple([Expression])
        case list([Expression])
        case mapping([(key: Expression, value: Expression)])
        case attribute(Expression, String)
        case item(Expression, Expression)
        case slice(Expression, from: Expression?, to: Expression?, step: Expression?)
        case call(Expression, Arguments)
        /// The operand of the first filter of a block is the block's text: nil.
        case filter(Expression?, String, Arguments)
        case test(Expression, String, Arguments, negated: Bool)
        case not(Expression)
        case sign(negative: Bool, Expression)
        case and(Expression, Expression)
        case or(Expression, Expression)
        case binary(BinaryOperator, Expression, Expression)
        case concatenate([Expression])
        case compare(Expression, [(relation: ComparisonOperator, operand: Expression)])
        case conditional(test: Expression, then: Expression, otherwise: Expression?)
    }
}

enum Literal: Sendable {
    case none
    case bool(Bool)
    case int(Int)
    case double(Double)
    case string(String)
}

enum BinaryOperator: String, Sendable {
    case add = "+"
    case subtract = "-"
    case multiply = "*"
    case divide = "/"
    case floorDivide = "//"
    case modulo = "%"
    case power = "**"
}

enum ComparisonOperator: String, Sendable {
    case equal = "=="
    case notEqual = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
    case isIn = "in"
    case isNotIn = "not in"
}

/// What stands between the parentheses of a call.
struct Arguments: Sendable {
    var positional: [Expression] = []
    var keywords: [(name: String, value: Expression)] = []
    /// `*expression`
    var spread: Expression?
    /// `**expression`
    var keywordSpread: Expression?

    static let none = Arguments()
    var height: Int {
        let all = positional + keywords.map(\.value) + [spread, keywordSpread].compactMap { $0 }
        return all.map(\.height).max() ?? 0
    }
}

struct Statement: Sendable {
    let node: Node
    let offset: Int

    indirect enum Node: Sendable {
        case data(String)
        case output(Expression)
        case branch([(test: Expression, body: [Statement])], otherwise: [Statement])
        case loop(Loop)
        case assign(Target, Expression)
        case assignBlock(Target, filter: Expression?, [Statement])
        case macro(MacroDefinition)
        case callBlock(Expression, MacroDefinition)
        case filterBlock(Expression, [Statement])
        case with([(target: Target, value: Expression)], [Statement])
        case generation([Statement])
        case breakLoop
        case continueLoop
    }
}

struct Loop: Sendable {
    let target: Target
    let iterable: Expression
    let test: Expression?
    let isRecursive: Bool
    let body: [Statement]
    let otherwise: [Statement]
}

indirect enum Target: Sendable {
    case name(Int)
    case tuple([Target])
    /// `namespace.attribute`
    case attribute(Int, String)
}

final class MacroDefinition: Sendable {
    let name: String
    let nameID: Int
    let parameters: [(id: Int, name: String, standard: Expression?)]
    let body: [Statement]
    /// Ids of the special names that the body mentions.
    let varargs: Int?
    let kwargs: Int?
    let caller: Int?

    init(
        name: String, nameID: Int, parameters: [(id: Int, name: String, standard: Expression?)], body: [Statement],
        varargs: Int?, kwargs: Int?, caller: Int?
    ) {
        self.name = name
        self.nameID = nameID
        self.parameters = parameters
        self.body = body
        self.varargs = varargs
        self.kwargs = kwargs
        self.caller = caller
    }
}

/// A parsed template.
struct Tree: Sendable {
    let statements: [Statement]
    /// Every variable name that the template mentions.
    let names: [String]
    /// `{% generation %}` blocks stand in it.
    let marksGeneration: Bool
    /// The index of the name `loop`, if it is mentioned.
    let loopID: Int?
}
