import JSON
import PluginKit

/// CLIP (Radford et al. 2021, 2103.00020): an encoder of texts and one of images, whose vectors meet in one space.
///
/// The part "text_vectors" gives the states of the tokens [T, hidden] and a vector of each text [S, projection]; the part
/// "image_vectors", of images [n, channels, side, side], the states of their classes and patches, and a vector of each.
struct CLIP: ModelFamily {
    let text, vision: EncoderTower
    let projection, vocabulary, positions, side, patch, channels: Int

    static func probe(_ config: JSON) -> Int {
        ModelConfig(config).score(architectures: ["CLIPModel"], modelTypes: ["clip"])
    }

    /// What a file leaves out is as in ViT-B/32.
    init(config json: JSON) throws {
        let words = ModelConfig(json["text_config"] ?? [:])
        let images = ModelConfig(json["vision_config"] ?? [:])
        text = try Self.tower(words, hidden: 512, inner: 2048, heads: 8, isCausal: true)
        vision = try Self.tower(images, hidden: 768, inner: 3072, heads: 12, isCausal: false)
        projection = try ModelConfig(json).int("projection_dim", default: 512)
        vocabulary = try words.int("vocab_size", default: 49408)
        positions = try words.int("max_position_embeddings", default: 77)
        side = try images.int("image_size", default: 224)
        patch = max(1, try images.int("patch_size", default: 32))
        channels = try images.int("num_channels", default: 3)
    }

    private static func tower(
        _ config: ModelConfig, hidden: Int, inner: Int, heads: Int, isCausal: Bool
    ) throws -> EncoderTower {
        var tower = EncoderTower(
            layers: config.json["num_hidden_layers"] == nil ? 12 : try config.layers(),
            hidden: try config.int("hidden_size", default: hidden),
            heads: try config.int("num_attention_heads", default: heads),
            inner: try config.int("intermediate_size", default: inner))
        tower.eps = try config.double("layer_norm_eps", default: 1e-5)
        tower.act = try config.string("hidden_act", default: "quick_gelu")
        tower.isCausal = isCausal
        return tower
    }

    func describe() -> ModelDescription {
        var model = ModelDescription()
        model.parts = ["text_vectors", "image_vectors"]
        model.features = ["image_vectors": [channels, side, side]]
        (model.hidden, model.vocabulary, model.maximumPositions) = (text.hidden, vocabulary, positions)
        model.embedding = "text_model.embeddings.token_embedding.weight"
        model.attention = text.attention
        model.defaultTargets = EncoderTower.targets
        return model
    }

    /// The temperature of the training loss is not read.
    func rename(_ name: String) -> String? { name == "logit_scale" ? nil : name }

    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor] {
        if inputs.part == "image_vectors" { return try readImages(g, inputs.embeds) }
        let stem = "text_model.embeddings"
        var x =
            inputs.embeds
            ?? g.embedding("\(stem).token_embedding", inputs.ids, vocabulary: vocabulary, width: text.hidden)
        x = x + g.embedding("\(stem).position_embedding", inputs.positions, vocabulary: positions, width: text.hidden)
        x = g.tower("text_model.encoder.layers", x, text, segments: inputs.segments)
        x = g.layerNorm("text_model.final_layer_norm", x, eps: text.eps)
        return [x, g.linear("text_projection", g.lastTokens(x, inputs.segments), projection)]
    }

    private func readImages(_ g: GraphBuilder, _ pixels: Tensor?) throws -> [Tensor] {
        guard let pixels, pixels.shape.dropFirst() == [channels, side, side] else {
            throw PluginError(.invalid, "images are \(pixels?.shape ?? []), wanted [n, \(channels), \(side), \(side)]")
        }
        let (stem, width) = ("vision_model.embeddings", vision.hidden)
        let count = (side / patch) * (side / patch) + 1
        let first = g.parameter("\(stem).class_embedding", [width]).reshaped(1, width)
        let places = g.parameter("\(stem).position_embedding.weight", [count, width])
        let tokens = g.items(pixels).map { image in
            g.concat([first, g.patches("\(stem).patch_embedding", image, width, size: patch)], axis: 0) + places
        }
        let segments = g.evenSegments(tokens.count, of: count)
        var x = g.layerNorm("vision_model.pre_layrnorm", g.concat(tokens, axis: 0), eps: vision.eps)
        x = g.tower("vision_model.encoder.layers", x, vision, segments: segments)
        let pooled = g.layerNorm("vision_model.post_layernorm", g.firstTokens(x, segments), eps: vision.eps)
        return [x, g.linear("visual_projection", pooled, projection)]
    }
}
