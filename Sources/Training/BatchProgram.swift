internal import Data
import Graph
internal import Model

/// The graph of one batch shape: forward, and in training backward, ready to run.
final class BatchProgram {
    enum Mode: Hashable { case begin, accumulate, evaluate, policyLogps, referenceLogps, findNonFinite }

    struct Key: Hashable {
        /// Tokens, rounded up so that batches of about the same length share a program.
        let tokens: Int
        let rows: Int
        let mode: Mode

        init(_ batch: Batch, _ mode: Mode) {
            let grain = batch.tokenCount > 256 ? 64 : 16
            tokens = max(grain, (batch.tokenCount + grain - 1) / grain * grain)
            rows = batch.sequenceCount
            self.mode = mode
        }
    }

    private let key: Key
    private let device: Device
    private let program: Program
    private let inputs: Inputs
    private let bound: [Value: DeviceBuffer]
    private let parameters: [Value: DeviceBuffer]
    private let loss: Value
    private let logps: Value
    private let metrics: [(name: String, sum: Value, count: Value)]
    /// 0 for what is finite, in the order of computation, with where it stands; see `firstNonFinite`.
    private let probes: [(place: String, value: Value)]

    private struct Inputs {
        let sequence: SequenceInputs
        let labels, weights, rows, normalizer, reference, seed: Value
    }

    init(_ key: Key, engine: TrainingEngine) throws {
        self.key = key
        device = engine.model.device
        let isTraining = key.mode == .begin || key.mode == .accumulate
        let graph = engine.makeGraph(adapted: key.mode != .referenceLogps, training: isTraining)
        let tokens = ValueType([key.tokens])
        let inputs = Inputs(
            // One segment more, for the tokens that fill the shape up.
            sequence: SequenceInputs(graph, tokens: key.tokens, segments: key.rows + 1),
            labels: graph.input("labels", ValueType([key.tokens], .i32)), weights: graph.input("weights", tokens),
            rows: graph.input("rows", ValueType([key.tokens], .i32)), normalizer: graph.input("normalizer", ValueType([1])),
            reference: graph.input("reference", ValueType([key.rows])), seed: graph.input("seed", ValueType([2], .u32)))
        self.inputs = inputs
        graph.seed = inputs.seed
        let model = engine.model
        let hidden = try model.family.build(
            in: graph, ids: inputs.sequence.ids, positions: inputs.sequence.positions, segments: inputs.sequence.segments)
        let labelled = try model.labelLogprobs(graph, hidden[0], labels: inputs.labels)
        let logps = labelled.logps

        // A label counts for a sequence when it is trained at all, whatever its weight.
        let counted = try graph.emit("sign", [graph.emit("abs", [inputs.weights])[0]])[0]
        let sums = try graph.emit(
            "sum_sequences", [graph.emit("mul", [logps, counted])[0], inputs.rows], [("count", .int(key.rows))])[0]
        self.logps = sums
        var outputs = [sums]
        var updates: [(value: Value, over: Value)] = []
        var gradientInputs: [Value: DeviceBuffer] = [:]
        var probes: [(place: String, value: Value)] = []
        switch key.mode {
        case .policyLogps, .referenceLogps, .findNonFinite:
            loss = sums
            metrics = []
            if key.mode == .findNonFinite { probes = try Self.probes(graph) }
            outputs += probes.map(\.value)
        case .begin, .accumulate, .evaluate:
            let lengths = try graph.emit("sum_sequences", [counted, inputs.rows], [("count", .int(key.rows))])[0]
            var objective = ObjectiveHandle.Inputs(
                logps: logps, weights: inputs.weights, sequences: inputs.rows, normalizer: inputs.normalizer,
                sequenceLogps: sums, sequenceLengths: lengths)
            if engine.objective.needsReference { objective.referenceSequenceLogps = inputs.reference }
            let aligned = try engine.objective.loss(graph, objective)
            loss = aligned.loss
            let hits = try graph.emit("sum", [graph.emit("mul", [labelled.hits, counted])[0]])[0]
            metrics = aligned.metrics + [("token_acc", hits, try graph.emit("sum", [counted])[0])]
            outputs = [loss] + metrics.flatMap { [$0.sum, $0.count] }
            if isTraining {
                let entries = engine.parameters.entries
                let trained = entries.map { graph.parameters[$0.name] ?? .none }
                let gradients = try graph.differentiate(loss, with: trained.filter { !$0.isNone }, recompute: engine.options.recompute)
                var next = gradients.makeIterator()
                for (entry, value) in zip(entries, trained) {
                    guard !value.isNone, let gradient = next.next() ?? nil else { continue }
                    let over = graph.input("gradient/\(entry.name)", ValueType(entry.shape))
                    gradientInputs[over] = entry.gradient
                    let sum = key.mode == .accumulate ? try graph.emit("add", [over, gradient])[0] : gradient
                    updates.append((sum, over))
                }
            }
        }
        self.probes = probes
        graph.settleLayouts()
        program = try Program(graph, outputs: outputs, updates: updates, device: device, arena: engine.arena)
        parameters = try engine.binding(graph).merging(gradientInputs) { first, _ in first }
        var bound: [Value: DeviceBuffer] = [:]
        for value in [
            inputs.sequence.ids, inputs.sequence.positions, inputs.sequence.segments, inputs.labels, inputs.weights,
            inputs.rows, inputs.normalizer, inputs.reference, inputs.seed,
        ] { bound[value] = try device.allocate(max(4, graph.type(value).byteCount)) }
        self.bound = bound
    }

    func run(_ batch: Batch, normalizer: Double, reference: [Float], noise: UInt64) throws -> TrainingEngine.Result {
        try fill(batch)
        try bound[inputs.normalizer]?.write([Float(normalizer)])
        try bound[inputs.reference]?.write(reference)
        try bound[inputs.seed]?.write([UInt32(truncatingIfNeeded: noise), UInt32(truncatingIfNeeded: noise >> 32)])
        try program.run { bound[$0] ?? parameters[$0] }
        var result = TrainingEngine.Result()
        result.loss = Double(try program.read(loss, as: Float.self)[0])
        for metric in metrics {
            result.metrics[metric.name] = (
                Double(try program.read(metric.sum, as: Float.self)[0]), Double(try program.read(metric.count, as: Float.self)[0])
            )
        }
        return result
    }

    func sequenceLogps(_ batch: Batch) throws -> [Float] {
        try fill(batch)
        try program.run { bound[$0] ?? parameters[$0] }
        return try program.read(logps, as: Float.self)
    }

    /// Where a number is first not finite in the forward pass, and the sequences that it reaches.
    func firstNonFinite(_ batch: Batch) throws -> (place: String?, sequences: [Int]) {
        let sums = try sequenceLogps(batch)
        let place = try probes.first { try !program.read($0.value, as: Float.self)[0].isFinite }?.place
        return (place, sums.indices.filter { !sums[$0].isFinite })
    }

    /// For every float that the graph computes: the sum of its elements times 0, which is 0 or not a number.
    private static func probes(_ graph: Graph) throws -> [(place: String, value: Value)] {
        var probes: [(place: String, value: Value)] = []
        for node in graph.nodes {
            guard let output = node.outputs.first, graph.type(output).element == .f32, graph.type(output).count > 0 else { continue }
            let zeros = try graph.emit("scale", [output], [("factor", .float(0))])[0]
            let parameter = node.inputs.lazy.compactMap { graph.parameter($0)?.name }.first
            let block = graph.blocks[node.block]
            let place = [block.isEmpty ? nil : "block \(block)", "\(node.op.name)\(parameter.map { " of \($0)" } ?? "")"]
            probes.append((place.compactMap { $0 }.joined(separator: ", "), try graph.emit("sum", [zeros])[0]))
        }
        return probes
    }

    /// Writes the batch, filled up to the program's shape with tokens that belong to no sequence.
    private func fill(_ batch: Batch) throws {
        let missing = key.tokens - batch.tokenCount
        func padded<Element>(_ values: [Element], _ filler: Element) -> [Element] {
            values + [Element](repeating: filler, count: missing)
        }
        try bound[inputs.sequence.ids]?.write(padded(batch.ids, 0))
        try bound[inputs.sequence.positions]?.write(batch.positions + (0..<Int32(missing)).map { $0 })
        try bound[inputs.sequence.segments]?.write(batch.segments + [Int32(key.tokens)])
        try bound[inputs.labels]?.write(padded(batch.labels, Batch.ignored))
        try bound[inputs.weights]?.write(padded(batch.weights, 0))
        try bound[inputs.rows]?.write(padded(batch.sequences, -1))
    }
}
