import PluginKit

/// max(x, 0)² (So et al. 2021, 2109.08668), stated by known ops: it runs and differentiates on every device. A family that wants
/// it emits "squaredrelu" with one input.
struct SquaredReLU: CustomOp {
    func decompose(_ g: GraphBuilder, _ inputs: [Tensor?], _ attributes: [String: Attribute]) throws -> [Tensor] {
        guard inputs.count == 1, let x = inputs[0] else {
            throw PluginError(.invalid, "found \(inputs.count) inputs, wanted one", at: "squaredrelu")
        }
        return [g.square(g.relu(x))]
    }
}
