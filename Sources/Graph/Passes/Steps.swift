/// What a device runs: a node, or several fused into one.
package struct Step: Sendable {
    package var op: String
    package var inputs: [Value]
    package var outputs: [Value]
    package var attributes: [(String, AttributeValue)]
    /// Block and op, for messages.
    package var name: String
    package var isElementwise: Bool
}

extension Graph {
    /// The steps that compute `outputs`: dead nodes are left out, elementwise neighbours fused.
    package func steps(for outputs: [Value], fuse: Bool = true) -> [Step] {
        var live = [Bool](repeating: false, count: types.count)
        for output in outputs { live[output.index] = true }
        var isNeeded = [Bool](repeating: false, count: nodes.count)
        for index in nodes.indices.reversed() where nodes[index].outputs.contains(where: { live[$0.index] }) {
            isNeeded[index] = true
            for input in nodes[index].inputs { live[input.index] = true }
        }
        let needed = nodes.indices.filter { isNeeded[$0] }
        guard fuse else { return needed.map { step(nodes[$0]) } }
        var fusion = ElementwiseFusion(graph: self, outputs: outputs, needed: needed)
        return fusion.run()
    }

    func step(_ node: Node) -> Step {
        let block = blocks[node.block]
        return Step(
            op: node.op.name, inputs: node.inputs, outputs: node.outputs, attributes: node.attributes.pairs,
            name: block.isEmpty ? node.op.name : "\(block): \(node.op.name)", isElementwise: false)
    }
}
