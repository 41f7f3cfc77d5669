import JSON
import PluginKit

/// GPT-2 (Radford et al. 2019): learnt positions, packed projections stored as [in, out].
struct GPT2: ModelFamily {
    let layers, hidden, inner, heads, vocabulary, positions: Int
    let eps, scale: Double
    let scalesByLayer: Bool
    let act: String
    let isBare, isTied: Bool

    static func probe(_ config: JSON) -> Int {
        ModelConfig(config).score(architectures: ["GPT2LMHeadModel", "GPT2Model"], modelTypes: ["gpt2"])
    }

    init(config json: JSON) throws {
        let config = ModelConfig(json)
        layers = try config.layers("n_layer")
        hidden = try config.int("n_embd")
        inner = try config.int("n_inner", default: 4 * hidden)
        heads = try config.int("n_head")
        vocabulary = try config.int("vocab_size")
        positions = try config.int("n_positions", default: 1024)
        eps = try config.double("layer_norm_epsilon", default: 1e-5)
        act = try config.string("activation_function", default: "gelu_new")
        scale = try config.bool("scale_attn_weights", default: true) ? 1 / Double(hidden / heads).squareRoot() : 1
        scalesByLayer = try config.bool("scale_attn_by_inverse_layer_idx", default: false)
        isTied = try config.bool("tie_word_embeddings", default: true)
        isBare = config.score(architectures: ["GPT2Model"]) > 0
    }

    func describe() -> ModelDescription {
        var model = ModelDescription()
        model.hidden = hidden
        model.vocabulary = vocabulary
        model.maximumPositions = positions
        model.embedding = "transformer.wte.weight"
        model.head = isBare ? nil : isTied ? model.embedding : "lm_head.weight"
        model.attention = Array(
            repeating: .init(keyValueHeads: heads, keyWidth: hidden / heads, valueWidth: hidden / heads), count: layers)
        model.defaultTargets = ["c_attn", "c_proj", "c_fc"]
        return model
    }

    /// The first published files leave out "transformer." before each name.
    func rename(_ name: String) -> String? {
        ["h.", "wte.", "wpe.", "ln_f."].contains { name.hasPrefix($0) } ? "transformer." + name : name
    }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        var x = inputs.embeds ?? g.embedding("transformer.wte", inputs.ids, vocabulary: vocabulary, width: hidden)
        x = x + g.embedding("transformer.wpe", inputs.positions, vocabulary: positions, width: hidden)
        for i in 0..<layers {
            x = g.block("transformer.h.\(i)") {
                let h = g.layerNorm("ln_1", x, eps: eps)
                let parts = g.linear("attn.c_attn", h, 3 * hidden, bias: true, flags: .transposed)
                    .split([hidden, hidden, hidden]).map { $0.reshaped(-1, heads, hidden / heads) }
                let a = g.attention(
                    layer: i, parts[0], parts[1], parts[2], segments: inputs.segments,
                    options: .init(scale: scalesByLayer ? scale / Double(i + 1) : scale))
                let y = x + g.linear("attn.c_proj", a, hidden, bias: true, flags: .transposed)
                return y
                    + g.plainMLP(
                        "mlp", g.layerNorm("ln_2", y, eps: eps), inner: inner, names: ("c_fc", "c_proj"),
                        flags: .transposed
                    ) { g.activation(act, $0) }
            }
        }
        return [g.layerNorm("transformer.ln_f", x, eps: eps)]
    }
}
