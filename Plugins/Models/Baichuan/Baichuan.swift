import Glibc
import JSON
import PluginKit

/// Baichuan 1 and 2 (2309.10305): packed projections; the 7B models rotate, the 13B ones lean scores by distance (ALiBi).
struct Baichuan: ModelFamily {
    let decoder: DecoderConfig
    let isLeaning: Bool
    /// Baichuan 2's heads are rows of unit length, which its code makes of the stored ones.
    let headHasUnitRows: Bool

    static func probe(_ config: JSON) -> Int {
        ModelConfig(config).score(
            architectures: ["BaichuanForCausalLM", "BaiChuanForCausalLM"], modelTypes: ["baichuan"])
    }

    init(config json: JSON) throws {
        decoder = try DecoderConfig(json)
        headHasUnitRows = try decoder.config.bool("norm_head", default: decoder.vocabulary == 125_696)
        // Only the models that rotate name a largest position.
        isLeaning = json["max_position_embeddings"]?.int == nil
    }

    func describe() -> ModelDescription {
        var model = decoder.describe()
        model.headHasUnitRows = headHasUnitRows
        if isLeaning {
            model.maximumPositions = (try? decoder.config.int("model_max_length")) ?? 4096
            model.attention = Array(
                repeating: .init(
                    keyValueHeads: decoder.heads, keyWidth: decoder.headWidth + 1, valueWidth: decoder.headWidth),
                count: decoder.layers)
        }
        model.defaultTargets = ["W_pack", "o_proj", "gate_proj", "up_proj", "down_proj"]
        return model
    }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        var x =
            inputs.embeds
            ?? g.embedding("model.embed_tokens", inputs.ids, vocabulary: decoder.vocabulary, width: decoder.hidden)
        var attention = SelfAttention(decoder)
        attention.packed = "W_pack"
        for i in 0..<decoder.layers {
            x = g.block("model.layers.\(i)") {
                let h = g.rmsNorm("input_layernorm", x, eps: decoder.eps)
                let a =
                    isLeaning
                    ? leaning(g, h, layer: i, inputs) : g.selfAttention("self_attn", h, attention, layer: i, inputs)
                let y = x + a
                let m = g.rmsNorm("post_attention_layernorm", y, eps: decoder.eps)
                return y + g.gatedMLP("mlp", m, inner: decoder.inner, g.silu)
            }
        }
        return [g.rmsNorm("model.norm", x, eps: decoder.eps)]
    }

    /// ALiBi (Press et al. 2022, 2108.12409) adds slope · key position to each score: one more element of queries, the slope
    /// over the scale, and of keys, the position.
    private func leaning(_ g: GraphBuilder, _ h: Tensor, layer: Int, _ inputs: BuildInputs) -> Tensor {
        let (heads, width, tokens) = (decoder.heads, decoder.headWidth, h.shape.first ?? 0)
        let parts = g.linear("self_attn.W_pack", h, 3 * heads * width).split([Int](repeating: heads * width, count: 3))
            .map { $0.reshaped(-1, heads, width) }
        let root = Double(width).squareRoot()
        let slopes = g.constant(slopes(heads).map { Float($0 * root) }, [1, heads, 1]).broadcast([tokens, heads, 1])
        let places = g.emit1("cast", [inputs.positions]).reshaped(-1, 1, 1).broadcast([tokens, heads, 1])
        let a = g.attention(
            layer: layer, g.concat([parts[0], slopes], axis: 2), g.concat([parts[1], places], axis: 2), parts[2],
            segments: inputs.segments, options: .init(scale: 1 / root))
        return g.linear("self_attn.o_proj", a, decoder.hidden)
    }

    /// 2^(-8 i / n) for the largest power of two n in `heads`; the rest take every other slope of 2 n.
    private func slopes(_ heads: Int) -> [Double] {
        var n = 1
        while 2 * n <= heads { n *= 2 }
        func series(_ n: Int) -> [Double] { (1...n).map { pow(2, -8 * Double($0) / Double(n)) } }
        return series(n) + stride(from: 0, to: 2 * (heads - n), by: 2).map { series(2 * n)[$0] }
    }
}
