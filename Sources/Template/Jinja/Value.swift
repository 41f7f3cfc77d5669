/// What a template computes with: Python's plain values. Nothing outside them can be named or reached.
///
/// Everything is immutable, as in Jinja's immutable sandbox, but for namespaces, which live in the interpreter's own
/// table (so that no chain of them keeps itself alive), and the positions of one-shot iterators and cyclers.
enum Value {
    case undefined(Undefined)
    case none
    case bool(Bool)
    case int(Int)
    case double(Double)
    case string(String)
    /// Text marked safe for HTML: adding to it escapes what is added.
    case markup(String)
    case list(Elements)
    case tuple(Elements)
    case dict(Mapping)
    /// `dict.keys()`, `.values()`, `.items()`
    case view(DictView, Mapping)
    case range(NumberRange)
    /// What `map`, `select`, `items` and the like give: it can be walked once.
    case iterator(OneShot)
    case namespace(Int)
    case callable(Callable)
    case loop(LoopState)
}

/// Why something is not there; the message is made when it is used.
enum Undefined {
    case name(String)
    case member(String, of: String)
    /// A reason of its own.
    case because(String)
    /// Using it is a breach of the sandbox.
    case unsafe(member: String, of: String)

    var fault: Fault {
        switch self {
        case .name(let name): return Fault(.undefined, "'\(name)' is undefined")
        case .member(let name, let type): return Fault(.undefined, "'\(type) object' has no attribute '\(name)'")
        case .because(let reason): return Fault(.undefined, reason)
        case .unsafe(let name, let type):
            return Fault(.security, "access to attribute '\(name)' of '\(type)' object is unsafe")
        }
    }
}

/// The elements of a list or tuple, and how deep they nest.
final class Elements {
    let values: [Value]
    let depth: Int
    /// Names of a tuple's elements, for what `groupby` gives.
    let labels: [String]

    init(_ values: [Value], labels: [String] = []) throws(Fault) {
        self.values = values
        self.labels = labels
        depth = try Value.checkedDepth(values)
    }
}

enum DictView: String {
    case keys, values, items
}

final class NumberRange {
    let start: Int
    let stop: Int
    let step: Int
    let count: Int

    init(start: Int, stop: Int, step: Int, count: Int) {
        self.start = start
        self.stop = stop
        self.step = step
        self.count = count
    }

    /// Every element lies between start and stop, so wrapping on the way to it does no harm.
    subscript(index: Int) -> Int { start &+ index &* step }
}

final class OneShot {
    let values: [Value]
    var position = 0
    let depth: Int

    init(_ values: [Value]) throws(Fault) {
        self.values = values
        depth = try Value.checkedDepth(values)
    }

    /// What is left; nothing is afterwards.
    func drain() -> [Value] {
        defer { position = values.count }
        return position == 0 ? values : Array(values[position...])
    }
}

/// The variable `loop`.
final class LoopState {
    let items: [Value]
    let depth: Int
    let level: Int
    var index = 0
    var lastChanged: [Value]?
    /// How to run a recursive loop again.
    let recursion: (loop: Loop, scope: Scope)?

    init(items: [Value], level: Int, recursion: (loop: Loop, scope: Scope)?) throws(Fault) {
        self.items = items
        self.level = level
        self.recursion = recursion
        depth = try Value.checkedDepth(items)
    }
}

/// Something that can be called.
final class Callable {
    enum Kind {
        case macro(MacroDefinition, Scope)
        case function(String)
        case method(Value, String)
        case cycler([Value])
        case joiner(String)
        /// `loop.cycle`, `loop.changed`, or a recursive loop itself.
        case loop(LoopState, String)
    }
    let kind: Kind
    let depth: Int
    /// Position of a cycler; calls of a joiner.
    var count = 0

    init(_ kind: Kind) throws(Fault) {
        self.kind = kind
        switch kind {
        case .method(let receiver, _): depth = try Value.checkedDepth([receiver])
        case .cycler(let items): depth = try Value.checkedDepth(items)
        case .loop(let state, _): depth = try Value.checkedDepth([.loop(state)])
        case .macro, .function, .joiner: depth = 1
        }
    }
}

extension Value {
    /// Levels of values within this one.
    var depth: Int {
        switch self {
        case .list(let elements), .tuple(let elements): return elements.depth
        case .dict(let mapping), .view(_, let mapping): return mapping.depth
        case .iterator(let iterator): return iterator.depth
        case .callable(let callable): return callable.depth
        case .loop(let state): return state.depth
        default: return 0
        }
    }

    /// The depth of a container of `values`; values too deep would exhaust the stack when they are let go.
    static func checkedDepth(_ values: some Sequence<Value>) throws(Fault) -> Int {
        var deepest = 0
        for value in values { deepest = Swift.max(deepest, value.depth) }
        if deepest >= SourceLimits.valueDepth {
            throw Fault(.budget, "values nest deeper than \(SourceLimits.valueDepth) levels")
        }
        return deepest + 1
    }

    static func makeList(_ values: [Value]) throws(Fault) -> Value { .list(try Elements(values)) }
    static func makeTuple(_ values: [Value]) throws(Fault) -> Value { .tuple(try Elements(values)) }
    static func makeIterator(_ values: [Value]) throws(Fault) -> Value { .iterator(try OneShot(values)) }

    /// The name of the value's Python type.
    var typeName: String {
        switch self {
        case .undefined: return "Undefined"
        case .none: return "NoneType"
        case .bool: return "bool"
        case .int: return "int"
        case .double: return "float"
        case .string: return "str"
        case .markup: return "Markup"
        case .list: return "list"
        case .tuple: return "tuple"
        case .dict: return "dict"
        case .view(let view, _): return "dict_\(view.rawValue)"
        case .range: return "range"
        case .iterator: return "generator"
        case .namespace: return "Namespace"
        case .loop: return "LoopContext"
        case .callable(let callable):
            switch callable.kind {
            case .macro: return "Macro"
            case .cycler: return "Cycler"
            case .joiner: return "Joiner"
            case .method: return "builtin_function_or_method"
            case .function, .loop: return "function"
            }
        }
    }

    var isUndefined: Bool {
        if case .undefined = self { return true }
        return false
    }

    /// The characters of a text, marked safe or not.
    var text: String? {
        switch self {
        case .string(let text), .markup(let text): return text
        default: return nil
        }
    }

    /// The value as an integer; Python's booleans are integers.
    var integer: Int? {
        switch self {
        case .int(let value): return value
        case .bool(let value): return value ? 1 : 0
        default: return nil
        }
    }

    var number: Double? {
        if case .double(let value) = self { return value }
        return integer.map(Double.init)
    }
}
