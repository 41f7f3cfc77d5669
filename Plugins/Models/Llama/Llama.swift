import JSON
import PluginKit

/// Llama 1 to 3.x (Touvron et al. 2023, 2302.13971; 2307.09288) and the many models that use its class.
struct Llama: ModelFamily {
    let config: ModelConfig
    let layers, hidden, inner, heads, keyValueHeads, headWidth, vocabulary: Int
    let eps: Double
    let attentionBias, mlpBias, isTied: Bool
    let rope: RopeFrequencies

    static func probe(_ config: JSON) -> Int {
        ModelConfig(config).score(architectures: ["LlamaForCausalLM", "LlamaModel"], modelTypes: ["llama"])
    }

    init(config json: JSON) throws {
        config = ModelConfig(json)
        layers = try config.int("num_hidden_layers")
        hidden = try config.int("hidden_size")
        inner = try config.int("intermediate_size")
        heads = try config.int("num_attention_heads")
        keyValueHeads = try config.int("num_key_value_heads", default: heads)
        headWidth = try config.int("head_dim", default: hidden / heads)
        vocabulary = try config.int("vocab_size")
        eps = try config.double("rms_norm_eps", default: 1e-6)
        attentionBias = try config.bool("attention_bias", default: false)
        mlpBias = try config.bool("mlp_bias", default: false)
        isTied = try config.bool("tie_word_embeddings", default: false)
        rope = try RopeFrequencies(config, headWidth: headWidth)
    }

    func describe() -> ModelDescription {
        var model = ModelDescription()
        model.hidden = hidden
        model.vocabulary = vocabulary
        model.maximumPositions = (try? config.int("max_position_embeddings")) ?? 2048
        model.head = isTied ? "model.embed_tokens.weight" : "lm_head.weight"
        model.attention = Array(
            repeating: .init(keyValueHeads: keyValueHeads, keyWidth: headWidth, valueWidth: headWidth), count: layers)
        model.defaultTargets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        return model
    }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        var x = inputs.embeds ?? g.embedding("model.embed_tokens", inputs.ids, vocabulary: vocabulary, width: hidden)
        for i in 0..<layers {
            x = g.block("model.layers.\(i)") {
                let h = g.rmsNorm("input_layernorm", x, eps: eps)
                let q = g.rope(g.heads("self_attn.q_proj", h, heads, headWidth, bias: attentionBias), inputs.positions, rope)
                let k = g.rope(
                    g.heads("self_attn.k_proj", h, keyValueHeads, headWidth, bias: attentionBias), inputs.positions, rope)
                let v = g.heads("self_attn.v_proj", h, keyValueHeads, headWidth, bias: attentionBias)
                let a = g.attention(layer: i, q, k, v, segments: inputs.segments)
                let y = x + g.linear("self_attn.o_proj", a, hidden, bias: attentionBias)
                let m = g.rmsNorm("post_attention_layernorm", y, eps: eps)
                let gate = g.silu(g.linear("mlp.gate_proj", m, inner, bias: mlpBias))
                return y + g.linear("mlp.down_proj", gate * g.linear("mlp.up_proj", m, inner, bias: mlpBias), hidden, bias: mlpBias)
            }
        }
        return [g.rmsNorm("model.norm", x, eps: eps)]
    }
}
