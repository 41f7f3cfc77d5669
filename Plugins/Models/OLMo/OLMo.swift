import JSON
import PluginKit

/// OLMo 1 (2402.00838): Llama's layers with norms that have no weights, and projections that may be clipped.
struct OLMo: ModelFamily {
    let decoder: DecoderConfig
    let hasBias: Bool
    let clip: Double

    static func probe(_ config: JSON) -> Int { score(config, "Olmo", modelTypes: ["olmo"]) }

    init(config: JSON) throws {
        decoder = try DecoderConfig(config)
        hasBias = try decoder.config.bool("attention_bias", default: false)
        clip = try decoder.config.double("clip_qkv", default: 0)
    }

    func describe() -> ModelDescription { decoder.describe() }
    func rename(_ name: String) -> String? { decoder.rename(name) }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        let ones = g.constant([Float](repeating: 1, count: decoder.hidden), [decoder.hidden])
        func norm(_ x: Tensor) -> Tensor { g.emit1("layer_norm", [x, ones], [("eps", .float(1e-5))]) }
        var x =
            inputs.embeds
            ?? g.embedding("model.embed_tokens", inputs.ids, vocabulary: decoder.vocabulary, width: decoder.hidden)
        var attention = SelfAttention(decoder, bias: hasBias)
        attention.outputHasBias = hasBias
        attention.clip = clip
        for i in 0..<decoder.layers {
            x = g.block("model.layers.\(i)") {
                let y = x + g.selfAttention("self_attn", norm(x), attention, layer: i, inputs)
                return y + g.gatedMLP("mlp", norm(y), inner: decoder.inner, g.silu)
            }
        }
        return [norm(x)]
    }
}
