import JSON
import PluginKit

/// InternLM 2 and 2.5 (2403.17297): Llama's layers under other names, queries, keys and values packed by key head.
struct InternLM2: ModelFamily {
    let decoder: DecoderConfig
    let hasBias: Bool

    static func probe(_ config: JSON) -> Int { score(config, "InternLM2", modelTypes: ["internlm2"]) }

    init(config: JSON) throws {
        decoder = try DecoderConfig(config)
        hasBias = try decoder.config.bool("bias", default: false)
    }

    func describe() -> ModelDescription {
        var model = decoder.describe()
        model.embedding = "model.tok_embeddings.weight"
        if model.head != nil { model.head = decoder.isTied ? model.embedding : "output.weight" }
        model.defaultTargets = ["wqkv", "wo", "w1", "w2", "w3"]
        return model
    }
    func rename(_ name: String) -> String? { decoder.rename(name, roots: ["tok_embeddings.", "layers.", "norm."]) }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        var x =
            inputs.embeds
            ?? g.embedding("model.tok_embeddings", inputs.ids, vocabulary: decoder.vocabulary, width: decoder.hidden)
        for i in 0..<decoder.layers {
            x = g.block("model.layers.\(i)") {
                let y = x + attention(g, g.rmsNorm("attention_norm", x, eps: decoder.eps), layer: i, inputs)
                let m = g.rmsNorm("ffn_norm", y, eps: decoder.eps)
                return y
                    + g.gatedMLP(
                        "feed_forward", m, inner: decoder.inner, bias: hasBias, names: ("w1", "w3", "w2"), g.silu)
            }
        }
        return [g.rmsNorm("model.norm", x, eps: decoder.eps)]
    }

    /// wqkv's rows: for each key head its queries, then its key, then its value.
    private func attention(_ g: GraphBuilder, _ h: Tensor, layer: Int, _ inputs: BuildInputs) -> Tensor {
        let (pairs, width) = (decoder.keyValueHeads, decoder.headWidth)
        let share = decoder.heads / pairs
        let packed = g.linear("attention.wqkv", h, (decoder.heads + 2 * pairs) * width, bias: hasBias)
            .reshaped(-1, pairs, share + 2, width)
        let q = packed.slice(2, 0, share).reshaped(-1, decoder.heads, width)
        let k = packed.slice(2, share, share + 1).reshaped(-1, pairs, width)
        let v = packed.slice(2, share + 1, share + 2).reshaped(-1, pairs, width)
        let a = g.attention(
            layer: layer, g.rope(q, inputs.positions, decoder.rope), g.rope(k, inputs.positions, decoder.rope), v,
            segments: inputs.segments)
        return g.linear("attention.wo", a, decoder.hidden, bias: hasBias)
    }
}
