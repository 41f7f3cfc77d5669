import Glibc
internal import Graph
internal import JSON

/// The head of a model that classifies or rewards: scores of labels for each sequence.
package final class ClassifierHead {
    private let model: Model
    private let runner: SequenceRunner

    /// - Throws: `ModelError` when the checkpoint has no such head.
    package init(_ model: Model) throws {
        guard model.shape.parts.contains("classifier") || model.shape.classifier != nil else {
            throw ModelError(
                .unsupported,
                "this model has no head that scores sequences: its architecture is no …ForSequenceClassification",
                at: model.path)
        }
        self.model = model
        runner = SequenceRunner(model)
    }

    /// Names of the labels, in the order of the scores.
    package var labels: [String] { model.labels }

    /// Scores [labels] of each pair of texts.
    package func scores(_ pairs: [TextPair]) throws -> [[Float]] {
        try scores(pairs.map(\.ids), types: pairs.map(\.types))
    }

    /// How well the texts of a pair go together, of its scores: a single one between 0 and 1, unless the configuration says
    /// that it stays as it is (sentence-transformers' CrossEncoder).
    package func relevance(_ scores: [Float]) -> [Double] {
        let config = model.files.config
        let named =
            config["sentence_transformers"]?["activation_fn"]?.string
            ?? config["sbert_ce_default_activation_function"]?.string
        let isPlain = named.map { $0.hasSuffix("Identity") } ?? (scores.count != 1)
        return scores.map { isPlain ? Double($0) : 1 / (1 + exp(-Double($0))) }
    }

    /// Scores [labels] of each sequence, as the head gives them.
    package func scores(_ sequences: [[Int32]], types: [[Int32]]? = nil) throws -> [[Float]] {
        guard !sequences.isEmpty else { return [] }
        let flat = try runner.run(sequences, types: types) { [model] graph, inputs in
            func build(_ part: String) throws -> [Value] {
                try model.family.build(part, in: graph, inputs)
            }
            guard let name = model.shape.classifier else { return try build("classifier") }
            guard let shape = model.weights.shape(of: name), shape.count == 2 else {
                throw ModelError(
                    .notFound, "the checkpoint has no tensor \(name) that scores sequences", at: model.path)
            }
            let ends = SequenceRunner.bounds(sequences).dropFirst().flatMap { withUnsafeBytes(of: $0 - 1, Array.init) }
            let last = try graph.constant(ValueType([sequences.count], .i32), ends)
            let states = try graph.emit("embedding", [build("decoder")[0], last])[0]
            return try graph.emit("linear", [states, graph.parameter("/" + name, shape), .none])
        }[0]
        let width = flat.count / sequences.count
        return sequences.indices.map { Array(flat[$0 * width..<($0 + 1) * width]) }
    }
}
