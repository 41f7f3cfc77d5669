import Glibc

func cosine(_ x: Double) -> Double { cos(x) }
func sine(_ x: Double) -> Double { sin(x) }

/// Attention over flat tokens: sequences are segments of the token axis.
let attentionOps: [Op] = [attentionOp, attentionBackwardOp, attentionPagedOp]

private let attentionRules: [AttributeRule] = [
    .optional("layer", .int(-1)), .required("scale", .float(1)), .optional("causal", .bool(true)),
    .optional("window", .int(0)), .optional("softcap", .float(0)), .optional("activation", .string("auto")),
]
private let attentionInputs = [
    "q [Tq, H, D]", "k [Tk, Hk, D]", "v [Tk, Hk, Dv]", "q_segments i32 [S + 1]", "k_segments i32 [S + 1]", "sinks [H]",
]

private func checkAttention(_ context: Op.Inference, from first: Int) throws(GraphError) -> (q: [Int], v: [Int]) {
    let q = try context.float(first, rank: 3)
    let k = try context.float(first + 1, rank: 3)
    let v = try context.float(first + 2, rank: 3)
    guard k[2] == q[2] else { throw context.mismatch(first + 1, "heads of width \(q[2])", try context.type(first + 1)) }
    guard v[0] == k[0], v[1] == k[1] else {
        throw context.mismatch(first + 2, "\(k[0]) tokens of \(k[1]) heads", try context.type(first + 2))
    }
    guard k[1] > 0, q[1] % k[1] == 0 else {
        throw GraphError(.invalid, "\(q[1]) query heads do not divide among \(k[1]) key heads")
    }
    return (q, v)
}

/// Bounds of at least no segment: [S + 1] of the queries, and as many of the keys.
private func checkSegments(_ context: Op.Inference, from first: Int) throws(GraphError) {
    let segments = try context.integers(first, rank: 1)
    guard segments[0] > 0 else { throw context.mismatch(first, "one bound at least", try context.type(first)) }
    _ = try context.integers(first + 1, segments)
}

private let attentionOp = Op(
    "attention", "softmax(scale · q kᵀ) v within segments; also log Σ e^scores of each row", inputs: attentionInputs,
    optional: 1, attributes: attentionRules,
    infer: { context throws(GraphError) in
        let (q, v) = try checkAttention(context, from: 0)
        try checkSegments(context, from: 3)
        if context.has(5) { try context.expect(5, [q[1]]) }
        return [ValueType([q[0], q[1], v[2]]), ValueType([q[0], q[1]])]
    },
    gradient: { d in
        try d.onlyFirst(1)
        let inputs = [d.dy] + (0..<5).map { d.input($0) } + [d.node.outputs[0], d.node.outputs[1], d.input(5)]
        let out = try d.graph.emit("attention_backward", inputs, d.attributes.pairs)
        return [out[0], out[1], out[2], nil, nil, d.has(5) ? out[3] : nil]
    },
    reference: { context throws(GraphError) in
        let a = AttentionReference(context, from: 0, sinks: 5)
        var out = context.outputs[0].zeros
        var lse = context.outputs[1].zeros
        a.forEachRow { t, h, keys in
            let (weights, total) = a.weights(t, h, keys)
            lse[t * a.heads + h] = total
            for (j, weight) in zip(keys, weights) {
                for d in 0..<a.valueWidth { out[(t * a.heads + h) * a.valueWidth + d] += weight * a.value(j, h, d) }
            }
        }
        return [out, lse]
    })

private let attentionBackwardOp = Op(
    "attention_backward", "gradients of attention to q, k, v and the sinks",
    inputs: ["dout [Tq, H, Dv]"] + attentionInputs.dropLast() + ["out", "lse", "sinks [H]"], optional: 1,
    attributes: attentionRules,
    infer: { context throws(GraphError) in
        let (q, v) = try checkAttention(context, from: 1)
        let k = try context.shape(2)
        try checkSegments(context, from: 4)
        for i in [0, 6] { try context.expect(i, [q[0], q[1], v[2]]) }
        try context.expect(7, [q[0], q[1]])
        if context.has(8) { try context.expect(8, [q[1]]) }
        return [ValueType(q), ValueType(k), ValueType(v), ValueType(context.has(8) ? [q[1]] : [0])]
    },
    reference: { context throws(GraphError) in
        let a = AttentionReference(context, from: 1, sinks: 8)
        let dout = context.values(0)
        var dq = context.outputs[0].zeros
        var dk = context.outputs[1].zeros
        var dv = context.outputs[2].zeros
        var dsinks = context.outputs[3].zeros
        a.forEachRow { t, h, keys in
            let (weights, total) = a.weights(t, h, keys)
            let kh = h / a.group
            let row = (t * a.heads + h) * a.valueWidth
            let dweights = keys.map { j in (0..<a.valueWidth).reduce(0) { $0 + dout[row + $1] * a.value(j, h, $1) } }
            let mean = zip(weights, dweights).reduce(0) { $0 + $1.0 * $1.1 }
            if !dsinks.isEmpty { dsinks[h] -= exp(a.sinks[h] - total) * mean }
            for (i, j) in keys.enumerated() {
                for d in 0..<a.valueWidth { dv[(j * a.keyHeads + kh) * a.valueWidth + d] += weights[i] * dout[row + d] }
                let ds = weights[i] * (dweights[i] - mean) * a.scoreSlope(t, h, j)
                for d in 0..<a.width {
                    dq[(t * a.heads + h) * a.width + d] += ds * a.k[(j * a.keyHeads + kh) * a.width + d]
                    dk[(j * a.keyHeads + kh) * a.width + d] += ds * a.q[(t * a.heads + h) * a.width + d]
                }
            }
        }
        return [dq, dk, dv, dsinks]
    })

/// The scores of attention, one by one.
private struct AttentionReference {
    let q, k, v, sinks: [Double]
    let heads, keyHeads, width, valueWidth, group: Int
    let querySegments, keySegments: [Int]
    let scale, softcap: Double
    let causal: Bool
    let window: Int

    init(_ context: Op.Evaluation, from first: Int, sinks at: Int) {
        q = context.values(first)
        k = context.values(first + 1)
        v = context.values(first + 2)
        sinks = context.has(at) ? context.values(at) : []
        heads = context.shape(first)[1]
        width = context.shape(first)[2]
        keyHeads = context.shape(first + 1)[1]
        valueWidth = context.shape(first + 2)[2]
        group = heads / keyHeads
        querySegments = context.ints(first + 3)
        keySegments = context.ints(first + 4)
        scale = context.attributes.float("scale")
        softcap = context.attributes.float("softcap")
        causal = context.attributes.bool("causal")
        window = context.attributes.int("window")
    }

    /// Calls `body` for each query row and head with the keys that it sees.
    func forEachRow(_ body: (Int, Int, [Int]) -> Void) {
        for s in 0..<max(0, querySegments.count - 1) {
            let (q0, q1) = (querySegments[s], querySegments[s + 1])
            let (k0, k1) = (keySegments[s], keySegments[s + 1])
            for t in q0..<max(q0, q1) {
                let position = (k1 - k0) - (q1 - q0) + (t - q0)
                let keys = (k0..<max(k0, k1)).filter { j in
                    (!causal || j - k0 <= position) && (window == 0 || abs(position - (j - k0)) < window)
                }
                for h in 0..<heads { body(t, h, keys) }
            }
        }
    }

    func value(_ j: Int, _ h: Int, _ d: Int) -> Double { v[(j * keyHeads + h / group) * valueWidth + d] }

    private func rawScore(_ t: Int, _ h: Int, _ j: Int) -> Double {
        let (a, b) = ((t * heads + h) * width, (j * keyHeads + h / group) * width)
        return (0..<width).reduce(0) { $0 + q[a + $1] * k[b + $1] } * scale
    }

    /// d score / d (q · k).
    func scoreSlope(_ t: Int, _ h: Int, _ j: Int) -> Double {
        guard softcap > 0 else { return scale }
        let y = tanh(rawScore(t, h, j) / softcap)
        return scale * (1 - y * y)
    }

    /// The softmax weights of `keys`, and log Σ e^score with the sink's.
    func weights(_ t: Int, _ h: Int, _ keys: [Int]) -> ([Double], Double) {
        let scores = keys.map { j in
            let score = rawScore(t, h, j)
            return softcap > 0 ? softcap * tanh(score / softcap) : score
        }
        let total = logSumExp(sinks.isEmpty ? scores : scores + [sinks[h]])
        return (scores.map { exp($0 - total) }, total)
    }
}

private let attentionPagedOp = Op(
    "attention_paged",
    "writes k and v of each row to its cache slot, then lets each row attend to its sequence's positions in the cache",
    inputs: [
        "q [T, H, D]", "k [T, Hk, D]", "v [T, Hk, Dv]", "k_cache", "v_cache", "slots i32 [T]", "q_segments i32 [S + 1]",
        "context i32 [S]", "block_table i32 [S, B]", "sinks [H]",
    ], optional: 1,
    attributes: [
        .required("block_size", .int(16)), .required("scale", .float(1)), .optional("window", .int(0)),
        .optional("softcap", .float(0)),
    ],
    infer: { context throws(GraphError) in
        let (q, v) = try checkAttention(context, from: 0)
        _ = try context.integers(5, [q[0]])
        let segments = try context.integers(6, rank: 1)
        _ = try context.integers(7, [segments[0] - 1])
        let table = try context.integers(8, rank: 2)
        guard table[0] == segments[0] - 1 else {
            throw context.mismatch(8, "\(segments[0] - 1) rows", try context.type(8))
        }
        for (i, width) in [(3, try context.shape(1)[2]), (4, v[2])] {
            let cache = try context.float(i, rank: 4)
            guard cache[1] == v[1], cache[2] == context.attributes.int("block_size"), cache[3] == width else {
                throw context.mismatch(
                    i, "[blocks, \(v[1]), \(context.attributes.int("block_size")), \(width)]", try context.type(i))
            }
        }
        if context.has(9) { try context.expect(9, [q[1]]) }
        return [ValueType([q[0], q[1], v[2]])]
    },
    reference: { context throws(GraphError) in
        throw GraphError(
            .unsupported, "attention_paged changes its cache; compare it with attention over whole sequences")
    })
