import JSON
import PluginKit

/// BERT (1810.04805), RoBERTa and XLM-RoBERTa: an encoder that sees all of its sequence, with norms after each part.
///
/// The part "encoder" gives hidden states [T, hidden] and, where the checkpoint has a pooler, its output for each sequence
/// [S, hidden]; "classifier" scores of labels [S, labels]; "token_classifier" [T, labels]; "masked_lm" scores of words [T, vocabulary].
struct BERT: ModelFamily {
    let layers, hidden, inner, heads, vocabulary, positions, firstPosition, types, labels: Int
    let eps: Double
    let act: String
    let isRoberta, classifies, namesTokens, hasWords: Bool

    static func probe(_ config: JSON) -> Int {
        let ends = ["Model", "ForSequenceClassification", "ForTokenClassification", "ForMaskedLM"]
        return ModelConfig(config).score(
            architectures: ["Bert", "Roberta", "XLMRoberta"].flatMap { stem in ends.map { stem + $0 } },
            modelTypes: ["bert", "roberta", "xlm-roberta"])
    }

    init(config json: JSON) throws {
        let config = ModelConfig(json)
        layers = try config.layers()
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
            throw PluginError(
                .unsupported, "\"position_embedding_type\" is \"\(kind)\", wanted \"absolute\"", at: "config.json")
        }
        // RoBERTa's positions begin after its padding id.
        isRoberta = try config.string("model_type", default: "bert") != "bert"
        firstPosition = isRoberta ? try config.int("pad_token_id", default: 1) + 1 : 0
        classifies = config.names("ForSequenceClassification")
        namesTokens = config.names("ForTokenClassification")
        hasWords = config.names("ForMaskedLM")
        labels = try config.labels()
    }

    func describe() -> ModelDescription {
        var model = ModelDescription()
        let ends = [(classifies, "classifier"), (namesTokens, "token_classifier"), (hasWords, "masked_lm")]
        model.parts = ["encoder"] + ends.filter(\.0).map(\.1)
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
        var x = try embed(g, inputs)
        for i in 0..<layers {
            x = g.block("encoder.layer.\(i)") {
                let parts = ["query", "key", "value"].map {
                    g.heads("attention.self.\($0)", x, heads, hidden / heads, bias: true)
                }
                let a = g.attention(
                    layer: i, parts[0], parts[1], parts[2], segments: inputs.segments, options: .init(isCausal: false))
                let y = g.layerNorm(
                    "attention.output.LayerNorm", x + g.linear("attention.output.dense", a, hidden, bias: true),
                    eps: eps)
                let m = g.activation(act, g.linear("intermediate.dense", y, inner, bias: true))
                return g.layerNorm("output.LayerNorm", y + g.linear("output.dense", m, hidden, bias: true), eps: eps)
            }
        }
        return head(g, x, inputs)
    }
}
