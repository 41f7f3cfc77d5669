import PluginKit

/// What stands before and after BERT's layers.
extension BERT {
    func embed(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> Tensor {
        func row(_ table: String, _ ids: Tensor, _ count: Int, from first: Int = 0) -> Tensor {
            let all = g.parameter("embeddings.\(table).weight", [count, hidden])
            return g.gatherRows(first == 0 ? all : all.slice(0, first, count), ids)
        }
        var x = inputs.embeds ?? row("word_embeddings", inputs.ids, vocabulary)
        x = x + row("position_embeddings", inputs.positions, positions, from: firstPosition)
        let type =
            inputs.typeIDs.map { row("token_type_embeddings", $0, types) }
            ?? g.parameter("embeddings.token_type_embeddings.weight", [types, hidden]).slice(0, 0, 1)
        return g.layerNorm("embeddings.LayerNorm", x + type, eps: eps)
    }

    func head(_ g: GraphBuilder, _ x: Tensor, _ inputs: BuildInputs) -> [Tensor] {
        let first = g.firstTokens(x, inputs.segments)
        switch (inputs.part, isRoberta) {
        case ("classifier", true): return [g.classify("classifier.dense", "classifier.out_proj", first, labels: labels)]
        case ("classifier", false): return [g.classify("pooler.dense", "classifier", first, labels: labels)]
        case ("token_classifier", _): return [g.linear("classifier", x, labels, bias: true)]
        case ("masked_lm", _):
            let stem = isRoberta ? "lm_head" : "cls.predictions"
            return [
                g.maskedWords(
                    isRoberta ? "lm_head.dense" : "cls.predictions.transform.dense",
                    isRoberta ? "lm_head.layer_norm" : "cls.predictions.transform.LayerNorm", bias: "\(stem).bias",
                    embedding: "embeddings.word_embeddings.weight", x, vocabulary: vocabulary,
                    act: isRoberta ? "gelu" : act,
                    eps: eps)
            ]
        default:
            // Models with a head of their own come without the pooler.
            if hasWords || namesTokens || (isRoberta && classifies) { return [x] }
            return [x, g.tanh(g.linear("pooler.dense", first, hidden, bias: true))]
        }
    }
}
