import JSON
import PluginKit

/// MiniCPM 1 and 2 (2404.06395): Llama's layers with scaled embeddings, residuals and logits.
struct MiniCPM: ModelFamily {
    let decoder: DecoderConfig
    let embeddingScale, residualScale, logitScale: Double
    let attentionBias, mlpBias: Bool

    static func probe(_ config: JSON) -> Int { score(config, "MiniCPM", modelTypes: ["minicpm"]) }

    init(config json: JSON) throws {
        decoder = try DecoderConfig(json)
        let config = decoder.config
        guard try config.int("num_experts", default: 0) == 0 else {
            throw PluginError(
                .unsupported, "MiniCPM with experts (\"num_experts\" above 0) has no family here", at: "config.json")
        }
        embeddingScale = try config.double("scale_emb", default: 1)
        residualScale =
            try config.double("scale_depth", default: Double(decoder.layers).squareRoot())
            / Double(decoder.layers).squareRoot()
        logitScale = try config.double("dim_model_base", default: Double(decoder.hidden)) / Double(decoder.hidden)
        attentionBias = try config.bool("attention_bias", default: false)
        mlpBias = try config.bool("mlp_bias", default: false)
    }

    func describe() -> ModelDescription {
        var model = decoder.describe()
        model.logitScale = logitScale
        return model
    }
    func rename(_ name: String) -> String? { decoder.rename(name) }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        var x =
            inputs.embeds
            ?? g.embedding("model.embed_tokens", inputs.ids, vocabulary: decoder.vocabulary, width: decoder.hidden)
            * embeddingScale
        var attention = SelfAttention(decoder, bias: attentionBias)
        attention.outputHasBias = attentionBias
        for i in 0..<decoder.layers {
            x = g.block("model.layers.\(i)") {
                let h = g.rmsNorm("input_layernorm", x, eps: decoder.eps)
                let y = x + g.selfAttention("self_attn", h, attention, layer: i, inputs) * residualScale
                let m = g.rmsNorm("post_attention_layernorm", y, eps: decoder.eps)
                return y + g.gatedMLP("mlp", m, inner: decoder.inner, bias: mlpBias, g.silu) * residualScale
            }
        }
        return [g.rmsNorm("model.norm", x, eps: decoder.eps)]
    }
}
