extension Graph {
    /// Takes products of low rank that are added to one with a weight into that one, and the bias behind them too: what an
    /// adapter states as two products, a sum and a bias then writes its result once.
    ///
    /// The sums keep their factors' rounding; f32 sums are taken in another order.
    /// - Parameters:
    ///   - kept: Values that are read after a run.
    ///   - canRun: Whether the device has the joined op.
    func joinLowRankProducts(keeping kept: [Value], canRun: @escaping (Step) -> Bool) throws(GraphError) {
        var join = LowRankJoin(self, kept: kept, canRun: canRun)
        for index in nodes.indices where nodes[index].op.name == "add" { try join.add(at: index) }
    }
}

private struct LowRankJoin {
    private let graph: Graph
    private let canRun: (Step) -> Bool
    private var uses: [Int]

    init(_ graph: Graph, kept: [Value], canRun: @escaping (Step) -> Bool) {
        self.graph = graph
        self.canRun = canRun
        uses = [Int](repeating: 0, count: graph.types.count)
        for node in graph.nodes { for input in node.inputs { uses[input.index] += 1 } }
        for value in kept { uses[value.index] += 2 }
    }

    /// The node that computes `value`, when it is one of `ops` and nothing else reads the value.
    private func only(_ value: Value, _ ops: String...) -> (index: Int, node: Node)? {
        let index = graph.producers[value.index]
        guard index >= 0, uses[value.index] == 1, ops.contains(graph.nodes[index].op.name) else { return nil }
        return (index, graph.nodes[index])
    }

    /// A product of two plain matrices that may stand beside `node`: f32 sums over factors that are rounded alike.
    private func lowRank(_ value: Value, beside node: Node, transposed: Bool) -> Node? {
        guard let product = only(value, "matmul")?.node, graph.shape(value).count == 2,
            !product.attributes.bool("transpose_a"), product.attributes.bool("transpose_b") == transposed
        else { return nil }
        let activation = node.attributes.string("activation")
        return ["f32", "bf16"].contains(activation) && product.attributes.string("activation") == activation
            ? product : nil
    }

    private mutating func replace(_ index: Int, _ name: String, _ inputs: [Value], like node: Node) throws(GraphError)
        -> Bool
    {
        guard let op = Op.named(name) else { return false }
        let step = Step(
            op: name, inputs: inputs, outputs: graph.nodes[index].outputs, attributes: node.attributes.pairs,
            name: name,
            isElementwise: false)
        guard canRun(step) else { return false }
        try graph.replace(index, by: op, inputs, node.attributes.pairs)
        return true
    }

    mutating func add(at index: Int) throws(GraphError) {
        let (a, b) = (graph.nodes[index].inputs[0], graph.nodes[index].inputs[1])
        for (one, other) in [(a, b), (b, a)] {
            if try forward(index, one, other) { return }
            if try bias(index, one, other) { return }
            if try backward(index, one, other) { return }
        }
    }

    /// x wᵀ + low upᵀ, where the sum stood.
    private mutating func forward(_ index: Int, _ one: Value, _ other: Value) throws(GraphError) -> Bool {
        guard let linear = only(one, "linear")?.node, linear.inputs.count == 2,
            let low = lowRank(other, beside: linear, transposed: true)
        else { return false }
        return try replace(index, "low_rank_linear", linear.inputs + low.inputs, like: linear)
    }

    /// The bias that a site leaves to the end.
    private mutating func bias(_ index: Int, _ one: Value, _ other: Value) throws(GraphError) -> Bool {
        guard let site = only(one, "low_rank_linear")?.node, site.inputs.count == 4, graph.parameter(other) != nil,
            graph.shape(other) == [graph.shape(one)[1]]
        else { return false }
        return try replace(index, "low_rank_linear", site.inputs + [other], like: site)
    }

    /// dy w + low down, or either of them beside what came to dx before.
    private mutating func backward(_ index: Int, _ one: Value, _ other: Value) throws(GraphError) -> Bool {
        guard let (at, linear) = only(one, "linear_backward_input") else { return false }
        if let low = lowRank(other, beside: linear, transposed: false) {
            return try replace(index, "low_rank_linear_backward_input", linear.inputs + low.inputs, like: linear)
        }
        guard let (_, sum) = only(other, "add"), let op = Op.named("add") else { return false }
        for (before, product) in [(sum.inputs[0], sum.inputs[1]), (sum.inputs[1], sum.inputs[0])] {
            guard let low = lowRank(product, beside: linear, transposed: false),
                low.inputs.allSatisfy({ graph.producers[$0.index] < at })
            else { continue }
            let inputs = linear.inputs + low.inputs
            guard try replace(at, "low_rank_linear_backward_input", inputs, like: linear) else { return false }
            try graph.replace(index, by: op, [before, one], [])
            return true
        }
        return false
    }
}
