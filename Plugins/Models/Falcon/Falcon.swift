import JSON
import PluginKit

/// Falcon 7B (2311.16867): one key head for all queries, attention and feed-forward beside each other behind one norm.
struct Falcon: ModelFamily {
    let layers, hidden, inner, heads, vocabulary, positions: Int
    let eps: Double
    let hasBias, isParallel: Bool
    let rope: RopeFrequencies

    static func probe(_ config: JSON) -> Int {
        ModelConfig(config).score(architectures: ["FalconForCausalLM", "RWForCausalLM"], modelTypes: ["falcon"])
    }

    init(config json: JSON) throws {
        let config = ModelConfig(json)
        for (key, wanted, fallback) in [
            ("multi_query", true, true), ("alibi", false, false), ("new_decoder_architecture", false, false),
        ] {
            guard try config.bool(key, default: fallback) == wanted else {
                throw PluginError(
                    .unsupported, "\"\(key)\" is \(!wanted), wanted \(wanted) as in Falcon 7B", at: "config.json")
            }
        }
        layers = try config.layers()
        hidden = try config.int("hidden_size")
        inner = try config.int("ffn_hidden_size", default: 4 * hidden)
        heads = try config.int("num_attention_heads")
        vocabulary = try config.int("vocab_size")
        positions = try config.int("max_position_embeddings", default: 2048)
        eps = try config.double("layer_norm_epsilon", default: 1e-5)
        hasBias = try config.bool("bias", default: false)
        isParallel = try config.bool("parallel_attn", default: true)
        rope = try RopeFrequencies(config, headWidth: hidden / heads)
    }

    func describe() -> ModelDescription {
        var model = ModelDescription()
        model.hidden = hidden
        model.vocabulary = vocabulary
        model.maximumPositions = positions
        model.embedding = "transformer.word_embeddings.weight"
        model.head = model.embedding
        model.attention = Array(
            repeating: .init(keyValueHeads: 1, keyWidth: hidden / heads, valueWidth: hidden / heads), count: layers)
        model.defaultTargets = ["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"]
        return model
    }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        var x =
            inputs.embeds
            ?? g.embedding("transformer.word_embeddings", inputs.ids, vocabulary: vocabulary, width: hidden)
        var attention = SelfAttention(heads: heads, keyValueHeads: 1, headWidth: hidden / heads, rope: rope)
        attention.hasBias = hasBias
        attention.outputHasBias = hasBias
        attention.packed = "query_key_value"
        attention.names.output = "dense"
        for i in 0..<layers {
            x = g.block("transformer.h.\(i)") {
                let h = g.layerNorm("input_layernorm", x, eps: eps)
                let y = x + g.selfAttention("self_attention", h, attention, layer: i, inputs)
                let m = isParallel ? h : g.layerNorm("post_attention_layernorm", y, eps: eps)
                return y
                    + g.plainMLP(
                        "mlp", m, inner: inner, bias: hasBias, names: ("dense_h_to_4h", "dense_4h_to_h"), g.gelu)
            }
        }
        return [g.layerNorm("transformer.ln_f", x, eps: eps)]
    }
}
