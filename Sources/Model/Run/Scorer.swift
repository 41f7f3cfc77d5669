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
    /// - Parameter features: What the sequence is about, for a decoder that attends to images or sound.
    package func logits(_ ids: [Int32], features: FeatureItems? = nil) throws -> [Float] {
        try runner.run([ids], features: features) { [model] graph, inputs in
            if model.shape.parts.contains("masked_lm") {
                return try model.family.build("masked_lm", in: graph, inputs)
            }
            let hidden = try model.family.build(in: graph, inputs)
            return [try model.head(graph, hidden[0])]
        }[0]
    }

    /// log p(ids[t + 1] | ids[0 ... t]) for each t, without a matrix of tokens by vocabulary.
    package func logprobs(_ ids: [Int32], features: FeatureItems? = nil) throws -> [Float] {
        guard ids.count > 1 else { return [] }
        let all = try runner.run([ids], features: features) { [model] graph, inputs in
            let hidden = try model.family.build(in: graph, inputs)
            let labels = try graph.constant(ValueType([ids.count], .i32), Self.bytes(ids.dropFirst() + [0]))
            return [try model.labelLogprobs(graph, hidden[0], labels: labels).logps]
        }[0]
        return Array(all.dropLast())
    }

    private static func bytes(_ ids: ArraySlice<Int32>) -> [UInt8] {
        ids.flatMap { withUnsafeBytes(of: $0, Array.init) }
    }
}

/// A graph's parameters with their memory.
package struct WeightBinding {
    private let buffers: [Value: DeviceBuffer]

    package init(_ graph: Graph, _ model: Model, except skipped: Set<String> = []) throws {
        var buffers: [Value: DeviceBuffer] = [:]
        // The largest first: while a weight is taken over, its file's pages are in memory as well.
        let values = graph.parameters.values.sorted {
            let (a, b) = (graph.type($0).count, graph.type($1).count)
            return a != b ? a > b : $0.index < $1.index
        }
        for value in values {
            if let parameter = graph.parameter(value), !skipped.contains(parameter.name) {
                buffers[value] = try model.adapter?.buffer(parameter.name) ?? model.weights.buffer(parameter)
            }
        }
        self.buffers = buffers
    }

    package subscript(value: Value) -> DeviceBuffer? { buffers[value] }
}
