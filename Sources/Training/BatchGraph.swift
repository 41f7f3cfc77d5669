import Graph
internal import Model

/// The graph of one batch shape: forward, and in training backward.
struct BatchGraph {
    struct Inputs {
        let sequence: SequenceInputs
        let labels, weights, rows, normalizer, reference, seed: Value
        /// A number a sequence: its label, and the window's means over mismatched answers.
        let marks, mismatched, mismatchedReference: Value

        var all: [Value] {
            [
                sequence.ids, sequence.positions, sequence.segments, sequence.lengths, labels, weights, rows,
                normalizer, reference, seed,
            ]
                + [marks, mismatched, mismatchedReference]
        }
    }

    let graph: Graph
    let inputs: Inputs
    let loss: Value
    let logps: Value
    let metrics: [(name: String, sum: Value, count: Value)]
    /// 0 for what is finite, in the order of computation, with where it stands; see `BatchProgram.firstNonFinite`.
    let probes: [(place: String, value: Value)]
    let outputs: [Value]
    /// NEFTune's noise, in training with it.
    let noise: EmbeddingNoise?
    private(set) var updates: [(value: Value, over: Value)] = []
    /// Inputs that hold gathered gradients, by the number of their trained tensor.
    private(set) var gradients: [Value: Int] = [:]

    /// - Parameters:
    ///   - graph: One in which the trained tensors stand in for their sites or weights.
    ///   - trained: Names and shapes of the trained tensors.
    ///   - noise: NEFTune's alpha; 0 = off.
    init(
        _ key: BatchProgram.Key, in graph: Graph, model: Model, objective: ObjectiveHandle,
        trained: [(name: String, shape: [Int])],
        recompute: Graph.Recomputation, noise alpha: Double = 0
    ) throws {
        self.graph = graph
        let tokens = ValueType([key.tokens])
        let inputs = Inputs(
            // One segment more, for the tokens that fill the shape up.
            sequence: SequenceInputs(graph, tokens: key.tokens, segments: key.rows + 1),
            labels: graph.input("labels", ValueType([key.tokens], .i32)), weights: graph.input("weights", tokens),
            rows: graph.input("rows", ValueType([key.tokens], .i32)),
            normalizer: graph.input("normalizer", ValueType([1])),
            reference: graph.input("reference", ValueType([key.rows])), seed: graph.input("seed", ValueType([2], .u32)),
            marks: graph.input("marks", ValueType([key.rows])),
            mismatched: graph.input("mismatched", ValueType([key.rows])),
            mismatchedReference: graph.input("mismatched_reference", ValueType([key.rows])))
        self.inputs = inputs
        graph.seed = inputs.seed
        noise =
            key.mode.isTraining && alpha > 0
            ? EmbeddingNoise(graph, inputs.sequence, tokens: key.tokens, alpha: alpha) : nil
        let hidden = try model.family.build(in: graph, inputs.sequence)
        let labelled = try model.labelLogprobs(graph, hidden[0], labels: inputs.labels)
        let logps = labelled.logps

        // A label counts for a sequence when it is trained at all, whatever its weight.
        let counted = try graph.emit("sign", [graph.emit("abs", [inputs.weights])[0]])[0]
        let sums = try graph.emit(
            "sum_sequences", [graph.emit("mul", [logps, counted])[0], inputs.rows], [("count", .int(key.rows))])[0]
        self.logps = sums
        switch key.mode {
        case .policyLogps, .referenceLogps, .findNonFinite:
            loss = sums
            metrics = []
            probes = key.mode == .findNonFinite ? try Self.probes(graph) : []
            outputs = [sums] + probes.map(\.value)
        case .begin, .accumulate, .evaluate:
            probes = []
            let lengths = try graph.emit("sum_sequences", [counted, inputs.rows], [("count", .int(key.rows))])[0]
            var values = ObjectiveHandle.Inputs(
                logps: logps, weights: inputs.weights, sequences: inputs.rows, normalizer: inputs.normalizer,
                sequenceLogps: sums, sequenceLengths: lengths)
            if objective.needsReference { values.referenceSequenceLogps = inputs.reference }
            if objective.needsLabels { values.labels = inputs.marks }
            if objective.needsMismatched {
                values.mismatchedLogps = inputs.mismatched
                values.mismatchedReferenceLogps = inputs.mismatchedReference
            }
            let aligned = try objective.loss(graph, values)
            loss = aligned.loss
            let hits = try graph.emit("sum", [graph.emit("mul", [labelled.hits, counted])[0]])[0]
            metrics = aligned.metrics + [("token_acc", hits, try graph.emit("sum", [counted])[0])]
            outputs = [loss] + metrics.flatMap { [$0.sum, $0.count] }
            if key.mode.isTraining { try differentiate(key, trained, recompute) }
        }
        graph.settleLayouts()
    }

    private mutating func differentiate(
        _ key: BatchProgram.Key, _ trained: [(name: String, shape: [Int])], _ recompute: Graph.Recomputation
    ) throws {
        let values = trained.map { graph.parameters[$0.name] ?? .none }
        let found = try graph.differentiate(loss, with: values.filter { !$0.isNone }, recompute: recompute)
        var next = found.makeIterator()
        for (number, value) in values.enumerated() {
            guard !value.isNone, let gradient = next.next() ?? nil else { continue }
            let over = graph.input("gradient/\(trained[number].name)", ValueType(trained[number].shape))
            gradients[over] = number
            let sum = key.mode == .accumulate ? try graph.emit("add", [over, gradient])[0] : gradient
            updates.append((sum, over))
        }
    }

    /// For every float that the graph computes: the sum of its elements times 0, which is 0 or not a number.
    private static func probes(_ graph: Graph) throws -> [(place: String, value: Value)] {
        var probes: [(place: String, value: Value)] = []
        for node in graph.nodes {
            guard let output = node.outputs.first, graph.type(output).element == .f32, graph.type(output).count > 0
            else { continue }
            let zeros = try graph.emit("scale", [output], [("factor", .float(0))])[0]
            let parameter = node.inputs.lazy.compactMap { graph.parameter($0)?.name }.first
            let block = graph.blocks[node.block]
            let place = [
                block.isEmpty ? nil : "block \(block)", "\(node.op.name)\(parameter.map { " of \($0)" } ?? "")",
            ]
            probes.append((place.compactMap { $0 }.joined(separator: ", "), try graph.emit("sum", [zeros])[0]))
        }
        return probes
    }
}
