package import Graph

/// Runs whole sequences through a model and gives their logits: for scoring and comparison, not for generation.
package final class Scorer {
    private let model: Model
    private let arena: SharedArena

    package init(_ model: Model) {
        self.model = model
        arena = SharedArena(device: model.device)
    }

    /// Logits [tokens, vocabulary] of one sequence.
    package func logits(_ ids: [Int32]) throws -> [Float] {
        guard !ids.isEmpty else { return [] }
        let graph = model.makeGraph()
        let tokens = ids.count
        let inputs = SequenceInputs(graph, tokens: tokens, segments: 1)
        let hidden = try model.family.build(in: graph, ids: inputs.ids, positions: inputs.positions, segments: inputs.segments)
        let logits = try model.head(graph, hidden[0])
        graph.settleLayouts()
        let program = try Program(graph, outputs: [logits], device: model.device, arena: arena)
        let bound: [Value: DeviceBuffer] = [
            inputs.ids: try model.device.upload(ids),
            inputs.positions: try model.device.upload((0..<Int32(tokens)).map { $0 }),
            inputs.segments: try model.device.upload([0, Int32(tokens)]),
        ]
        let weights = try WeightBinding(graph, model.weights)
        try program.run { bound[$0] ?? weights[$0] }
        return try program.read(logits, as: Float.self)
    }
}

/// The values that every language model reads.
package struct SequenceInputs {
    package let ids, positions, segments: Value

    package init(_ graph: Graph, tokens: Int, segments count: Int) {
        ids = graph.input("ids", ValueType([tokens], .i32))
        positions = graph.input("positions", ValueType([tokens], .i32))
        segments = graph.input("segments", ValueType([count + 1], .i32))
    }
}

/// A graph's parameters with their memory.
package struct WeightBinding {
    private let buffers: [Value: DeviceBuffer]

    package init(_ graph: Graph, _ weights: WeightStore, except skipped: Set<String> = []) throws {
        var buffers: [Value: DeviceBuffer] = [:]
        for value in graph.parameters.values {
            if let parameter = graph.parameter(value), !skipped.contains(parameter.name) {
                buffers[value] = try weights.buffer(parameter)
            }
        }
        self.buffers = buffers
    }

    package subscript(value: Value) -> DeviceBuffer? { buffers[value] }
}
