/// An operation: the one place that says what it takes, what it gives, how it differentiates and what it computes.
package struct Op: Sendable {
    package let name: String
    /// One line: what it computes.
    package let summary: String
    /// Names of the inputs, in order.
    package let inputs: [String]
    /// How many of the last inputs may be left out.
    package let optionalInputs: Int
    /// Takes any number of inputs, all named as the first.
    package let variadic: Bool
    package let attributes: [AttributeRule]
    /// Shapes and types of the outputs.
    let infer: @Sendable (Inference) throws(GraphError) -> [ValueType]
    /// Emits the gradients of the inputs; nil where there is none.
    let gradient: (@Sendable (Differentiation) throws -> [Value?])?
    /// The meaning, element by element, in double precision.
    let reference: @Sendable (Evaluation) throws(GraphError) -> [[Double]]
    /// Computes each output element from the input elements at the same place.
    package let isElementwise: Bool

    init(
        _ name: String, _ summary: String, inputs: [String], optional: Int = 0, variadic: Bool = false,
        attributes: [AttributeRule] = [], isElementwise: Bool = false,
        infer: @escaping @Sendable (Inference) throws(GraphError) -> [ValueType],
        gradient: (@Sendable (Differentiation) throws -> [Value?])? = nil,
        reference: @escaping @Sendable (Evaluation) throws(GraphError) -> [[Double]]
    ) {
        self.name = name
        self.summary = summary
        self.inputs = inputs
        self.optionalInputs = optional
        self.variadic = variadic
        self.attributes = attributes
        self.isElementwise = isElementwise
        self.infer = infer
        self.gradient = gradient
        self.reference = reference
    }

    /// Whether gradients flow through it.
    package var isDifferentiable: Bool { gradient != nil }
    /// Whether the op lets a device round its factors.
    var takesActivation: Bool { attributes.contains { $0.name == "activation" } }

    func inputName(_ index: Int) -> String {
        variadic ? inputs[0] : inputs.indices.contains(index) ? inputs[index] : "?"
    }

    // MARK: The table

    /// Every op, by name.
    package static let table: [String: Op] = Dictionary(
        uniqueKeysWithValues: all.map { ($0.name, $0) })
    package static let all: [Op] = groups.flatMap(\.ops)
    /// The ops under the headings of their documentation.
    package static let groups: [(title: String, ops: [Op])] = [
        ("Elementwise", elementwiseOps), ("Shapes", shapeOps), ("Reductions", reduceOps), ("Products", productOps),
        ("Norms and positions", normOps), ("Attention", attentionOps), ("Losses", lossOps),
        ("Rows and columns", rowOps),
        ("Convolution", convolutionOps), ("Blocks of eight-bit states", blockOps),
    ]

    package static func named(_ name: String) -> Op? { table[name] }

    /// The known name that `name` is most like, for messages.
    static func nearest(to name: String) -> String? {
        let best = table.keys.map { ($0, editDistance($0, name)) }.min { ($0.1, $0.0) < ($1.1, $1.0) }
        return best.flatMap { $0.1 <= max(2, name.count / 3) ? $0.0 : nil }
    }
}

/// Levenshtein's distance, for "did you mean".
func editDistance(_ left: String, _ right: String) -> Int {
    let a = Array(left.utf8)
    let b = Array(right.utf8)
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for (j, y) in b.enumerated() {
            let above = row[j + 1]
            row[j + 1] = min(above + 1, row[j] + 1, diagonal + (x == y ? 0 : 1))
            diagonal = above
        }
    }
    return row[b.count]
}

extension Op {
    /// What a shape rule sees.
    package struct Inference {
        let types: [ValueType?]
        let attributes: Attributes
        let op: Op

        func has(_ index: Int) -> Bool { index < types.count && types[index] != nil }

        /// The type of a required input.
        func type(_ index: Int) throws(GraphError) -> ValueType {
            guard has(index), let type = types[index] else {
                throw GraphError(.invalid, "input \(index) (\(op.inputName(index))) is missing")
            }
            return type
        }

        func shape(_ index: Int) throws(GraphError) -> [Int] { try type(index).shape }

        /// The shape of an input that must have this rank and a float type.
        func float(_ index: Int, rank: Int? = nil) throws(GraphError) -> [Int] {
            let type = try type(index)
            guard type.element.isFloat else { throw mismatch(index, "a float type", type) }
            guard rank == nil || type.shape.count == rank else { throw mismatch(index, "rank \(rank ?? 0)", type) }
            return type.shape
        }

        /// The shape of an input of a float type with a last axis, over whose rows the op goes.
        func rows(_ index: Int) throws(GraphError) -> [Int] {
            let shape = try float(index)
            guard !shape.isEmpty else { throw mismatch(index, "at least one axis", try type(index)) }
            return shape
        }

        func integers(_ index: Int, _ shape: [Int]? = nil, rank: Int? = nil) throws(GraphError) -> [Int] {
            let type = try type(index)
            guard type.element == .i32 else { throw mismatch(index, "i32", type) }
            if let shape, type.shape != shape { throw mismatch(index, "shape \(shape)", type) }
            if let rank, type.shape.count != rank { throw mismatch(index, "rank \(rank)", type) }
            return type.shape
        }

        func expect(_ index: Int, _ shape: [Int]) throws(GraphError) {
            let type = try type(index)
            if type.shape != shape { throw mismatch(index, "shape \(shape)", type) }
        }

        func mismatch(_ index: Int, _ wanted: String, _ found: ValueType) -> GraphError {
            GraphError(.invalid, "input \(index) (\(op.inputName(index))) is \(found), wanted \(wanted)")
        }

        /// An axis attribute counted from the front; negative ones count from the end.
        func axis(_ name: String, rank: Int) throws(GraphError) -> Int {
            let given = attributes.int(name)
            let axis = given < 0 ? given + rank : given
            guard (0..<rank).contains(axis) else {
                throw GraphError(.invalid, "attribute \"\(name)\" is \(given), wanted an axis of a rank-\(rank) value")
            }
            return axis
        }
    }

    /// What a gradient rule sees.
    package struct Differentiation {
        let graph: Graph
        let node: Node
        /// Gradients of the outputs; nil where nothing depends on one.
        let outputs: [Value?]
        /// Which inputs' gradients are wanted.
        let wants: [Bool]

        func input(_ index: Int) -> Value { index < node.inputs.count ? node.inputs[index] : .none }
        func has(_ index: Int) -> Bool { !input(index).isNone }
        func wants(_ index: Int) -> Bool { index < wants.count && wants[index] }
        var attributes: Attributes { node.attributes }
        func shape(_ value: Value) -> [Int] { graph.shape(value) }
        /// The gradient of the first output.
        var dy: Value { (outputs.first ?? nil) ?? .none }
        var y: Value { node.outputs[0] }

        /// Throws when the loss depends on an output past the first `count`: those have no gradient, which must not be
        /// lost in silence.
        func onlyFirst(_ count: Int) throws {
            if let other = outputs.indices.dropFirst(count).first(where: { outputs[$0] != nil }) {
                let others = count == 1 ? "output 0" : "outputs 0 to \(count - 1)"
                throw graph.error(
                    .unsupported,
                    "the loss depends on output \(other), which has no gradient; detach it or use \(others)",
                    node.op.name)
            }
        }

        func emit(_ op: String, _ inputs: Value..., with attributes: [(String, AttributeValue)] = []) throws -> Value {
            try graph.emit(op, inputs, attributes)[0]
        }
    }

    /// What a reference sees: all elements as doubles, in row-major order.
    package struct Evaluation {
        let inputs: [[Double]?]
        let types: [ValueType?]
        let outputs: [ValueType]
        let attributes: Attributes

        func has(_ index: Int) -> Bool { index < inputs.count && inputs[index] != nil }
        func values(_ index: Int) -> [Double] { index < inputs.count ? inputs[index] ?? [] : [] }
        func shape(_ index: Int) -> [Int] { index < types.count ? types[index]?.shape ?? [] : [] }
        func ints(_ index: Int) -> [Int] { values(index).map { Int($0) } }
    }
}
