package import Graph

/// Runs whole sequences, several in one batch, through a graph of one's own over a model.
package final class SequenceRunner {
    private let model: Model
    private let arena: SharedArena

    package init(_ model: Model) {
        self.model = model
        arena = SharedArena(device: model.device)
    }

    /// The values that `build` wants, each in f32.
    /// - Parameters:
    ///   - features: Images or sound that a part reads, or one item a sequence where the decoder attends to them.
    ///   - types: Of each token, which text of a pair it is of; nil for texts that stand alone.
    package func run(
        _ sequences: [[Int32]], features: FeatureItems? = nil, types: [[Int32]]? = nil,
        _ build: (Graph, SequenceInputs) throws -> [Value]
    ) throws -> [[Float]] {
        try check(sequences)
        let graph = model.makeGraph()
        let ids = sequences.flatMap { $0 }
        let inputs = SequenceInputs(
            graph, tokens: ids.count, segments: sequences.count, features: features.map { ValueType($0.shape) },
            hasTypes: types != nil)
        let outputs = try build(graph, inputs)
        graph.settleLayouts()
        let program = try Program(graph, outputs: outputs, device: model.device, arena: arena)
        var bound: [Value: DeviceBuffer] = [
            inputs.ids: try model.device.upload(ids),
            inputs.positions: try model.device.upload(sequences.flatMap { $0.indices.map(Int32.init) }),
            inputs.segments: try model.device.upload(Self.bounds(sequences)),
            inputs.lengths: try model.device.upload(SequenceInputs.lengths(Self.bounds(sequences))),
        ]
        if let features { bound[inputs.features] = try model.device.upload(features.values) }
        if let types { bound[inputs.typeIDs] = try model.device.upload(types.flatMap { $0 }) }
        let weights = try WeightBinding(graph, model)
        try program.run { bound[$0] ?? weights[$0] }
        return try outputs.map { try program.read($0, as: Float.self) }
    }

    private func check(_ sequences: [[Int32]]) throws {
        let limit = model.shape.maximumPositions
        for (i, ids) in sequences.enumerated() {
            guard !ids.isEmpty else { throw ModelError(.invalid, "sequence \(i) has no tokens", at: model.path) }
            guard limit == 0 || ids.count <= limit else {
                throw ModelError(
                    .invalid, "sequence \(i) has \(ids.count) tokens, the model reads at most \(limit); shorten it",
                    at: model.path)
            }
            guard let wrong = ids.first(where: { $0 < 0 || Int($0) >= model.shape.vocabulary }) else { continue }
            throw ModelError(
                .invalid, "sequence \(i) holds the token id \(wrong), the vocabulary has \(model.shape.vocabulary)",
                at: model.path)
        }
    }

    /// Where each sequence begins in the batch, and where the last ends.
    static func bounds(_ sequences: [[Int32]]) -> [Int32] {
        sequences.reduce(into: [0]) { $0.append(($0.last ?? 0) + Int32($1.count)) }
    }
}
