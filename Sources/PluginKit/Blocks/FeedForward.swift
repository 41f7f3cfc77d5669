extension GraphBuilder {
    /// down(act(gate x) · up x) (Shazeer 2020, 2002.05202), three projections under `name`.
    public func gatedMLP(
        _ name: String, _ x: Tensor, inner: Int, bias: Bool = false,
        names: (gate: String, up: String, down: String) = ("gate_proj", "up_proj", "down_proj"),
        _ activation: (Tensor) -> Tensor
    ) -> Tensor {
        let gate = activation(linear("\(name).\(names.gate)", x, inner, bias: bias))
        let up = linear("\(name).\(names.up)", x, inner, bias: bias)
        return linear("\(name).\(names.down)", gate * up, x.shape.last ?? 0, bias: bias)
    }

    /// The same with gate and up in one projection, the gate first.
    public func packedMLP(
        _ name: String, _ x: Tensor, inner: Int, bias: Bool = false, packed: String = "gate_up_proj",
        down: String = "down_proj", _ activation: (Tensor) -> Tensor
    ) -> Tensor {
        let both = linear("\(name).\(packed)", x, 2 * inner, bias: bias).split([inner, inner])
        return linear("\(name).\(down)", activation(both[0]) * both[1], x.shape.last ?? 0, bias: bias)
    }

    /// out(act(in x)).
    public func plainMLP(
        _ name: String, _ x: Tensor, inner: Int, bias: Bool = true, names: (in: String, out: String),
        flags: ParameterFlags = [], _ activation: (Tensor) -> Tensor
    ) -> Tensor {
        let h = activation(linear("\(name).\(names.in)", x, inner, bias: bias, flags: flags))
        return linear("\(name).\(names.out)", h, x.shape.last ?? 0, bias: bias, flags: flags)
    }

    /// The activation that config.json names by `hidden_act`.
    public func activation(_ name: String, _ x: Tensor) -> Tensor {
        switch name {
        case "silu", "swish": return silu(x)
        case "gelu": return gelu(x)
        case "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_python_tanh": return geluTanh(x)
        case "quick_gelu": return quickGelu(x)
        case "relu": return relu(x)
        default:
            fail(
                PluginError(
                    .unsupported,
                    "the activation \"\(name)\" is unknown; known are silu, gelu, gelu_new, quick_gelu, relu",
                    at: "config.json"))
            return none
        }
    }
}
