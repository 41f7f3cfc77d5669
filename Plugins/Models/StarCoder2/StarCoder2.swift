import JSON
import PluginKit

/// StarCoder 2 (2402.19173): layer norms with biases, a plain two-layer feed-forward, maybe a window.
struct StarCoder2: ModelFamily {
    let decoder: DecoderConfig
    let eps: Double
    let window: Int
    let hasBias: Bool
    let act: String

    static func probe(_ config: JSON) -> Int { score(config, "Starcoder2", modelTypes: ["starcoder2"]) }

    init(config: JSON) throws {
        decoder = try DecoderConfig(config, tied: true)
        eps = try decoder.config.double("norm_epsilon", default: 1e-5)
        window = try decoder.config.int("sliding_window", default: 0)
        hasBias = try decoder.config.bool("use_bias", default: true)
        act = try decoder.config.string("hidden_act", default: "gelu_pytorch_tanh")
    }

    func describe() -> ModelDescription {
        var model = decoder.describe()
        model.defaultTargets = ["q_proj", "k_proj", "v_proj", "o_proj", "c_fc", "c_proj"]
        return model
    }
    func rename(_ name: String) -> String? { decoder.rename(name) }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        var x =
            inputs.embeds
            ?? g.embedding("model.embed_tokens", inputs.ids, vocabulary: decoder.vocabulary, width: decoder.hidden)
        var attention = SelfAttention(decoder, bias: hasBias)
        attention.outputHasBias = hasBias
        attention.options.window = window
        for i in 0..<decoder.layers {
            x = g.block("model.layers.\(i)") {
                let h = g.layerNorm("input_layernorm", x, eps: eps)
                let y = x + g.selfAttention("self_attn", h, attention, layer: i, inputs)
                let m = g.layerNorm("post_attention_layernorm", y, eps: eps)
                return y
                    + g.plainMLP("mlp", m, inner: decoder.inner, bias: hasBias, names: ("c_fc", "c_proj")) {
                        g.activation(act, $0)
                    }
            }
        }
        return [g.layerNorm("model.norm", x, eps: eps)]
    }
}
