internal import Graph
internal import JSON

/// The head of a model that names each token: parts of speech, persons and places.
package final class TokenClassifierHead {
    private let model: Model
    private let runner: SequenceRunner

    /// - Throws: `ModelError` when the checkpoint has no such head.
    package init(_ model: Model) throws {
        guard model.hasTokenClassifier else {
            throw ModelError(
                .unsupported,
                "this model has no head that names tokens: its architecture is no …ForTokenClassification",
                at: model.path)
        }
        self.model = model
        runner = SequenceRunner(model)
    }

    package var labels: [String] { model.labels }

    /// Scores [tokens][labels] of each sequence, as the head gives them.
    package func scores(_ sequences: [[Int32]]) throws -> [[[Float]]] {
        guard !sequences.isEmpty else { return [] }
        let flat = try runner.run(sequences) { [model] graph, inputs in
            guard let name = model.shape.tokenClassifier else {
                return try model.family.build("token_classifier", in: graph, inputs)
            }
            let states = try model.family.build("decoder", in: graph, inputs)[0]
            guard let shape = model.weights.shape(of: name), shape.count == 2 else {
                throw ModelError(.notFound, "the checkpoint has no tensor \(name) that names tokens", at: model.path)
            }
            let bias = name.replacingSuffix(".weight", ".bias")
            let added: Value =
                model.weights.shape(of: bias) == nil ? .none : try graph.parameter("/" + bias, [shape[0]])
            return [try graph.emit("linear", [states, graph.parameter("/" + name, shape), added])[0]]
        }[0]
        let width = flat.count / sequences.reduce(0) { $0 + $1.count }
        var start = 0
        return sequences.map { ids in
            ids.map { _ in
                defer { start += width }
                return Array(flat[start..<(start + width)])
            }
        }
    }
}

extension Model {
    /// Names of the labels of its head, in the order of the scores.
    var labels: [String] {
        let named = files.config["id2label"]?.object
        return (0..<(named?.count ?? 0)).map { named?[String($0)]?.string ?? "LABEL_\($0)" }
    }

    /// What its heads give of a text.
    package enum Task: String, CaseIterable, Sendable {
        case causal = "causal_lm", embedding, classification = "seq_cls", reward, reranker
        case tokens = "token_cls"
    }

    /// What it was made for, as its architecture says.
    package var task: Task {
        if hasTokenClassifier { return .tokens }
        if shape.parts.contains("classifier") || shape.classifier != nil {
            return labels.count > 1 ? .classification : .reward
        }
        return shape.head == nil && !shape.parts.contains("masked_lm") ? .embedding : .causal
    }

    var hasTokenClassifier: Bool { shape.parts.contains("token_classifier") || shape.tokenClassifier != nil }
}
