/// Layers with norms before each part, as encoders of images and sound publish them: attention without rotary positions,
/// and a plain feed-forward layer.
public struct EncoderTower: Sendable {
    public let layers, hidden, heads, inner: Int
    public var eps = 1e-5
    public var act = "gelu"
    public var keyBias = true
    public var isCausal = false
    /// Names of the norm before attention, of the one before the feed-forward layer, and of that layer's projections.
    public var names = (attentionNorm: "layer_norm1", norm: "layer_norm2", in: "mlp.fc1", out: "mlp.fc2")

    public init(layers: Int, hidden: Int, heads: Int, inner: Int) {
        self.layers = layers
        self.hidden = hidden
        self.heads = max(1, heads)
        self.inner = inner
    }

    /// What the attention of each layer keeps.
    public var attention: [ModelDescription.Attention] {
        Array(
            repeating: .init(keyValueHeads: heads, keyWidth: hidden / heads, valueWidth: hidden / heads), count: layers)
    }
    /// The sites that tuners take by default.
    public static let targets = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]
}

extension GraphBuilder {
    /// x [T, hidden] → [T, hidden], the layers under `name`.0, `name`.1 …
    /// - Parameter context: States [T', width] that each layer attends to after itself (`encoder_attn`), with their segments.
    public func tower(
        _ name: String, _ x: Tensor, _ form: EncoderTower, segments: Tensor,
        context: (states: Tensor, segments: Tensor)? = nil
    ) -> Tensor {
        (0..<form.layers).reduce(x) { x, i in
            block("\(name).\(i)") {
                var h = layerNorm(form.names.attentionNorm, x, eps: form.eps)
                var y = x + attend("self_attn", h, to: h, form, layer: i, form.isCausal, segments, segments)
                if let context {
                    h = layerNorm("encoder_attn_layer_norm", y, eps: form.eps)
                    y =
                        y
                        + attend(
                            "encoder_attn", h, to: context.states, form, layer: -1, false, segments, context.segments)
                }
                h = linear(form.names.in, layerNorm(form.names.norm, y, eps: form.eps), form.inner, bias: true)
                return y + linear(form.names.out, activation(form.act, h), form.hidden, bias: true)
            }
        }
    }

    private func attend(
        _ name: String, _ x: Tensor, to source: Tensor, _ form: EncoderTower, layer: Int, _ isCausal: Bool,
        _ segments: Tensor, _ sourceSegments: Tensor
    ) -> Tensor {
        let width = form.hidden / form.heads
        let a = attention(
            layer: layer, heads("\(name).q_proj", x, form.heads, width, bias: true),
            heads("\(name).k_proj", source, form.heads, width, bias: form.keyBias),
            heads("\(name).v_proj", source, form.heads, width, bias: true), segments: segments,
            keySegments: sourceSegments, options: .init(isCausal: isCausal))
        return linear("\(name).out_proj", a, form.hidden, bias: true)
    }
}
