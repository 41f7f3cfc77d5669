extension Graph {
    /// Inputs that take a weight in any layout, by op.
    private static let weightInputs: [String: Int] = [
        "linear": 1, "linear_backward_input": 1, "low_rank_linear": 1, "low_rank_linear_backward_input": 1,
        "embedding": 0,
        "label_logprobs": 1, "label_logprobs_backward": 2,
        "expert_linear": 2, "expert_linear_backward_input": 2,
    ]

    /// Asks for f32 where a parameter is read by an op that takes plain values only.
    package func settleLayouts() {
        for node in nodes {
            for (i, input) in node.inputs.enumerated() where Self.weightInputs[node.op.name] != i {
                if let parameter = parameter(input), parameter.layout != "f32" { setLayout(input, "f32") }
            }
        }
    }
}
