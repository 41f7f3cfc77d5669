package import Graph

/// Gives logits and log-probabilities of whole sequences: for scoring and comparison, not for generation.
package final class Scorer {
    private let model: Model
    private let runner: SequenceRunner

    package init(_ model: Model) {
        self.model = model
        runner = SequenceRunner(model)
    }

    /// Logits [tokens, vocabulary] of one sequence; an encoder's are those of its masked words.
    package func logits(_ ids: [Int32]) throws -> [Float] {
        try runner.run([ids]) { [model] graph, inputs in
            if model.shape.parts.contains("masked_lm") {
                return try model.family.build(
                    "masked_lm", in: graph, ids: inputs.ids, positions: inputs.positions, segments: inputs.segments)
            }
            let hidden = try model.family.build(
                in: graph, ids: inputs.ids, positions: inputs.positions, segments: inputs.segments)
            return [try model.head(graph, hidden[0])]
        }[0]
    }

    /// log p(ids[t + 1] | ids[0 ... t]) for each t, without a matrix of tokens by vocabulary.
    package func logprobs(_ ids: [Int32]) throws -> [Float] {
        guard ids.count > 1 else { return [] }
        let all = try runner.run([ids]) { [model] graph, inputs in
            let hidden = try model.family.build(
                in: graph, ids: inputs.ids, positions: inputs.positions, segments: inputs.segments)
            let labels = try graph.constant(ValueType([ids.count], .i32), Self.bytes(ids.dropFirst() + [0]))
            return [try model.labelLogprobs(graph, hidden[0], labels: labels).logps]
        }[0]
        return Array(all.dropLast())
    }

    private static func bytes(_ ids: ArraySlice<Int32>) -> [UInt8] {
        ids.flatMap { withUnsafeBytes(of: $0, Array.init) }
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

    package init(_ graph: Graph, _ model: Model, except skipped: Set<String> = []) throws {
        var buffers: [Value: DeviceBuffer] = [:]
        for value in graph.parameters.values {
            if let parameter = graph.parameter(value), !skipped.contains(parameter.name) {
                buffers[value] = try model.adapter?.buffer(parameter.name) ?? model.weights.buffer(parameter)
            }
        }
        self.buffers = buffers
    }

    package subscript(value: Value) -> DeviceBuffer? { buffers[value] }
}
