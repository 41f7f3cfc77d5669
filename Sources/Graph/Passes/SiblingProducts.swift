/// Joins neighbouring products of one value, as queries, keys and values or gate and up are, into one step "linears": with few
/// tokens a device then rounds the value once, and its threads need not meet between the products.
///
/// Inputs are x, then a weight and a bias (or none) for each output.
extension Graph {
    /// Most products of a step.
    private static let mostSiblings = 8

    /// - Parameter isSupported: Whether the device runs a step; others stay as they are.
    func joiningSiblings(_ steps: [Step], isSupported: (Step) -> Bool) -> [Step] {
        var joined: [Step] = []
        var run: [Step] = []
        func flush() {
            let step = run.count > 1 ? Self.joined(run) : nil
            if let step, isSupported(step) { joined.append(step) } else { joined += run }
            run = []
        }
        for step in steps {
            let isSibling =
                step.op == "linear" && run.count < Self.mostSiblings
                && (run.first.map { $0.inputs[0] == step.inputs[0] && Self.areEqual($0.attributes, step.attributes) }
                    ?? true)
            if !isSibling { flush() }
            if step.op == "linear" { run.append(step) } else { joined.append(step) }
        }
        flush()
        return joined
    }

    private static func areEqual(_ a: [(String, AttributeValue)], _ b: [(String, AttributeValue)]) -> Bool {
        a.count == b.count && zip(a, b).allSatisfy { $0 == $1 }
    }

    private static func joined(_ run: [Step]) -> Step {
        Step(
            op: "linears",
            inputs: [run[0].inputs[0]] + run.flatMap { [$0.inputs[1], $0.inputs.dropFirst(2).first ?? .none] },
            outputs: run.flatMap(\.outputs), attributes: run[0].attributes, name: run[0].name, isElementwise: false)
    }
}
