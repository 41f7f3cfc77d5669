import JSON
import PluginKit

/// Gemma 3's text model (2503.19786): Gemma 2 with normalized queries and keys, and windowed layers that rotate faster.
struct Gemma3: ModelFamily {
    let decoder: DecoderConfig
    let options: GraphBuilder.AttentionOptions
    let localRope: RopeFrequencies
    let window, pattern: Int
    let hasBias: Bool

    static func probe(_ config: JSON) -> Int {
        score(config, "Gemma3", "Gemma3Text", modelTypes: ["gemma3_text"])
    }

    init(config: JSON) throws {
        decoder = try DecoderConfig(config, tied: true)
        let theta = try decoder.config.double("rope_local_base_freq", default: 10000)
        localRope = try RopeFrequencies(theta: theta, width: decoder.headWidth)
        // EmbeddingGemma sees to both sides; its file then counts both of a token.
        let seesBoth = try decoder.config.bool("use_bidirectional_attention", default: false)
        let span = try decoder.config.int("sliding_window", default: 0)
        window = seesBoth && span > 0 ? span / 2 + 1 : span
        pattern = max(1, try decoder.config.int("sliding_window_pattern", default: 6))
        hasBias = try decoder.config.bool("attention_bias", default: false)
        let scalar = try decoder.config.double("query_pre_attn_scalar", default: Double(decoder.headWidth))
        options = .init(
            scale: 1 / scalar.squareRoot(), isCausal: !seesBoth,
            softcap: try decoder.config.double("attn_logit_softcapping", default: 0))
    }

    func describe() -> ModelDescription {
        var model = decoder.describe()
        model.logitSoftcap = (try? decoder.config.double("final_logit_softcapping", default: 0)) ?? 0
        return model
    }
    func rename(_ name: String) -> String? { decoder.rename(name) }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        func norm(_ name: String, _ x: Tensor) -> Tensor { g.rmsNorm(name, x, eps: decoder.eps, offset: 1) }
        var x =
            inputs.embeds
            ?? g.embedding("model.embed_tokens", inputs.ids, vocabulary: decoder.vocabulary, width: decoder.hidden)
            * Double(decoder.hidden).squareRoot()
        for i in 0..<decoder.layers {
            x = g.block("model.layers.\(i)") {
                let isLocal = decoder.isSliding(i, else: (i + 1) % pattern != 0)
                var attention = SelfAttention(decoder, bias: hasBias)
                attention.outputHasBias = hasBias
                attention.headNorm = norm
                attention.options = options
                attention.options.window = isLocal ? window : 0
                if isLocal { attention.rope = localRope }
                let a = g.selfAttention("self_attn", norm("input_layernorm", x), attention, layer: i, inputs)
                let y = x + norm("post_attention_layernorm", a)
                let m = g.gatedMLP("mlp", norm("pre_feedforward_layernorm", y), inner: decoder.inner, g.geluTanh)
                return y + norm("post_feedforward_layernorm", m)
            }
        }
        return [norm("model.norm", x)]
    }
}
