import Synchronization

/// A value of a graph, by number; 0 is none.
package struct Value: Hashable, Sendable {
    package let index: Int
    package init(_ index: Int) { self.index = index }
    package static let none = Value(0)
    package var isNone: Bool { index == 0 }
}

/// A parameter as the graph sees it: a tensor of the checkpoint or of the trainer, by name.
package struct Parameter: Sendable, Equatable {
    package var name: String
    package var shape: [Int]
    /// How its elements are stored: "f32", "bf16", "q4_0" …
    package var layout: String
    /// Stored as [in, out] in the checkpoint.
    package var isTransposed: Bool

    package init(name: String, shape: [Int], layout: String = "f32", isTransposed: Bool = false) {
        self.name = name
        self.shape = shape
        self.layout = layout
        self.isTransposed = isTransposed
    }
}

/// One operation.
package struct Node: Sendable {
    package let op: Op
    package var inputs: [Value]
    package let outputs: [Value]
    package let attributes: Attributes
    /// Index into the graph's blocks; 0 is the root.
    package let block: Int
}

/// Where a value comes from when no op computes it.
package enum Source: Sendable {
    case input(String)
    case parameter(Parameter)
    case constant([UInt8])
}

/// A linear site, offered to whoever adapts it.
package struct LinearSite {
    package let name: String
    package let x: Value
    package let y: Value
    package let weight: Value
    package let inWidth: Int
    package let outWidth: Int

    package init(name: String, x: Value, y: Value, weight: Value, inWidth: Int, outWidth: Int) {
        self.name = name
        self.x = x
        self.y = y
        self.weight = weight
        self.inWidth = inWidth
        self.outWidth = outWidth
    }
}

/// Mathematics as nodes in the order in which they may run. Shapes are concrete; nothing is computed here.
///
/// Not for use by two threads at once.
package final class Graph {
    package let id: UInt32
    package private(set) var nodes: [Node] = []
    package private(set) var types: [ValueType] = [ValueType([])]
    /// For each value the node that computes it, or -1.
    package private(set) var producers: [Int] = [-1]
    package private(set) var sources: [Int: Source] = [:]
    package private(set) var parameters: [String: Value] = [:]
    /// Full names of all blocks that were opened; blocks[0] is the root.
    package private(set) var blocks: [String] = [""]
    /// For each block the outermost one around it (itself, when it stands in the root).
    package private(set) var outermostBlocks: [Int] = [0]
    private var openBlocks: [Int] = [0]
    /// What products round activations to on devices that can: "auto" leaves it to the weight's layout, "float" does too
    /// but for int8, "f32", "bf16" and "int8" say it.
    package var activation = "auto"
    /// Gives attention of a layer another form, over a cache; nil leaves it within the batch.
    package var attention: ((_ inputs: [Value], _ attributes: [(String, AttributeValue)]) throws -> Value)?
    /// u32 [2]: the seed that dropout and uniform nodes without one of their own draw from, each in a stream of its own.
    package var seed: Value?
    private var nextStream = 0
    /// Plugins' ops that are being decomposed, outermost first.
    private var decompositions: [String] = []
    /// Whether a node of one number that is there already stands for another like it: for graphs that ask for the same again with
    /// each of many tensors, such as an optimizer's.
    package var sharesSingleNumbers = false
    private struct SharedNode: Hashable {
        let op: String
        let inputs: [Value]
        let attributes: Attributes
    }
    private var shared: [SharedNode: [Value]] = [:]
    /// The first failure of a build through the C interface.
    package var failure: GraphError?

    /// Says how a parameter is stored, or throws when there is none of that name; nil means f32.
    package var resolveParameter: ((_ name: String, _ shape: [Int], _ flags: ParameterFlags) throws -> Parameter?)?
    /// Returns the value that stands for a linear site's output; used by tuners.
    package var adaptLinear: ((LinearSite) throws -> Value)?
    /// Returns the value that stands for rows that were looked up by `ids`; used by noise on embeddings.
    package var adaptEmbedding: ((_ ids: Value, _ rows: Value) throws -> Value)?
    /// Ops that plugins bring, by name.
    package var customOp:
        (
            (
                _ name: String, _ graph: Graph, _ inputs: [Value], _ attributes: [(String, AttributeValue)],
                _ outputs: Int
            ) throws
                -> [Value]?
        )?
    /// What of a parameter's description the builder passes on.
    package struct ParameterFlags: OptionSet, Sendable {
        package let rawValue: UInt32
        package init(rawValue: UInt32) { self.rawValue = rawValue }
        package static let transposed = ParameterFlags(rawValue: 1)
        package static let optional = ParameterFlags(rawValue: 2)
    }

    private static let nextID = Atomic<UInt32>(1)

    package init() { id = Self.nextID.wrappingAdd(1, ordering: .relaxed).oldValue }

    // MARK: Reading

    package func type(_ value: Value) -> ValueType { types[value.index] }
    package func shape(_ value: Value) -> [Int] { types[value.index].shape }
    package func producer(_ value: Value) -> Node? {
        let node = producers[value.index]
        return node < 0 ? nil : nodes[node]
    }
    package func contains(_ value: Value) -> Bool { value.index > 0 && value.index < types.count }
    /// The parameter behind `value`, if it is one.
    package func parameter(_ value: Value) -> Parameter? {
        if case .parameter(let parameter)? = sources[value.index] { return parameter }
        return nil
    }

    // MARK: Building

    /// A value that is given when the graph runs.
    package func input(_ name: String, _ type: ValueType) -> Value { add(type, .input(name)) }

    /// A value known now; `bytes` holds its elements in row-major order.
    package func constant(_ type: ValueType, _ bytes: [UInt8]) throws(GraphError) -> Value {
        guard type.isCountable, bytes.count == type.byteCount else {
            throw error(
                .invalid,
                "a constant \(type) takes \(type.isCountable ? "\(type.byteCount)" : "too many") bytes, found \(bytes.count)",
                "constant")
        }
        return add(type, .constant(bytes))
    }

    package func constant(_ values: [Float], _ shape: [Int]) throws(GraphError) -> Value {
        try constant(ValueType(shape), values.withUnsafeBytes { Array($0) })
    }

    /// The parameter `name`, from the root when it starts with "/"; the same name gives the same value.
    package func parameter(_ name: String, _ shape: [Int], flags: ParameterFlags = []) throws -> Value {
        let full = fullName(name)
        guard !name.isEmpty, !full.isEmpty else { throw error(.invalid, "a parameter has an empty name", "parameter") }
        guard flags.isSubset(of: [.transposed, .optional]) else {
            throw error(
                .invalid,
                "parameter \"\(full)\" has flags \(flags.rawValue), wanted 1 (transposed), 2 (optional) or both",
                "parameter")
        }
        if let known = parameters[full] {
            guard self.shape(known) == shape else {
                throw error(
                    .invalid, "parameter \"\(full)\" was \(self.shape(known)) before, wanted now as \(shape)",
                    "parameter")
            }
            return known
        }
        guard ValueType(shape).isCountable else {
            throw error(.invalid, "parameter \"\(full)\" of shape \(shape) is negative or too large", "parameter")
        }
        var parameter = Parameter(name: full, shape: shape, isTransposed: flags.contains(.transposed))
        if let resolve = resolveParameter {
            guard let found = try resolve(full, shape, flags) else {
                let zeros = try constant(ValueType(shape), [UInt8](repeating: 0, count: shape.reduce(4, *)))
                parameters[full] = zeros
                return zeros
            }
            parameter = found
        }
        let value = add(ValueType(shape), .parameter(parameter))
        parameters[full] = value
        return value
    }

    /// y = x wᵀ (+ b) over the parameter `name`.weight of [outWidth, in].
    package func linear(
        _ name: String, _ x: Value, _ outWidth: Int, bias: Bool = false, flags: ParameterFlags = []
    ) throws -> Value {
        guard !name.isEmpty, name != "/" else { throw error(.invalid, "a linear site has an empty name", "linear") }
        guard contains(x), let inWidth = shape(x).last else {
            throw error(
                .invalid, "linear \"\(fullName(name))\" wants x of [tokens, width], found no such value", "linear")
        }
        let weight = try parameter(name + ".weight", [outWidth, inWidth], flags: flags)
        let b = bias ? try parameter(name + ".bias", [outWidth]) : Value.none
        guard let adaptLinear else { return try emit("linear", [x, weight, b])[0] }
        // The bias comes after what is adapted: a tuner that scales the product must not scale it.
        let y = try emit("linear", [x, weight])[0]
        let adapted = try adaptLinear(
            LinearSite(name: fullName(name), x: x, y: y, weight: weight, inWidth: inWidth, outWidth: outWidth))
        return b.isNone ? adapted : try emit("add", [adapted, b])[0]
    }

    /// Adds a node and gives its outputs.
    @discardableResult
    package func emit(
        _ opName: String, _ inputs: [Value], _ attributes: [(String, AttributeValue)] = [], outputs: Int = 1
    ) throws -> [Value] {
        guard let op = Op.named(opName) else {
            if let custom = try decompose(opName, inputs, attributes, outputs) { return custom }
            throw error(
                .unknown, "unknown op\(Op.nearest(to: opName).map { "; did you mean \"\($0)\"?" } ?? "")", opName)
        }
        if opName == "attention", let attention { return [try attention(inputs, attributes)] }
        if opName == "dropout" && inputs.count == 1 || opName == "uniform" && inputs.isEmpty, let seed {
            nextStream += 1
            return try emit(op, inputs + [seed], attributes + [("stream", .int(nextStream))])
        }
        if opName == "embedding", let adaptEmbedding, inputs.count == 2 {
            return [try adaptEmbedding(inputs[1], emit(op, inputs, attributes)[0])]
        }
        if op.takesActivation, activation != "auto", !attributes.contains(where: { $0.0 == "activation" }) {
            return try emit(op, inputs, attributes + [("activation", .string(activation))])
        }
        return try emit(op, inputs, attributes)
    }

    /// Emits a plugin's op by its decomposition; nil when no plugin has it.
    private func decompose(
        _ name: String, _ inputs: [Value], _ attributes: [(String, AttributeValue)], _ outputs: Int
    ) throws -> [Value]? {
        guard let customOp else { return nil }
        for (i, input) in inputs.enumerated() where !input.isNone && !contains(input) {
            throw error(.invalid, "input \(i) is no value of this graph", name)
        }
        guard decompositions.count < 16 else {
            throw error(.invalid, "decompositions nest too deeply: \(decompositions.joined(separator: " → "))", name)
        }
        decompositions.append(name)
        defer { decompositions.removeLast() }
        return try customOp(name, self, inputs, attributes, outputs)
    }

    package func emit(_ op: Op, _ given: [Value], _ attributes: [(String, AttributeValue)]) throws(GraphError)
        -> [Value]
    {
        var inputs = given
        while let last = inputs.last, last.isNone, inputs.count > op.inputs.count - op.optionalInputs {
            inputs.removeLast()
        }
        if op.variadic
            ? inputs.isEmpty : !(op.inputs.count - op.optionalInputs...op.inputs.count).contains(inputs.count)
        {
            throw error(
                .invalid,
                "wants \(op.inputs.count) inputs (\(op.inputs.joined(separator: ", "))), found \(given.count)",
                op.name)
        }
        for (i, input) in inputs.enumerated() where !contains(input) {
            if input.isNone, i >= op.inputs.count - op.optionalInputs, !op.variadic { continue }
            throw error(.invalid, "input \(i) (\(op.inputName(i))) is no value of this graph", op.name)
        }
        do throws(GraphError) {
            let checked = try Attributes(attributes, rules: op.attributes)
            let context = Op.Inference(types: inputs.map { $0.isNone ? nil : type($0) }, attributes: checked, op: op)
            let results = try op.infer(context)
            if let impossible = results.first(where: { !$0.isCountable }) {
                throw GraphError(.invalid, "the result would be \(impossible), which no memory holds")
            }
            if let deep = results.first(where: { $0.shape.count > ValueType.mostAxes }) {
                throw GraphError(
                    .invalid, "the result would have \(deep.shape.count) axes, wanted at most \(ValueType.mostAxes)")
            }
            let isShared = sharesSingleNumbers && results.allSatisfy { $0.count == 1 }
            let key = SharedNode(op: op.name, inputs: inputs, attributes: checked)
            if isShared, let known = shared[key] { return known }
            let values = results.map { add($0, producer: nodes.count) }
            nodes.append(
                Node(
                    op: op, inputs: inputs, outputs: values, attributes: checked,
                    block: openBlocks[openBlocks.count - 1]))
            if isShared { shared[key] = values }
            return values
        } catch {
            let names = inputs.compactMap { parameter($0)?.name }
            let over = names.isEmpty ? "" : "; its parameters are \(names.joined(separator: ", "))"
            throw self.error(error.code, error.message + over, op.name)
        }
    }

    /// Adds `node` again over other inputs.
    package func clone(_ node: Node, inputs: [Value]) -> [Value] {
        let values = node.outputs.map { add(type($0), producer: nodes.count) }
        nodes.append(Node(op: node.op, inputs: inputs, outputs: values, attributes: node.attributes, block: node.block))
        return values
    }

    /// Sets a flag of the node that computes `value`, by which its other outputs may take another shape: what a gradient asks
    /// of the forward pass.
    func setFlag(_ flag: String, ofProducerOf value: Value) throws(GraphError) {
        let index = producers[value.index]
        guard index >= 0 else { return }
        let node = nodes[index]
        try replace(
            index, by: node.op, node.inputs, node.attributes.pairs.filter { $0.0 != flag } + [(flag, .bool(true))])
    }

    /// Lets another op compute a node's outputs; its inputs must be computed before the node.
    func replace(
        _ index: Int, by op: Op, _ inputs: [Value], _ attributes: [(String, AttributeValue)]
    ) throws(GraphError) {
        let node = nodes[index]
        let checked = try Attributes(attributes, rules: op.attributes)
        let known = inputs.map { $0.isNone ? nil : type($0) }
        let results = try op.infer(Op.Inference(types: known, attributes: checked, op: op))
        for (output, type) in zip(node.outputs, results) { types[output.index] = type }
        nodes[index] = Node(op: op, inputs: inputs, outputs: node.outputs, attributes: checked, block: node.block)
    }

    /// Changes how a parameter's elements are stored; before the graph is made ready for a device.
    package func setLayout(_ value: Value, _ layout: String) {
        guard case .parameter(var parameter)? = sources[value.index] else { return }
        parameter.layout = layout
        sources[value.index] = .parameter(parameter)
    }

    package func openBlock(_ name: String) {
        blocks.append(fullName(name))
        outermostBlocks.append(
            openBlocks.count > 1 ? outermostBlocks[openBlocks[openBlocks.count - 1]] : blocks.count - 1)
        openBlocks.append(blocks.count - 1)
    }

    package func closeBlock() throws(GraphError) {
        guard openBlocks.count > 1 else { throw error(.invalid, "no block is open", "close_block") }
        openBlocks.removeLast()
    }

    // MARK: Names

    private var prefix: String { blocks[openBlocks[openBlocks.count - 1]] }

    /// `name` with the open blocks before it.
    package func fullName(_ name: String) -> String {
        if name.hasPrefix("/") { return String(name.dropFirst()) }
        return prefix.isEmpty ? name : "\(prefix).\(name)"
    }

    package func error(_ code: GraphError.Code, _ message: String, _ op: String) -> GraphError {
        GraphError(code, message, at: prefix.isEmpty ? op : "\(prefix): \(op)")
    }

    private func add(_ type: ValueType, _ source: Source) -> Value {
        let value = add(type, producer: -1)
        sources[value.index] = source
        return value
    }

    private func add(_ type: ValueType, producer: Int) -> Value {
        types.append(type)
        producers.append(producer)
        return Value(types.count - 1)
    }
}
