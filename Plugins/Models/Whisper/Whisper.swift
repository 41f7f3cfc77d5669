import JSON
import PluginKit

/// Whisper (Radford et al. 2022, 2212.04356): an encoder of sound, and a decoder of text that attends to it.
///
/// The part "encoder" reads log-mel features [n, bands, frames] of n clips, two frames a state: [n · frames / 2, hidden].
struct Whisper: ModelFamily {
    let encoder, decoder: EncoderTower
    let hidden, vocabulary, bands, states, positions: Int
    let head: String?

    static func probe(_ config: JSON) -> Int {
        ModelConfig(config).score(
            architectures: ["WhisperForConditionalGeneration", "WhisperModel"], modelTypes: ["whisper"])
    }

    init(config json: JSON) throws {
        let config = ModelConfig(json)
        encoder = try Self.tower(config, "encoder")
        decoder = try Self.tower(config, "decoder")
        (hidden, vocabulary) = (encoder.hidden, try config.int("vocab_size"))
        bands = try config.int("num_mel_bins", default: 80)
        states = try config.int("max_source_positions", default: 1500)
        positions = try config.int("max_target_positions", default: 448)
        let tied = try config.bool("tie_word_embeddings", default: true) ? "model.decoder.embed_tokens.weight" : nil
        head = config.names("WhisperModel") ? nil : tied ?? "proj_out.weight"
    }

    private static func tower(_ config: ModelConfig, _ name: String) throws -> EncoderTower {
        var tower = EncoderTower(
            layers: try config.layers("\(name)_layers"), hidden: try config.int("d_model"),
            heads: try config.int("\(name)_attention_heads"), inner: try config.int("\(name)_ffn_dim"))
        tower.act = try config.string("activation_function", default: "gelu")
        tower.names = ("self_attn_layer_norm", "final_layer_norm", "fc1", "fc2")
        (tower.keyBias, tower.isCausal) = (false, name == "decoder")
        return tower
    }

    func describe() -> ModelDescription {
        var model = ModelDescription()
        model.parts = ["decoder", "encoder"]
        model.features = ["encoder": [bands, 2 * states]]
        model.context = "encoder"
        (model.hidden, model.vocabulary, model.maximumPositions) = (hidden, vocabulary, positions)
        model.embedding = "model.decoder.embed_tokens.weight"
        model.head = head
        model.attention = decoder.attention
        model.defaultTargets = EncoderTower.targets
        return model
    }

    func rename(_ name: String) -> String? {
        name.hasPrefix("encoder.") || name.hasPrefix("decoder.") ? "model." + name : name
    }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        if inputs.part == "encoder" { return try listen(g, inputs.embeds) }
        guard let sound = inputs.context, let segments = inputs.contextSegments else {
            throw PluginError(
                .invalid,
                "Whisper's decoder attends to sound, and none was given: martlet score reads it with --features")
        }
        // The file's scale_embedding is not followed: neither is it by the published code.
        var x =
            inputs.embeds
            ?? g.embedding("model.decoder.embed_tokens", inputs.ids, vocabulary: vocabulary, width: hidden)
        x = x + g.embedding("model.decoder.embed_positions", inputs.positions, vocabulary: positions, width: hidden)
        x = g.tower("model.decoder.layers", x, decoder, segments: inputs.segments, context: (sound, segments))
        return [g.layerNorm("model.decoder.layer_norm", x, eps: decoder.eps)]
    }

    private func listen(_ g: GraphBuilder, _ features: Tensor?) throws -> [Tensor] {
        let shape = features?.shape ?? []
        guard let features, shape.count == 3, shape[1] == bands, 1...2 * states ~= shape[2] else {
            throw PluginError(.invalid, "features are \(shape), wanted [n, \(bands), 1 ... \(2 * states)]")
        }
        let count = (shape[2] + 1) / 2
        let places = g.parameter("model.encoder.embed_positions.weight", [states, hidden]).slice(0, 0, count)
        let clips = g.items(features).map { clip in
            let h = g.gelu(g.convolution("model.encoder.conv1", clip, hidden, kernel: 3, padding: 1)).transposed(1, 0)
            return g.gelu(g.convolution("model.encoder.conv2", h, hidden, kernel: 3, stride: 2, padding: 1)) + places
        }
        let x = g.tower(
            "model.encoder.layers", g.concat(clips, axis: 0), encoder, segments: g.evenSegments(clips.count, of: count))
        return [g.layerNorm("model.encoder.layer_norm", x, eps: encoder.eps)]
    }
}
