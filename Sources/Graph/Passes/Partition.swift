/// Steps shared out among devices: each runs on the first device that can run it.
///
/// A value that one device computes and another reads is copied across once, before its first reader. Order is kept.
struct Partition {
    /// What happens, in order.
    enum Event {
        /// The step runs on a lane.
        case step(Step, lane: Int)
        /// A value is copied from one lane's memory into another's.
        case transfer(Value, from: Int, to: Int)
    }
    private(set) var events: [Event] = []
    /// The lane that computes a value.
    private(set) var home: [Int: Int] = [:]

    /// - Parameters:
    ///   - kept: Values that are read after a run.
    ///   - supports: Whether a lane can run a step; asked in the lanes' order.
    init(
        _ graph: Graph, _ steps: [Step], kept: [Value], lanes: Int, supports: (Int, Step) -> Bool
    ) throws(GraphError) {
        var present: [Int: Set<Int>] = [:]
        for (step, isView) in zip(steps, MemoryPlan.views(graph, steps, kept: kept)) {
            let lane: Int
            if isView {
                // A view lies in its input's memory; of the caller's memory every lane has its own.
                guard let own = home[step.inputs[0].index] else {
                    events += (0..<lanes).map { .step(step, lane: $0) }
                    continue
                }
                lane = own
            } else if let able = (0..<lanes).first(where: { supports($0, step) }) {
                lane = able
            } else {
                let types = step.inputs.filter { !$0.isNone }.map { graph.type($0).description }.joined(separator: ", ")
                let layouts = step.inputs.compactMap { graph.parameter($0) }.map { "\($0.name): \($0.layout)" }
                throw GraphError(
                    .unsupported,
                    "no device can run \(step.op)(\(types))"
                        + (layouts.isEmpty ? "" : " over \(layouts.joined(separator: ", "))"),
                    at: step.name)
            }
            for input in step.inputs {
                guard let from = home[input.index], present[input.index]?.contains(lane) != true else { continue }
                events.append(.transfer(input, from: from, to: lane))
                present[input.index, default: []].insert(lane)
            }
            events.append(.step(step, lane: lane))
            for output in step.outputs {
                home[output.index] = lane
                present[output.index] = [lane]
            }
        }
    }

    /// What a lane's memory goes through: its steps, and a step of no work wherever a value leaves or arrives.
    func steps(of lane: Int) -> [Step] {
        events.compactMap { event in
            switch event {
            case .step(let step, lane): return step
            case .transfer(let value, from: lane, _): return Self.moment("leaves", inputs: [value], outputs: [])
            case .transfer(let value, _, to: lane): return Self.moment("arrives", inputs: [], outputs: [value])
            default: return nil
            }
        }
    }

    fileprivate static let moments: Set = ["leaves", "arrives"]

    private static func moment(_ op: String, inputs: [Value], outputs: [Value]) -> Step {
        Step(op: op, inputs: inputs, outputs: outputs, attributes: [], name: op, isElementwise: false)
    }
}

extension Step {
    /// Whether it stands for a transfer and does no work.
    var isMoment: Bool { Partition.moments.contains(op) }
}
