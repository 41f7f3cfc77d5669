import JSON
import PluginKit

/// GPT-NeoX and Pythia (2204.06745, 2304.01373): attention and feed-forward beside each other, part of each head rotating.
struct GPTNeoX: ModelFamily {
    let layers, hidden, inner, heads, vocabulary, positions: Int
    let eps: Double
    let act: String
    let isParallel, hasBias, isTied: Bool
    let rope: RopeFrequencies

    static func probe(_ config: JSON) -> Int {
        ModelConfig(config).score(architectures: ["GPTNeoXForCausalLM"], modelTypes: ["gpt_neox"])
    }

    init(config json: JSON) throws {
        let config = ModelConfig(json)
        layers = try config.layers()
        hidden = try config.int("hidden_size")
        inner = try config.int("intermediate_size")
        heads = try config.int("num_attention_heads")
        vocabulary = try config.int("vocab_size")
        positions = try config.int("max_position_embeddings", default: 2048)
        eps = try config.double("layer_norm_eps", default: 1e-5)
        act = try config.string("hidden_act", default: "gelu")
        isParallel = try config.bool("use_parallel_residual", default: true)
        hasBias = try config.bool("attention_bias", default: true)
        isTied = try config.bool("tie_word_embeddings", default: false)
        let turned = try config.share("rotary_pct", of: hidden / heads, default: 0.25)
        rope = try RopeFrequencies(theta: config.double("rotary_emb_base", default: 10000), width: turned)
    }

    func describe() -> ModelDescription {
        var model = ModelDescription()
        model.hidden = hidden
        model.vocabulary = vocabulary
        model.maximumPositions = positions
        model.embedding = "gpt_neox.embed_in.weight"
        model.head = isTied ? model.embedding : "embed_out.weight"
        model.attention = Array(
            repeating: .init(keyValueHeads: heads, keyWidth: hidden / heads, valueWidth: hidden / heads), count: layers)
        model.defaultTargets = ["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"]
        return model
    }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        let width = hidden / heads
        var x = inputs.embeds ?? g.embedding("gpt_neox.embed_in", inputs.ids, vocabulary: vocabulary, width: hidden)
        for i in 0..<layers {
            x = g.block("gpt_neox.layers.\(i)") {
                // Rows of the packed projection: for each head its query, key and value.
                let packed = g.linear(
                    "attention.query_key_value", g.layerNorm("input_layernorm", x, eps: eps), 3 * hidden, bias: hasBias
                ).reshaped(-1, heads, 3 * width).split([width, width, width])
                let a = g.attention(
                    layer: i, g.rope(packed[0], inputs.positions, rope), g.rope(packed[1], inputs.positions, rope),
                    packed[2], segments: inputs.segments)
                let y = x + g.linear("attention.dense", a, hidden, bias: hasBias)
                let m = g.layerNorm("post_attention_layernorm", isParallel ? x : y, eps: eps)
                return y
                    + g.plainMLP("mlp", m, inner: inner, names: ("dense_h_to_4h", "dense_4h_to_h")) {
                        g.activation(act, $0)
                    }
            }
        }
        return [g.layerNorm("gpt_neox.final_layer_norm", x, eps: eps)]
    }
}
