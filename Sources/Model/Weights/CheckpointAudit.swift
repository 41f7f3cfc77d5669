internal import Graph

/// What a model wants of its checkpoint against what is there, and the memory that it will take: known before a weight is read.
package struct CheckpointAudit {
    /// A sentence for each tensor that is missing, with a near name, or of another shape.
    package private(set) var problems: [String] = []
    /// Tensors of the checkpoint that nothing reads.
    package let unused: [String]
    /// Bytes of the weights on the device, by layout.
    package let weightBytes: [String: Int]
    package let parameterCount: Int

    package var totalWeightBytes: Int { weightBytes.values.reduce(0, +) }

    /// Builds every part of the model for one token, without running it.
    package init(_ model: Model) throws {
        let graph = model.makeGraph()
        let resolve = graph.resolveParameter
        var problems: [String] = []
        var missing: [(name: String, shape: [Int])] = []
        graph.resolveParameter = { name, shape, flags in
            do {
                return try resolve?(name, shape, flags)
            } catch let error as ModelError {
                if error.code == .notFound {
                    missing.append((name, shape))
                } else {
                    problems.append(error.message)
                }
                return Parameter(name: name, shape: shape)
            }
        }
        for part in model.shape.parts {
            let outputs = try model.family.build(part, in: graph, model.family.sample(graph, for: part))
            if part == "decoder", model.shape.head != nil, let hidden = outputs.first {
                _ = try model.head(graph, hidden)
            }
        }
        for name in [model.shape.classifier, model.shape.tokenClassifier].compactMap({ $0 }) {
            for part in [name, name.replacingSuffix(".weight", ".bias")] {
                if let shape = model.weights.shape(of: part) { _ = try graph.parameter("/" + part, shape) }
            }
        }
        graph.settleLayouts()
        let parameters = graph.parameters.values.compactMap { graph.parameter($0) }
        unused = model.weights.unused(parameters).filter { name in !Self.needless.contains { name.hasSuffix($0) } }
        let unread = unused
        problems += missing.map { model.weights.missing($0.name, $0.shape, unread: unread).message }
        self.problems = problems.sorted()
        weightBytes = model.weights.sizes(parameters)
        parameterCount = parameters.reduce(0) { $0 + $1.shape.reduce(1, *) }
    }

    /// Constants that older versions of transformers saved beside the weights.
    private static let needless = ["rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias", "position_ids"]

    /// - Throws: `ModelError` with every problem, when there is one.
    package func check(_ path: String) throws {
        guard !problems.isEmpty else { return }
        let shown = problems.prefix(20).joined(separator: "\n  ")
        let more = problems.count > 20 ? "\n  and \(problems.count - 20) more" : ""
        throw ModelError(.invalid, "the checkpoint does not fit the model:\n  \(shown)\(more)", at: path)
    }
}
