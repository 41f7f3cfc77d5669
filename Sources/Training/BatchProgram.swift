internal import Data
import Graph
internal import Model

/// The graph of one batch shape with its memory, ready to run.
final class BatchProgram {
    enum Mode: Hashable {
        case begin, accumulate, evaluate, policyLogps, referenceLogps, findNonFinite
        var isTraining: Bool { self == .begin || self == .accumulate }
    }

    struct Key: Hashable {
        /// Tokens, rounded up so that batches of about the same length share a program.
        let tokens: Int
        let rows: Int
        let mode: Mode

        init(_ batch: Batch, _ mode: Mode) {
            let grain = batch.tokenCount > 256 ? 64 : 16
            self.init(
                tokens: max(grain, (batch.tokenCount + grain - 1) / grain * grain), rows: batch.sequenceCount, mode)
        }

        init(tokens: Int, rows: Int, _ mode: Mode) {
            self.tokens = tokens
            self.rows = rows
            self.mode = mode
        }
    }

    private let key: Key
    private let device: Device
    private let program: Program
    private let inputs: BatchGraph.Inputs
    private let bound: [Value: DeviceBuffer]
    private let parameters: [Value: DeviceBuffer]
    private let loss: Value
    private let logps: Value
    private let metrics: [(name: String, sum: Value, count: Value)]
    private let probes: [(place: String, value: Value)]

    private let embeddingNoise: EmbeddingNoise?

    init(_ key: Key, engine: TrainingEngine) throws {
        self.key = key
        let isAdapted = key.mode != .referenceLogps
        let model = isAdapted ? engine.model : engine.referenceModel
        device = model.device
        let entries = engine.parameters.entries
        let graph = try BatchGraph(
            key, in: engine.makeGraph(adapted: isAdapted, training: key.mode.isTraining),
            model: model, objective: engine.objective, trained: entries.map { ($0.name, $0.shape) },
            recompute: engine.options.recompute, noise: engine.options.embeddingNoise)
        inputs = graph.inputs
        loss = graph.loss
        logps = graph.logps
        metrics = graph.metrics
        probes = graph.probes
        embeddingNoise = graph.noise
        program = try Program(
            graph.graph, outputs: graph.outputs, updates: graph.updates, device: device,
            arena: isAdapted ? engine.arena : engine.referenceArena)
        parameters = try engine.binding(graph.graph, adapted: isAdapted).merging(
            graph.gradients.mapValues { entries[$0].gradient }
        ) { first, _ in first }
        var bound: [Value: DeviceBuffer] = [:]
        for value in graph.inputs.all + (graph.noise.map { [$0.magnitudes] } ?? []) {
            bound[value] = try device.allocate(max(4, graph.graph.type(value).byteCount))
        }
        self.bound = bound
    }

    func run(
        _ batch: Batch, normalizer: Double, reference: [Float], mismatch: TrainingEngine.Mismatch, noise: UInt64
    ) throws -> TrainingEngine.Result {
        try fill(batch)
        func each(_ value: Float) -> [Float] { [Float](repeating: value, count: key.rows) }
        try bound[inputs.marks]?.write(batch.rows.map { $0.label ?? 0 })
        try bound[inputs.mismatched]?.write(each(mismatch.policy))
        try bound[inputs.mismatchedReference]?.write(each(mismatch.reference))
        try bound[inputs.normalizer]?.write([Float(normalizer)])
        try bound[inputs.reference]?.write(reference)
        try bound[inputs.seed]?.write([UInt32(truncatingIfNeeded: noise), UInt32(truncatingIfNeeded: noise >> 32)])
        try program.run { bound[$0] ?? parameters[$0] }
        var result = TrainingEngine.Result()
        result.loss = Double(try program.read(loss, as: Float.self)[0])
        for metric in metrics {
            result.metrics[metric.name] = (
                Double(try program.read(metric.sum, as: Float.self)[0]),
                Double(try program.read(metric.count, as: Float.self)[0])
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

    /// Writes the batch, filled up to the program's shape with tokens that belong to no sequence.
    private func fill(_ batch: Batch) throws {
        let missing = key.tokens - batch.tokenCount
        func padded<Element>(_ values: [Element], _ filler: Element) -> [Element] {
            values + [Element](repeating: filler, count: missing)
        }
        try bound[inputs.sequence.ids]?.write(padded(batch.ids, 0))
        try bound[inputs.sequence.positions]?.write(batch.positions + (0..<Int32(missing)).map { $0 })
        let segments = batch.segments + [Int32(key.tokens)]
        try bound[inputs.sequence.segments]?.write(segments)
        try bound[inputs.sequence.lengths]?.write(SequenceInputs.lengths(segments))
        try bound[inputs.labels]?.write(padded(batch.labels, Batch.ignored))
        try bound[inputs.weights]?.write(padded(batch.weights, 0))
        try bound[inputs.rows]?.write(padded(batch.sequences, -1))
        if let embeddingNoise {
            try bound[embeddingNoise.magnitudes]?.write(embeddingNoise.values(batch, tokens: key.tokens))
        }
    }
}
