import JSON
import PluginKit

/// ChatGLM 2 and 3 and GLM-4-9B in their own code's layout: half of each head rotates, everything is packed.
struct ChatGLM: ModelFamily {
    let layers, hidden, inner, heads, keyValueHeads, headWidth, vocabulary, positions: Int
    let eps: Double
    let hasBias, hasQueryBias, isPostNorm: Bool
    let rope: RopeFrequencies

    static func probe(_ config: JSON) -> Int {
        ModelConfig(config).score(
            architectures: ["ChatGLMModel", "ChatGLMForConditionalGeneration"], modelTypes: ["chatglm"])
    }

    init(config json: JSON) throws {
        let config = ModelConfig(json)
        layers = try config.layers("num_layers")
        hidden = try config.int("hidden_size")
        inner = try config.int("ffn_hidden_size")
        heads = try config.int("num_attention_heads")
        let isGrouped = try config.bool("multi_query_attention", default: false)
        keyValueHeads = isGrouped ? try config.int("multi_query_group_num") : heads
        headWidth = try config.int("kv_channels", default: hidden / heads)
        vocabulary = try config.int("padded_vocab_size")
        positions = try config.int("seq_length", default: 2048)
        eps = try config.double("layernorm_epsilon", default: 1e-5)
        hasBias = try config.bool("add_bias_linear", default: false)
        hasQueryBias = try config.bool("add_qkv_bias", default: false)
        isPostNorm = try config.bool("apply_residual_connection_post_layernorm", default: false)
        guard try config.bool("rmsnorm", default: true) else {
            throw PluginError(.unsupported, "\"rmsnorm\" is false, wanted true", at: "config.json")
        }
        var rope = try RopeFrequencies(theta: 10000 * (config.double("rope_ratio", default: 1)), width: headWidth / 2)
        rope.isInterleaved = true
        self.rope = rope
    }

    func describe() -> ModelDescription {
        var model = ModelDescription()
        model.hidden = hidden
        model.vocabulary = vocabulary
        model.maximumPositions = positions
        model.embedding = "transformer.embedding.word_embeddings.weight"
        model.head = "transformer.output_layer.weight"
        model.attention = Array(
            repeating: .init(keyValueHeads: keyValueHeads, keyWidth: headWidth, valueWidth: headWidth), count: layers)
        model.defaultTargets = ["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"]
        return model
    }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        var x =
            inputs.embeds
            ?? g.embedding("transformer.embedding.word_embeddings", inputs.ids, vocabulary: vocabulary, width: hidden)
        var attention = SelfAttention(heads: heads, keyValueHeads: keyValueHeads, headWidth: headWidth, rope: rope)
        attention.hasBias = hasBias || hasQueryBias
        attention.outputHasBias = hasBias
        attention.packed = "query_key_value"
        attention.names.output = "dense"
        for i in 0..<layers {
            x = g.block("transformer.encoder.layers.\(i)") {
                let h = g.rmsNorm("input_layernorm", x, eps: eps)
                let y = (isPostNorm ? h : x) + g.selfAttention("self_attention", h, attention, layer: i, inputs)
                let m = g.rmsNorm("post_attention_layernorm", y, eps: eps)
                let out = g.packedMLP(
                    "mlp", m, inner: inner, bias: hasBias, packed: "dense_h_to_4h", down: "dense_4h_to_h", g.silu)
                return (isPostNorm ? m : y) + out
            }
        }
        return [g.rmsNorm("transformer.encoder.final_layernorm", x, eps: eps)]
    }
}
