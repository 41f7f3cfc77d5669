import JSON
import PluginKit

/// BERT (1810.04805), RoBERTa and XLM-RoBERTa: an encoder that sees all of its sequence, with norms after each part.
///
/// The part "encoder" gives hidden states [T, hidden] and, where the checkpoint has a pooler, its output for each sequence
/// [S, hidden].
struct BERT: ModelFamily {
    let layers, hidden, inner, heads, vocabulary, positions, firstPosition, types: Int
    let eps: Double
    let act: String
    let hasPooler: Bool

    private static let stems = ["Bert", "Roberta", "XLMRoberta"]

    static func probe(_ config: JSON) -> Int {
        let ends = ["Model", "ForSequenceClassification", "ForMaskedLM"]
        return ModelConfig(config).score(
            architectures: stems.flatMap { stem in ends.map { stem + $0 } }, modelTypes: ["bert", "roberta", "xlm-roberta"])
    }

    init(config json: JSON) throws {
        let config = ModelConfig(json)
        layers = try config.int("num_hidden_layers")
        hidden = try config.int("hidden_size")
        inner = try config.int("intermediate_size")
        heads = try config.int("num_attention_heads")
        vocabulary = try config.int("vocab_size")
        positions = try config.int("max_position_embeddings")
        types = try config.int("type_vocab_size", default: 2)
        eps = try config.double("layer_norm_eps", default: 1e-12)
        act = try config.string("hidden_act", default: "gelu")
        let kind = try config.string("position_embedding_type", default: "absolute")
        guard kind == "absolute" else {
            throw PluginError(.unsupported, "\"position_embedding_type\" is \"\(kind)\", wanted \"absolute\"", at: "config.json")
        }
        // RoBERTa's positions begin after its padding id.
        let type = try config.string("model_type", default: "bert")
        firstPosition = type == "bert" ? 0 : try config.int("pad_token_id", default: 1) + 1
        let named = json["architectures"]?.array?.compactMap(\.string) ?? []
        hasPooler = !named.contains { $0.hasSuffix("ForMaskedLM") || ($0.contains("Roberta") && $0.hasSuffix("Classification")) }
    }

    func describe() -> ModelDescription {
        var model = ModelDescription()
        model.parts = ["encoder"]
        model.hidden = hidden
        model.vocabulary = vocabulary
        model.maximumPositions = positions - firstPosition
        model.embedding = "embeddings.word_embeddings.weight"
        model.attention = Array(
            repeating: .init(keyValueHeads: heads, keyWidth: hidden / heads, valueWidth: hidden / heads), count: layers)
        model.defaultTargets = ["query", "key", "value", "dense"]
        return model
    }

    /// Models with a head put the encoder's name before each of its tensors.
    func rename(_ name: String) -> String? {
        let prefix = ["bert.", "roberta."].first { name.hasPrefix($0) }
        return prefix.map { String(name.dropFirst($0.count)) } ?? name
    }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        func row(_ table: String, _ ids: Tensor, _ count: Int, from first: Int = 0) -> Tensor {
            let all = g.parameter("embeddings.\(table).weight", [count, hidden])
            return g.gatherRows(first == 0 ? all : all.slice(0, first, count), ids)
        }
        var x = inputs.embeds ?? row("word_embeddings", inputs.ids, vocabulary)
        x = x + row("position_embeddings", inputs.positions, positions, from: firstPosition)
        let type = inputs.typeIDs.map { row("token_type_embeddings", $0, types) }
            ?? g.parameter("embeddings.token_type_embeddings.weight", [types, hidden]).slice(0, 0, 1)
        x = g.layerNorm("embeddings.LayerNorm", x + type, eps: eps)
        for i in 0..<layers {
            x = g.block("encoder.layer.\(i)") {
                let parts = ["query", "key", "value"].map {
                    g.heads("attention.self.\($0)", x, heads, hidden / heads, bias: true)
                }
                let a = g.attention(
                    layer: i, parts[0], parts[1], parts[2], segments: inputs.segments, options: .init(isCausal: false))
                let y = g.layerNorm(
                    "attention.output.LayerNorm", x + g.linear("attention.output.dense", a, hidden, bias: true), eps: eps)
                let m = g.activation(act, g.linear("intermediate.dense", y, inner, bias: true))
                return g.layerNorm("output.LayerNorm", y + g.linear("output.dense", m, hidden, bias: true), eps: eps)
            }
        }
        guard hasPooler, let count = inputs.segments.shape.first else { return [x] }
        let first = g.gatherRows(x, inputs.segments.slice(0, 0, count - 1))
        return [x, g.tanh(g.linear("pooler.dense", first, hidden, bias: true))]
    }
}
