import JSON
import PluginKit

/// ModernBERT (2412.13663): an encoder with rotary positions, gated feed-forward layers, and windows in most layers.
///
/// The part "encoder" gives hidden states [T, hidden]; "classifier" scores of labels [S, labels], "token_classifier"
/// [T, labels]; "masked_lm" scores of words [T, vocabulary].
struct ModernBERT: ModelFamily {
    let config: ModelConfig
    let layers, hidden, inner, heads, vocabulary, labels, every, window: Int
    let eps: Double
    let act, headAct: String
    let local, global: RopeFrequencies

    static func probe(_ config: JSON) -> Int { score(config, "ModernBert", modelTypes: ["modernbert"]) }

    init(config json: JSON) throws {
        config = ModelConfig(json)
        layers = try config.layers()
        hidden = try config.int("hidden_size")
        inner = try config.int("intermediate_size")
        heads = try config.int("num_attention_heads")
        vocabulary = try config.int("vocab_size")
        labels = try config.labels()
        every = max(1, try config.int("global_attn_every_n_layers", default: 3))
        // The file counts both sides of a token.
        window = try config.int("local_attention", default: 128) / 2 + 1
        eps = try config.double("norm_eps", default: 1e-5)
        act = try config.string("hidden_activation", default: "gelu")
        headAct = try config.string("classifier_activation", default: "gelu")
        global = try RopeFrequencies(theta: config.double("global_rope_theta", default: 160_000), width: hidden / heads)
        local = try RopeFrequencies(theta: config.double("local_rope_theta", default: 10_000), width: hidden / heads)
    }

    func describe() -> ModelDescription {
        var model = ModelDescription()
        let ends = [
            "SequenceClassification": "classifier", "TokenClassification": "token_classifier", "MaskedLM": "masked_lm",
        ]
        model.parts = ["encoder"] + ends.filter { config.names("For" + $0.key) }.map(\.value).sorted()
        model.hidden = hidden
        model.vocabulary = vocabulary
        model.maximumPositions = (try? config.int("max_position_embeddings")) ?? 8192
        model.embedding = "model.embeddings.tok_embeddings.weight"
        model.attention = Array(
            repeating: .init(keyValueHeads: heads, keyWidth: hidden / heads, valueWidth: hidden / heads), count: layers)
        model.defaultTargets = ["Wqkv", "Wi", "Wo"]
        return model
    }

    func rename(_ name: String) -> String? {
        ["embeddings.", "layers.", "final_norm."].contains { name.hasPrefix($0) } ? "model." + name : name
    }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        func flag(_ key: String) -> Bool { (try? config.bool(key, default: false)) ?? false }
        func norm(_ name: String, _ x: Tensor) -> Tensor { g.layerNorm(name, x, eps: eps, bias: flag("norm_bias")) }
        func activate(_ x: Tensor) -> Tensor { g.activation(act, x) }
        var attention = SelfAttention(heads: heads, keyValueHeads: heads, headWidth: hidden / heads, rope: global)
        attention.packed = "Wqkv"
        attention.names.output = "Wo"
        (attention.hasBias, attention.outputHasBias) = (flag("attention_bias"), flag("attention_bias"))
        attention.options.isCausal = false
        let table = g.parameter("model.embeddings.tok_embeddings.weight", [vocabulary, hidden])
        var x = norm("model.embeddings.norm", inputs.embeds ?? g.gatherRows(table, inputs.ids))
        for i in 0..<layers {
            attention.rope = i % every == 0 ? global : local
            attention.options.window = i % every == 0 ? 0 : window
            x = g.block("model.layers.\(i)") {
                // The first layer reads what the embedding's norm gave.
                let y = x + g.selfAttention("attn", i == 0 ? x : norm("attn_norm", x), attention, layer: i, inputs)
                let m = norm("mlp_norm", y)
                return y
                    + g.packedMLP("mlp", m, inner: inner, bias: flag("mlp_bias"), packed: "Wi", down: "Wo", activate)
            }
        }
        x = norm("model.final_norm", x)
        func head(_ x: Tensor) -> Tensor {
            norm("head.norm", g.activation(headAct, g.linear("head.dense", x, hidden, bias: flag("classifier_bias"))))
        }
        if inputs.part == "masked_lm" {
            return [g.emit1("linear", [head(x), table, g.parameter("decoder.bias", [vocabulary])])]
        }
        if inputs.part == "token_classifier" { return [g.linear("classifier", head(x), labels, bias: true)] }
        guard inputs.part == "classifier" else { return [x] }
        let isFirst = try config.string("classifier_pooling", default: "cls") == "cls"
        let pooled = isFirst ? g.firstTokens(x, inputs.segments) : g.sequenceMeans(x, inputs.segments)
        return [g.linear("classifier", head(pooled), labels, bias: true)]
    }
}
