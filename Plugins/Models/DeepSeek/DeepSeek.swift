import Glibc
import JSON
import PluginKit

/// DeepSeek-V2, V3 and R1 (2405.04434, 2412.19437): keys and values from a small latent, one rotated key for all heads.
struct DeepSeek: ModelFamily {
    let decoder: DecoderConfig
    let plainWidth, ropeWidth, valueWidth, latent, queryLatent: Int
    let scale: Double
    let hasBias: Bool
    let mixture: DeepSeekMixture

    static func probe(_ config: JSON) -> Int {
        score(config, "DeepseekV2", "DeepseekV3", modelTypes: ["deepseek_v2", "deepseek_v3"])
    }

    init(config json: JSON) throws {
        let config = ModelConfig(json)
        ropeWidth = try config.int("qk_rope_head_dim")
        // Pairs are neighbours: V2 rotates complex numbers, V3 brings its rows into that order first.
        decoder = try DecoderConfig(json, ropeWidth: ropeWidth, interleaved: true)
        plainWidth = try config.int("qk_nope_head_dim")
        valueWidth = try config.int("v_head_dim")
        latent = try config.int("kv_lora_rank")
        queryLatent = try config.int("q_lora_rank", default: 0)
        hasBias = try config.bool("attention_bias", default: false)
        let isV3 =
            config.score(architectures: ["DeepseekV3ForCausalLM", "DeepseekV3Model"], modelTypes: ["deepseek_v3"]) > 0
        mixture = try DeepSeekMixture(decoder, scores: isV3 ? .sigmoid : .softmax)
        // YaRN raises the scores by (0.1 m ln s + 1)², m = mscale_all_dim.
        let scaling = ModelConfig(
            json["rope_scaling"].flatMap { $0.object == nil ? nil : $0 } ?? json["rope_parameters"] ?? .object(.init()))
        let all = try scaling.double("mscale_all_dim", default: 0)
        let factor = try scaling.double("factor", default: 1)
        let raise = all == 0 || factor <= 1 ? 1 : 0.1 * all * log(factor) + 1
        scale = raise * raise / Double(plainWidth + ropeWidth).squareRoot()
    }

    func describe() -> ModelDescription {
        var model = decoder.describe()
        model.attention = Array(
            repeating: .init(keyValueHeads: decoder.heads, keyWidth: plainWidth + ropeWidth, valueWidth: valueWidth),
            count: decoder.layers)
        model.defaultTargets = ["q_proj", "q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj"]
        return model
    }
    /// The layers after the last one predict further tokens at once, which the decoder does not.
    func rename(_ name: String) -> String? {
        name.hasPrefix("model.layers.\(decoder.layers).") ? nil : decoder.rename(name)
    }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        var x =
            inputs.embeds
            ?? g.embedding("model.embed_tokens", inputs.ids, vocabulary: decoder.vocabulary, width: decoder.hidden)
        for i in 0..<decoder.layers {
            x = g.block("model.layers.\(i)") {
                let y = x + attention(g, g.rmsNorm("input_layernorm", x, eps: decoder.eps), layer: i, inputs)
                return y + mixture.emit(g, g.rmsNorm("post_attention_layernorm", y, eps: decoder.eps), layer: i)
            }
        }
        return [g.rmsNorm("model.norm", x, eps: decoder.eps)]
    }

    private func attention(_ g: GraphBuilder, _ h: Tensor, layer: Int, _ inputs: BuildInputs) -> Tensor {
        let (heads, width, tokens) = (decoder.heads, plainWidth + ropeWidth, h.shape.first ?? 0)
        var query = h
        if queryLatent > 0 {
            query = g.rmsNorm(
                "self_attn.q_a_layernorm", g.linear("self_attn.q_a_proj", h, queryLatent, bias: hasBias), eps: 1e-6)
        }
        let q = g.heads(queryLatent > 0 ? "self_attn.q_b_proj" : "self_attn.q_proj", query, heads, width)
            .split([plainWidth, ropeWidth])
        let compressed = g.linear("self_attn.kv_a_proj_with_mqa", h, latent + ropeWidth, bias: hasBias)
            .split([latent, ropeWidth])
        let kv = g.heads(
            "self_attn.kv_b_proj", g.rmsNorm("self_attn.kv_a_layernorm", compressed[0], eps: 1e-6), heads,
            plainWidth + valueWidth
        ).split([plainWidth, valueWidth])
        let turned = g.rope(compressed[1].reshaped(tokens, 1, ropeWidth), inputs.positions, decoder.rope)
        let key = g.concat([kv[0], turned.broadcast([tokens, heads, ropeWidth])], axis: 2)
        let queries = g.concat([q[0], g.rope(q[1], inputs.positions, decoder.rope)], axis: 2)
        let a = g.attention(
            layer: layer, queries, key, kv[1], segments: inputs.segments, options: .init(scale: scale))
        return g.linear("self_attn.o_proj", a, decoder.hidden, bias: hasBias)
    }
}
