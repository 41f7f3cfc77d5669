/// Normalisation over the last axis, and rotary positions.
let normOps: [Op] = [rmsNormOp, rmsNormBackwardOp, layerNormOp, layerNormBackwardOp, ropeOp]

private let rmsRules: [AttributeRule] = [.required("eps", .float(0)), .optional("offset", .float(0))]

private let rmsNormOp = Op(
    "rms_norm", "x / √(mean x² + eps) · (offset + w) over the last axis", inputs: ["x [.., W]", "weight [W]"],
    attributes: rmsRules,
    infer: { context throws(GraphError) in
        let x = try context.float(0)
        guard let width = x.last else { throw context.mismatch(0, "at least one axis", try context.type(0)) }
        try context.expect(1, [width])
        return [ValueType(x)]
    },
    gradient: { d in
        let out = try d.graph.emit("rms_norm_backward", [d.dy, d.input(0), d.input(1)], d.attributes.pairs)
        return [out[0], d.wants(1) ? out[1] : nil]
    },
    reference: { context throws(GraphError) in
        let (eps, offset) = (context.attributes.float("eps"), context.attributes.float("offset"))
        let w = context.values(1)
        return [
            rows(context.values(0), width: w.count).flatMap { row in
                let inverse = 1 / (row.reduce(0) { $0 + $1 * $1 } / Double(w.count) + eps).squareRoot()
                return zip(row, w).map { $0 * inverse * (offset + $1) }
            }
        ]
    })

/// dy, x of its shape, and a weight of its last axis.
private func checkNormGradient(_ context: Op.Inference) throws(GraphError) -> (dy: [Int], w: [Int]) {
    let dy = try context.float(0)
    guard let width = dy.last else { throw context.mismatch(0, "at least one axis", try context.type(0)) }
    _ = try context.float(1)
    try context.expect(1, dy)
    let w = try context.float(2, rank: 1)
    try context.expect(2, [width])
    return (dy, w)
}

private let rmsNormBackwardOp = Op(
    "rms_norm_backward", "gradients of rms_norm to x and to the weight",
    inputs: ["dy [.., W]", "x [.., W]", "weight [W]"],
    attributes: rmsRules,
    infer: { context throws(GraphError) in
        let (dy, w) = try checkNormGradient(context)
        return [ValueType(dy), ValueType(w)]
    },
    reference: { context throws(GraphError) in
        let (eps, offset) = (context.attributes.float("eps"), context.attributes.float("offset"))
        let w = context.values(2)
        let n = Double(w.count)
        var dx: [Double] = []
        var dw = [Double](repeating: 0, count: w.count)
        for (dy, x) in zip(rows(context.values(0), width: w.count), rows(context.values(1), width: w.count)) {
            let inverse = 1 / (x.reduce(0) { $0 + $1 * $1 } / n + eps).squareRoot()
            let scaled = zip(dy, w).map { $0 * (offset + $1) }
            let dot = zip(scaled, x).reduce(0) { $0 + $1.0 * $1.1 } * inverse * inverse / n
            dx += zip(scaled, x).map { ($0 - $1 * dot) * inverse }
            for (i, (g, value)) in zip(dy, x).enumerated() { dw[i] += g * value * inverse }
        }
        return [dx, dw]
    })

private let layerNormOp = Op(
    "layer_norm", "(x - mean) / √(var + eps) · w + b over the last axis",
    inputs: ["x [.., W]", "weight [W]", "bias [W]"], optional: 1, attributes: [.required("eps", .float(0))],
    infer: { context throws(GraphError) in
        let x = try context.float(0)
        guard let width = x.last else { throw context.mismatch(0, "at least one axis", try context.type(0)) }
        try context.expect(1, [width])
        if context.has(2) { try context.expect(2, [width]) }
        return [ValueType(x)]
    },
    gradient: { d in
        let out = try d.graph.emit("layer_norm_backward", [d.dy, d.input(0), d.input(1)], d.attributes.pairs)
        return [out[0], d.wants(1) ? out[1] : nil, d.wants(2) ? out[2] : nil]
    },
    reference: { context throws(GraphError) in
        let eps = context.attributes.float("eps")
        let w = context.values(1)
        let b = context.has(2) ? context.values(2) : [Double](repeating: 0, count: w.count)
        return [
            rows(context.values(0), width: w.count).flatMap { row in
                let (mean, inverse) = moments(row, eps: eps)
                return row.enumerated().map { ($1 - mean) * inverse * w[$0] + b[$0] }
            }
        ]
    })

private func moments(_ row: ArraySlice<Double>, eps: Double) -> (mean: Double, inverse: Double) {
    let mean = row.reduce(0, +) / Double(row.count)
    let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(row.count)
    return (mean, 1 / (variance + eps).squareRoot())
}

private let layerNormBackwardOp = Op(
    "layer_norm_backward", "gradients of layer_norm to x, weight and bias",
    inputs: ["dy [.., W]", "x [.., W]", "weight [W]"], attributes: [.required("eps", .float(0))],
    infer: { context throws(GraphError) in
        let (dy, w) = try checkNormGradient(context)
        return [ValueType(dy), ValueType(w), ValueType(w)]
    },
    reference: { context throws(GraphError) in
        let eps = context.attributes.float("eps")
        let w = context.values(2)
        var dx: [Double] = []
        var (dw, db) = ([Double](repeating: 0, count: w.count), [Double](repeating: 0, count: w.count))
        for (dy, x) in zip(rows(context.values(0), width: w.count), rows(context.values(1), width: w.count)) {
            let (mean, inverse) = moments(x, eps: eps)
            let normal = x.map { ($0 - mean) * inverse }
            let scaled = zip(dy, w).map { $0 * $1 }
            let n = Double(w.count)
            let average = scaled.reduce(0, +) / n
            let dot = zip(scaled, normal).reduce(0) { $0 + $1.0 * $1.1 } / n
            dx += zip(scaled, normal).map { ($0 - average - $1 * dot) * inverse }
            for (i, g) in dy.enumerated() {
                dw[i] += g * normal[i]
                db[i] += g
            }
        }
        return [dx, dw, db]
    })

private let ropeOp = Op(
    "rope", "rotates the first 2 n elements of each head by position · frequency (Su et al. 2021); inverse turns back",
    inputs: ["x [T, H, D]", "positions i32 [T] or [3, T]", "frequencies [n] or [T, n]"],
    attributes: [
        .optional("interleaved", .bool(false)), .optional("scale", .float(1)), .optional("inverse", .bool(false)),
        .optional("sections", .ints([])),
    ],
    infer: { context throws(GraphError) in
        let x = try context.float(0, rank: 3)
        let positions = try context.integers(1)
        let frequencies = try context.float(2)
        guard frequencies.count == 1 || (frequencies.count == 2 && frequencies[0] == x[0]), let pairs = frequencies.last
        else { throw context.mismatch(2, "shape [n] or [\(x[0]), n]", try context.type(2)) }
        let sections = context.attributes.ints("sections")
        guard positions == (sections.isEmpty ? [x[0]] : [sections.count, x[0]]) else {
            throw context.mismatch(
                1, sections.isEmpty ? "shape [\(x[0])]" : "shape [\(sections.count), \(x[0])]", try context.type(1))
        }
        guard 2 * pairs <= x[2] else {
            throw GraphError(.invalid, "\(pairs) frequencies rotate \(2 * pairs) elements, a head has \(x[2])")
        }
        guard sections.isEmpty || (sections.allSatisfy({ (0...pairs).contains($0) }) && sections.reduce(0, +) == pairs)
        else {
            throw GraphError(.invalid, "sections \(sections) do not add up to the \(pairs) frequencies")
        }
        return [ValueType(x)]
    },
    gradient: { d in
        var turned = d.attributes.pairs.filter { $0.0 != "inverse" }
        turned.append(("inverse", .bool(!d.attributes.bool("inverse"))))
        return [try d.emit("rope", d.dy, d.input(1), d.input(2), with: turned)]
    },
    reference: { context throws(GraphError) in
        let shape = context.shape(0)
        let frequencies = context.values(2)
        let positions = context.values(1)
        let isEach = context.shape(2).count == 2
        let n = isEach ? frequencies.count / shape[0] : frequencies.count
        let (interleaved, inverse) = (context.attributes.bool("interleaved"), context.attributes.bool("inverse"))
        let scale = context.attributes.float("scale")
        var axes = [Int](repeating: 0, count: n)
        var at = 0
        for (axis, size) in context.attributes.ints("sections").enumerated() {
            for _ in 0..<size {
                axes[at] = axis
                at += 1
            }
        }
        var out = context.values(0)
        for t in 0..<shape[0] {
            for h in 0..<shape[1] {
                let base = (t * shape[1] + h) * shape[2]
                for i in 0..<n {
                    let angle = positions[axes[i] * shape[0] + t] * frequencies[isEach ? t * n + i : i]
                    let (c, s) = (cosine(angle) * scale, (inverse ? -1 : 1) * sine(angle) * scale)
                    let (first, second) = interleaved ? (base + 2 * i, base + 2 * i + 1) : (base + i, base + i + n)
                    let (a, b) = (out[first], out[second])
                    out[first] = a * c - b * s
                    out[second] = b * c + a * s
                }
            }
        }
        return [out]
    })
