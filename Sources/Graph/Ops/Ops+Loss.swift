import Glibc

/// Log-probabilities of labels without a matrix of tokens by vocabulary.
let lossOps: [Op] = [labelLogprobsOp, labelLogprobsBackwardOp]

private let logitRules: [AttributeRule] =
    activationRule + [.optional("scale", .float(1)), .optional("softcap", .float(0))]

private let labelLogprobsOp = Op(
    "label_logprobs",
    "log softmax(logits)[label] with logits = scale · hidden headᵀ + bias, soft-capped; 0 for label -100. Also log Σ e^logits, with `entropy` the entropy (else 0), and 1 where no logit is above the label's (else 0)",
    inputs: ["hidden [T, W]", "head [V, W]", "labels i32 [T]", "bias [V]"], optional: 1,
    attributes: logitRules + [.optional("entropy", .bool(false))],
    infer: { context throws(GraphError) in
        let hidden = try context.float(0, rank: 2)
        let head = try context.float(1, rank: 2)
        try context.expect(1, [head[0], hidden[1]])
        _ = try context.integers(2, [hidden[0]])
        if context.has(3) { try context.expect(3, [head[0]]) }
        let tokens = ValueType([hidden[0]])
        return [tokens, tokens, tokens, tokens]
    },
    gradient: { d in
        try d.onlyFirstOutput()
        let inputs = [d.dy, d.input(0), d.input(1), d.input(2), d.node.outputs[1], d.input(3)]
        let out = try d.graph.emit(
            "label_logprobs_backward", inputs,
            d.attributes.pairs.filter { $0.0 != "entropy" } + [("head_gradient", .bool(d.wants(1)))])
        return [out[0], d.wants(1) ? out[1] : nil, nil, nil]
    },
    reference: { context throws(GraphError) in
        let logits = LogitReference(context, hidden: 0, head: 1, bias: 3)
        var (logp, lse, entropy, hits): ([Double], [Double], [Double], [Double]) = ([], [], [], [])
        for (t, label) in context.ints(2).enumerated() {
            let row = logits.row(t)
            let total = logSumExp(row)
            let isLabel = row.indices.contains(label)
            logp.append(isLabel ? row[label] - total : 0)
            lse.append(isLabel ? total : 0)
            entropy.append(
                isLabel && context.attributes.bool("entropy") ? total - row.reduce(0) { $0 + exp($1 - total) * $1 } : 0)
            hits.append(isLabel && row[label] == row.max() ? 1 : 0)
        }
        return [logp, lse, entropy, hits]
    })

private let labelLogprobsBackwardOp = Op(
    "label_logprobs_backward", "gradients of label_logprobs' first output to hidden, and to head with head_gradient",
    inputs: ["dlogp [T]", "hidden [T, W]", "head [V, W]", "labels i32 [T]", "lse [T]", "bias [V]"], optional: 1,
    attributes: logitRules + [.optional("head_gradient", .bool(false))],
    infer: { context throws(GraphError) in
        let hidden = try context.float(1, rank: 2)
        let head = try context.float(2, rank: 2)
        return [ValueType(hidden), ValueType(context.attributes.bool("head_gradient") ? head : [0])]
    },
    reference: { context throws(GraphError) in
        let logits = LogitReference(context, hidden: 1, head: 2, bias: 5)
        let (h, w) = (context.values(1), context.values(2))
        var dh = [Double](repeating: 0, count: h.count)
        var dw = context.outputs[1].zeros
        let width = logits.width
        for (t, label) in context.ints(3).enumerated() {
            let row = logits.row(t)
            guard row.indices.contains(label) else { continue }
            let total = logSumExp(row)
            for v in row.indices {
                let slope = logits.slope(row[v]) * context.values(0)[t] * ((v == label ? 1 : 0) - exp(row[v] - total))
                for i in 0..<width {
                    dh[t * width + i] += slope * w[v * width + i]
                    if !dw.isEmpty { dw[v * width + i] += slope * h[t * width + i] }
                }
            }
        }
        return [dh, dw]
    })

private struct LogitReference {
    let hidden, head, bias: [Double]
    let width, vocabulary: Int
    let scale, softcap: Double

    init(_ context: Op.Evaluation, hidden: Int, head: Int, bias: Int) {
        self.hidden = context.values(hidden)
        self.head = context.values(head)
        self.bias = context.has(bias) ? context.values(bias) : []
        width = context.shape(hidden)[1]
        vocabulary = context.shape(head)[0]
        scale = context.attributes.float("scale")
        softcap = context.attributes.float("softcap")
    }

    func row(_ t: Int) -> [Double] {
        (0..<vocabulary).map { v in
            let dot = (0..<width).reduce(0) { $0 + hidden[t * width + $1] * head[v * width + $1] }
            let logit = dot * scale + (bias.isEmpty ? 0 : bias[v])
            return softcap > 0 ? softcap * tanh(logit / softcap) : logit
        }
    }

    /// d capped logit / d dot product, from the capped logit.
    func slope(_ capped: Double) -> Double {
        softcap > 0 ? scale * (1 - (capped / softcap) * (capped / softcap)) : scale
    }
}
