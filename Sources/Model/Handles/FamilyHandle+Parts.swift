package import Graph

extension FamilyHandle {
    /// Emits a part over what it reads: the features for a part of images or sound, otherwise the sequences, and before a
    /// decoder that attends to another part that part.
    package func build(_ part: String = "decoder", in graph: Graph, _ inputs: SequenceInputs) throws -> [Value] {
        if shape.features[part] != nil {
            return try build(part, in: graph, .none, embeds: inputs.features)
        }
        var (context, segments) = (Value.none, Value.none)
        if part == "decoder", let source = shape.context, !inputs.features.isNone {
            guard let states = try build(source, in: graph, inputs).first else {
                throw ModelError(.invalid, "the part \(source) of the family \(id) gives no states", at: "build")
            }
            let items = graph.shape(inputs.features)[0]
            let each = graph.shape(states)[0] / max(1, items)
            let bounds = (0...items).flatMap { withUnsafeBytes(of: Int32(clamping: $0 * each), Array.init) }
            (context, segments) = (states, try graph.constant(ValueType([items + 1], .i32), bounds))
        }
        return try build(part, in: graph, inputs, embeds: .none, context: context, contextSegments: segments)
    }

    /// Inputs for one token and, where the model reads them, one item of the features of `part`.
    func sample(_ graph: Graph, for part: String) -> SequenceInputs {
        let source = shape.features[part] ?? (part == "decoder" ? shape.context.flatMap { shape.features[$0] } : nil)
        return SequenceInputs(graph, tokens: 1, segments: 1, features: source.map { ValueType([1] + $0) })
    }
}
