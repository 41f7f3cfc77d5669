import Glibc

/// Log-probabilities of labels without a matrix of tokens by vocabulary.
let lossOps: [Op] = [labelLogprobsOp, labelLogprobsBackwardOp]

private let logitRules: [AttributeRule] =
    activationRule + [.optional("scale", .float(1)), .optional("softcap", .float(0))]

/// Gradients of the bias are taken from those of the products.
private func checkScale(_ context: Op.Inference) throws(GraphError) {
    guard context.attributes.float("scale") != 0 else {
        throw GraphError(.invalid, "attribute \"scale\" is 0, wanted another factor on the logits")
    }
}

private let labelLogprobsOp = Op(
    "label_logprobs",
    "log softmax(logits)[label] with logits = scale · hidden headᵀ + bias, soft-capped; 0 for label -100. Also log Σ e^logits, with `entropy` the entropy (else 0), 1 where no logit is above the label's (else 0), and with `slopes` d logp / d hidden",
    inputs: ["hidden [T, W]", "head [V, W]", "labels i32 [T]", "bias [V]"], optional: 1,
    attributes: logitRules + [.optional("entropy", .bool(false)), .optional("slopes", .bool(false))],
    infer: { context throws(GraphError) in
        let hidden = try context.float(0, rank: 2)
        let head = try context.float(1, rank: 2)
        try context.expect(1, [head[0], hidden[1]])
        _ = try context.integers(2, [hidden[0]])
        if context.has(3) { try context.expect(3, [head[0]]) }
        try checkScale(context)
        let tokens = ValueType([hidden[0]])
        return [tokens, tokens, tokens, tokens, ValueType(context.attributes.bool("slopes") ? hidden : [0])]
    },
    gradient: { d in
        try d.onlyFirst(3)
        // Each token's gradient is a multiple of one that the forward pass gets with one product more. A head's is not.
        if !d.wants(1), !d.wants(3), d.outputs[1] == nil, d.outputs[2] == nil {
            try d.graph.setFlag("slopes", ofProducerOf: d.y)
            let factors = try d.emit("reshape", d.dy, with: [("shape", .ints([d.shape(d.dy)[0], 1]))])
            return [try d.emit("mul", d.node.outputs[4], factors), nil, nil, nil]
        }
        let entropy = d.attributes.bool("entropy") ? d.outputs[2] : nil
        let tokens = d.shape(d.input(2))
        let dlogp = try d.outputs[0] ?? d.graph.constant([Float](repeating: 0, count: tokens[0]), tokens)
        let out = try d.graph.emit(
            "label_logprobs_backward",
            [
                dlogp, d.input(0), d.input(1), d.input(2), d.node.outputs[1], d.input(3), d.outputs[1] ?? .none,
                entropy ?? .none, entropy == nil ? .none : d.node.outputs[2],
            ],
            d.attributes.pairs.filter { !["entropy", "slopes"].contains($0.0) }
                + [("head_gradient", .bool(d.wants(1))), ("bias_gradient", .bool(d.wants(3)))])
        return [out[0], d.wants(1) ? out[1] : nil, nil, d.wants(3) ? out[2] : nil]
    },
    reference: { context throws(GraphError) in
        let logits = LogitReference(context, hidden: 0, head: 1, bias: 3)
        var (logp, lse, entropy, hits): ([Double], [Double], [Double], [Double]) = ([], [], [], [])
        var slopes = context.outputs[4].zeros
        for (t, label) in context.ints(2).enumerated() {
            let row = logits.row(t)
            let total = logSumExp(row)
            let isLabel = row.indices.contains(label)
            logp.append(isLabel ? row[label] - total : 0)
            lse.append(isLabel ? total : 0)
            entropy.append(
                isLabel && context.attributes.bool("entropy") ? total - row.reduce(0) { $0 + exp($1 - total) * $1 } : 0)
            hits.append(isLabel && row[label] == row.max() ? 1 : 0)
            guard isLabel, !slopes.isEmpty else { continue }
            for (v, slope) in logits.slopes(row, total, label: label).enumerated() {
                for i in 0..<logits.width { slopes[t * logits.width + i] += slope * logits.head[v * logits.width + i] }
            }
        }
        return [logp, lse, entropy, hits, slopes]
    })

private let labelLogprobsBackwardOp = Op(
    "label_logprobs_backward",
    "gradients of label_logprobs' first three outputs to hidden, with head_gradient to head, with bias_gradient to bias",
    inputs: [
        "dlogp [T]", "hidden [T, W]", "head [V, W]", "labels i32 [T]", "lse [T]", "bias [V]", "dlse [T]",
        "dentropy [T]", "entropy [T]",
    ], optional: 4,
    attributes: logitRules + [.optional("head_gradient", .bool(false)), .optional("bias_gradient", .bool(false))],
    infer: { context throws(GraphError) in
        let hidden = try context.float(1, rank: 2)
        let head = try context.float(2, rank: 2)
        try context.expect(2, [head[0], hidden[1]])
        _ = try context.integers(3, [hidden[0]])
        for i in [0, 4, 6, 7, 8] where i < 5 || context.has(i) { try context.expect(i, [hidden[0]]) }
        if context.has(5) { try context.expect(5, [head[0]]) }
        guard context.has(7) == context.has(8) else {
            throw GraphError(.invalid, "dentropy and entropy go together, found one of them")
        }
        try checkScale(context)
        let (wantsHead, wantsBias) = (
            context.attributes.bool("head_gradient"), context.attributes.bool("bias_gradient")
        )
        return [ValueType(hidden), ValueType(wantsHead ? head : [0]), ValueType([wantsBias ? head[0] : 0])]
    },
    reference: { context throws(GraphError) in
        let logits = LogitReference(context, hidden: 1, head: 2, bias: 5)
        let (h, w) = (context.values(1), context.values(2))
        var dh = [Double](repeating: 0, count: h.count)
        var (dw, db) = (context.outputs[1].zeros, context.outputs[2].zeros)
        let width = logits.width
        for (t, label) in context.ints(3).enumerated() {
            let row = logits.row(t)
            guard row.indices.contains(label) else { continue }
            let total = logSumExp(row)
            let dlogp = context.values(0)[t]
            let dlse = context.has(6) ? context.values(6)[t] : 0
            let dentropy = context.has(7) ? context.values(7)[t] : 0
            let entropy = total - row.reduce(0) { $0 + exp($1 - total) * $1 }
            for v in row.indices {
                let p = exp(row[v] - total)
                // d entropy / d logit = -p (log p + entropy).
                let shaped =
                    dlogp * ((v == label ? 1 : 0) - p) + dlse * p - dentropy * p * (row[v] - total + entropy)
                let slope = logits.slope(row[v]) * shaped
                if !db.isEmpty { db[v] += slope / logits.scale }
                for i in 0..<width {
                    dh[t * width + i] += slope * w[v * width + i]
                    if !dw.isEmpty { dw[v * width + i] += slope * h[t * width + i] }
                }
            }
        }
        return [dh, dw, db]
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

    /// d log-probability of the label / d dot product with each word of the head, from a row of logits.
    func slopes(_ row: [Double], _ logSum: Double, label: Int) -> [Double] {
        row.enumerated().map { v, capped in slope(capped) * ((v == label ? 1 : 0) - exp(capped - logSum)) }
    }
}
