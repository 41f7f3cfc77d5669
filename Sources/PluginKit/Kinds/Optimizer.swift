public import JSON
import PluginAPI

/// What an update reads. All f32 but states of bytes; scalars are [1].
public struct UpdateInputs {
    public let g: GraphBuilder
    public let parameter: Tensor
    public let gradient: Tensor
    public let learningRate: Tensor
    /// 1 in the first step.
    public let step: Tensor
    public let weightDecay: Tensor
    /// In the order of `states`.
    public let states: [Tensor]
}

/// A state that an optimizer keeps for a parameter.
public struct OptimizerState: Sendable {
    public let name: String
    public let shape: [Int]
    public let initial: Double
    /// Whether an element is one byte (u8) in place of f32.
    public let isByte: Bool
    public init(_ name: String, _ shape: [Int], initial: Double = 0, isByte: Bool = false) {
        self.name = name
        self.shape = shape
        self.initial = initial
        self.isByte = isByte
    }
}

/// A parameter's update as a graph.
public protocol Optimizer {
    /// - Parameter settings: The optimizer's, with the parameter's name as "parameter".
    init(settings: JSON) throws
    func states(shape: [Int]) -> [OptimizerState]
    /// The new parameter and the new states.
    func update(_ inputs: UpdateInputs) throws -> (parameter: Tensor, states: [Tensor])
}

private final class OptimizerContext {
    let type: any Optimizer.Type
    init(_ type: any Optimizer.Type) { self.type = type }
    static func make(_ context: UnsafeMutableRawPointer?, _ settings: mt_str) throws -> any Optimizer {
        try Handle.context(context, as: OptimizerContext.self).type.init(
            settings: settings.size == 0 ? [:] : try JSON(parsing: settings.bytes))
    }
}

extension Components {
    /// Offers an optimizer under `id`.
    public func optimizer(_ id: String, _ type: any Optimizer.Type, summary: String, priority: Int = 0) {
        var table = mt_optimizer_table()
        table.struct_size = UInt32(MemoryLayout<mt_optimizer_table>.size)
        table.states = { context, settings, dims, rank, out, error in
            guarded(error) {
                let shape = UnsafeBufferPointer(start: dims, count: dims == nil ? 0 : rank).map { Int($0) }
                let list = try OptimizerContext.make(context, settings).states(shape: shape).map { state -> JSON in
                    [
                        "name": .string(state.name), "shape": .array(state.shape.map { .int(Int64($0)) }),
                        "init": .double(state.initial), "type": state.isByte ? "u8" : "f32",
                    ]
                }
                try out.put(JSON.array(list).text())
            }
        }
        table.update = { context, update, parameter, states, error in
            guarded(error) {
                guard let update = update?.pointee else { throw PluginError(.invalid, "the update is NULL") }
                let g = try GraphBuilder(graph: update.graph)
                let given = UnsafeBufferPointer(
                    start: update.states, count: update.states == nil ? 0 : Int(update.state_count))
                let inputs = UpdateInputs(
                    g: g, parameter: g.tensor(update.parameter), gradient: g.tensor(update.gradient),
                    learningRate: g.tensor(update.learning_rate), step: g.tensor(update.step),
                    weightDecay: g.tensor(update.weight_decay), states: given.map(g.tensor))
                let result = try OptimizerContext.make(context, update.settings).update(inputs)
                try g.check()
                guard result.states.count == given.count else {
                    throw PluginError(.invalid, "returned \(result.states.count) states of \(given.count)")
                }
                parameter?.pointee = result.parameter.value
                for (i, state) in result.states.enumerated() { states?[i] = state.value }
            }
        }
        add(
            kind: MT_KIND_OPTIMIZER, id: id, summary: summary, priority: priority, table: table,
            context: OptimizerContext(type))
    }
}
