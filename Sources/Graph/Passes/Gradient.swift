/// Reverse-mode differentiation by graph transformation.
extension Graph {
    /// What of the forward pass is kept for the backward pass.
    package enum Recomputation: String, Sendable {
        /// Everything that gradients read.
        case none
        /// All but norms, activation functions and dropout of a block, which cost next to nothing to compute again.
        case light
        /// Only what enters each outermost block; the rest of it is computed again.
        case blocks = "block"
    }

    /// Appends the gradient of `loss`, a single number, with respect to each of `parameters`.
    /// - Returns: One gradient a parameter, of its shape; nil where the loss does not depend on it.
    package func differentiate(
        _ loss: Value, with parameters: [Value], recompute: Recomputation = .none
    ) throws -> [Value?] {
        guard contains(loss), type(loss).count == 1 else {
            throw error(
                .invalid, "the loss must be a single number, found \(contains(loss) ? "\(type(loss))" : "no value")",
                "gradient")
        }
        let forwardCount = nodes.count
        var depends = [Bool](repeating: false, count: types.count)
        for parameter in parameters { depends[parameter.index] = true }
        for node in nodes where node.inputs.contains(where: { depends[$0.index] }) {
            for output in node.outputs { depends[output.index] = true }
        }
        let wanted = depends
        func wants(_ value: Value) -> Bool { value.index < wanted.count && wanted[value.index] }
        var gradients: [Int: Value] = [:]
        gradients[loss.index] = try constant([1], shape(loss))
        var replay = BlockReplay(graph: self, recompute: recompute)

        for index in stride(from: forwardCount - 1, through: 0, by: -1) {
            let original = nodes[index]
            let outputs = original.outputs.map { gradients[$0.index] }
            guard outputs.contains(where: { $0 != nil }), original.inputs.contains(where: wants),
                let rule = original.op.gradient
            else { continue }
            let node = replay.node(index)
            let results = try rule(
                Op.Differentiation(graph: self, node: node, outputs: outputs, wants: original.inputs.map(wants)))
            for (input, result) in zip(original.inputs, results) where wants(input) {
                guard let result else { continue }
                if let sum = gradients[input.index] {
                    gradients[input.index] = try emit("add", [sum, result])[0]
                } else {
                    gradients[input.index] = result
                }
            }
        }
        return parameters.map { gradients[$0.index] }
    }
}

/// Gives nodes of the forward pass as they are, or, with recomputation, over values that are computed again inside the
/// block. What is not used of it falls to dead-code elimination.
private struct BlockReplay {
    let graph: Graph
    let recompute: Graph.Recomputation
    private var block = 0
    /// In the present block: for each value its recomputed twin.
    private var twins: [Int: Value] = [:]

    /// One pass over what is kept anyway. Sums are not among them: to compute one again, both of its parts would be kept.
    private static let light: Set<String> = [
        "rms_norm", "layer_norm", "silu", "gelu", "gelu_tanh", "quick_gelu", "relu", "mul", "dropout",
    ]

    init(graph: Graph, recompute: Graph.Recomputation) {
        self.graph = graph
        self.recompute = recompute
    }

    /// Whether the present block's node of this number is computed again.
    private func isRepeated(_ index: Int) -> Bool {
        guard index >= 0, graph.outermostBlocks[graph.nodes[index].block] == block else { return false }
        return recompute == .blocks || Self.light.contains(graph.nodes[index].op.name)
    }

    mutating func node(_ index: Int) -> Node {
        let original = graph.nodes[index]
        let block = graph.outermostBlocks[original.block]
        guard recompute != .none, block != 0 else { return original }
        if block != self.block {
            self.block = block
            twins = [:]
        }
        let outputs = original.outputs.map { twin($0) }
        return Node(
            op: original.op, inputs: original.inputs.map { twin($0) }, outputs: outputs,
            attributes: original.attributes,
            block: original.block)
    }

    /// The value computed again, with everything before it in the block.
    private mutating func twin(_ value: Value) -> Value {
        if let known = twins[value.index] { return known }
        let index = graph.producers[value.index]
        guard isRepeated(index) else { return value }
        // Depth-first over a work list, so that long blocks do not recurse deeply.
        var pending = [index]
        while let top = pending.last {
            let node = graph.nodes[top]
            let missing = node.inputs.compactMap { input -> Int? in
                let producer = graph.producers[input.index]
                return twins[input.index] == nil && isRepeated(producer) ? producer : nil
            }
            if missing.isEmpty {
                pending.removeLast()
                if twins[node.outputs[0].index] == nil {
                    let clones = graph.clone(node, inputs: node.inputs.map { twins[$0.index] ?? $0 })
                    for (output, clone) in zip(node.outputs, clones) { twins[output.index] = clone }
                }
            } else {
                pending.append(contentsOf: missing)
            }
        }
        return twins[value.index] ?? value
    }
}
