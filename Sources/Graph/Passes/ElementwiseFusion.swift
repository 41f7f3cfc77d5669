/// Joins elementwise nodes of one shape into register programs, each of which reads and writes memory once.
///
/// One pass in node order. A group runs where its last member stands, so it is closed before any other node reads
/// what a member computes; then no member is ever needed before it runs.
struct ElementwiseFusion {
    /// Registers of a device's elementwise machine: one an input and one an instruction.
    static let registers = 32

    private struct Group {
        let shape: [Int]
        var members: [Int]
        var inputs: [Value]
        var isOpen = true
    }

    private let graph: Graph
    private let needed: [Int]
    /// How often each value is read by needed nodes, or asked for.
    private var uses: [Int: Int] = [:]
    private let kept: Set<Int>
    private var groups: [Group] = []
    /// The open group that computes a value.
    private var groupOf: [Int: Int] = [:]
    private var steps: [Step] = []

    init(graph: Graph, outputs: [Value], needed: [Int]) {
        self.graph = graph
        self.needed = needed
        kept = Set(outputs.map(\.index))
        for index in needed { for input in graph.nodes[index].inputs { uses[input.index, default: 0] += 1 } }
    }

    mutating func run() -> [Step] {
        for index in needed {
            let node = graph.nodes[index]
            let feeding = Set(node.inputs.compactMap { groupOf[$0.index] }).filter { groups[$0].isOpen }
            if node.op.isElementwise {
                let target = feeding.sorted().last { fits(node, groups[$0]) }
                for group in feeding.sorted() where group != target {
                    if let target, merge(group, into: target, before: node) { continue }
                    close(group)
                }
                join(index, node, target)
            } else {
                for group in feeding.sorted() { close(group) }
                steps.append(graph.step(node))
            }
        }
        for group in groups.indices { close(group) }
        return steps
    }

    private func fits(_ node: Node, _ group: Group) -> Bool {
        guard group.isOpen, graph.shape(node.outputs[0]) == group.shape else { return false }
        // A member of another shape broadcast would have to be in memory first; members all have the group's shape.
        return group.members.count + 1 + inputs(of: node, over: group.members, and: group.inputs).count
            <= Self.registers
    }

    /// What a group over `members` reads when `node` joins it.
    private func inputs(of node: Node, over members: [Int], and known: [Value]) -> Set<Int> {
        Set((known + node.inputs).map(\.index)).subtracting(members.map { graph.nodes[$0].outputs[0].index })
    }

    /// Lets two open groups of one shape run as one, in which `node` has room too. Neither reads the other, or it would be
    /// closed.
    private mutating func merge(_ index: Int, into target: Int, before node: Node) -> Bool {
        let (group, other) = (groups[index], groups[target])
        let members = group.members + other.members
        let read = inputs(of: node, over: members, and: group.inputs + other.inputs)
        guard group.shape == other.shape, members.count + 1 + read.count <= Self.registers else { return false }
        for input in group.inputs where !groups[target].inputs.contains(input) { groups[target].inputs.append(input) }
        groups[target].members = members.sorted()
        for member in group.members { groupOf[graph.nodes[member].outputs[0].index] = target }
        groups[index].isOpen = false
        return true
    }

    private mutating func join(_ index: Int, _ node: Node, _ target: Int?) {
        let group = target ?? groups.count
        if target == nil { groups.append(Group(shape: graph.shape(node.outputs[0]), members: [], inputs: [])) }
        for input in node.inputs where groupOf[input.index] != group && !groups[group].inputs.contains(input) {
            groups[group].inputs.append(input)
        }
        groups[group].members.append(index)
        groupOf[node.outputs[0].index] = group
    }

    private mutating func close(_ index: Int) {
        guard groups[index].isOpen else { return }
        groups[index].isOpen = false
        let group = groups[index]
        var registers: [Int: Int] = [:]
        for (i, input) in group.inputs.enumerated() { registers[input.index] = i }
        var names: [String] = []
        var operands: [Int] = []
        var values: [Double] = []
        var inner: [Int: Int] = [:]
        for (i, member) in group.members.enumerated() {
            let node = graph.nodes[member]
            let register = group.inputs.count + i
            registers[node.outputs[0].index] = register
            names.append(node.op.name)
            let from = node.inputs.map { registers[$0.index] ?? 0 }
            operands += [register] + (0..<3).map { $0 < from.count ? from[$0] : 0 }
            values.append(node.attributes.names.isEmpty ? 0 : node.attributes.float(node.attributes.names[0]))
            for input in node.inputs { inner[input.index, default: 0] += 1 }
        }
        let outputs = group.members.map { graph.nodes[$0].outputs[0] }.filter {
            kept.contains($0.index) || uses[$0.index, default: 0] > inner[$0.index, default: 0]
        }
        let block = graph.blocks[graph.nodes[group.members[0]].block]
        steps.append(
            Step(
                op: "elementwise", inputs: group.inputs, outputs: outputs,
                attributes: [
                    ("ops", .string(names.joined(separator: " "))), ("operands", .ints(operands)),
                    ("values", .floats(values)),
                    ("outputs", .ints(outputs.map { registers[$0.index] ?? 0 })),
                ],
                name: (block.isEmpty ? "" : "\(block): ") + names.joined(separator: "+"), isElementwise: true))
    }
}
