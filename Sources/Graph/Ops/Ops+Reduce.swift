import Glibc

/// Ops that join the elements of axes, and the softmax family over the last one.
let reduceOps: [Op] = [
    reduction("sum", "the sum over axes (all when none is named)") {
        $0.reduce(0, +)
    } gradient: { d, stretched, _ in
        stretched
    },
    reduction("mean", "the mean over axes (all when none is named); 0 of nothing") {
        $0.isEmpty ? 0 : $0.reduce(0, +) / Double($0.count)
    } gradient: { d, stretched, count in
        try d.emit("scale", stretched, with: [("factor", .float(1 / Double(max(1, count))))])
    },
    reduction("reduce_max", "the largest over axes") {
        $0.max() ?? -.infinity
    } gradient: { d, stretched, _ in
        let x = d.input(0)
        let kept = keptShape(d.shape(x), d.attributes.ints("axes"))
        let largest = try d.emit("reshape", d.y, with: [("shape", .ints(kept))])
        return try d.emit("mul", stretched, d.emit("equal", x, largest))
    },
    softmaxOp, softmaxGradientOp, logSoftmaxOp, logSumExpOp, cumsumOp, topkOp, argmaxOp, sumSequencesOp,
    gatherSequencesOp,
]

private func normalized(_ axes: [Int], rank: Int) -> [Int] {
    axes.isEmpty ? Array(0..<rank) : axes.map { $0 < 0 ? $0 + rank : $0 }.sorted()
}

private func keptShape(_ shape: [Int], _ axes: [Int]) -> [Int] {
    let reduced = Set(normalized(axes, rank: shape.count))
    return shape.indices.map { reduced.contains($0) ? 1 : shape[$0] }
}

private func reduction(
    _ name: String, _ summary: String, _ join: @escaping @Sendable ([Double]) -> Double,
    gradient: @escaping @Sendable (Op.Differentiation, Value, Int) throws -> Value
) -> Op {
    Op(
        name, summary, inputs: ["x"],
        attributes: [.optional("axes", .ints([])), .optional("keep_dimensions", .bool(false))],
        infer: { context throws(GraphError) in
            let shape = try context.float(0)
            let axes = normalized(context.attributes.ints("axes"), rank: shape.count)
            guard axes.allSatisfy({ shape.indices.contains($0) }), Set(axes).count == axes.count else {
                throw GraphError(.invalid, "axes \(context.attributes.ints("axes")) are no axes of shape \(shape)")
            }
            let kept = keptShape(shape, context.attributes.ints("axes"))
            let keeps = context.attributes.bool("keep_dimensions")
            return [ValueType(keeps ? kept : kept.indices.filter { !axes.contains($0) }.map { kept[$0] })]
        },
        gradient: { d in
            let shape = d.shape(d.input(0))
            let kept = keptShape(shape, d.attributes.ints("axes"))
            let aligned = try d.emit("reshape", d.dy, with: [("shape", .ints(kept))])
            let stretched = try d.emit("broadcast", aligned, with: [("shape", .ints(shape))])
            let count = zip(shape, kept).reduce(1) { $1.0 == $1.1 ? $0 : $0 * $1.0 }
            return [try gradient(d, stretched, count)]
        },
        reference: { context throws(GraphError) in
            let shape = context.shape(0)
            let kept = keptShape(shape, context.attributes.ints("axes"))
            let at = Broadcasting.positions(kept, shape)
            var groups = [[Double]](repeating: [], count: kept.reduce(1, *))
            for (i, value) in context.values(0).enumerated() { groups[at[i]].append(value) }
            return [groups.map(join)]
        })
}

/// Rows of the last axis.
func rows(_ values: [Double], width: Int) -> [ArraySlice<Double>] {
    width == 0 ? [] : stride(from: 0, to: values.count, by: width).map { values[$0..<$0 + width] }
}

func logSumExp(_ row: some Collection<Double>) -> Double {
    guard let top = row.max(), top > -.infinity else { return -.infinity }
    return top + log(row.reduce(0) { $0 + exp($1 - top) })
}

private func lastWidth(_ context: Op.Evaluation) -> Int { context.shape(0).last ?? 1 }

private let softmaxOp = Op(
    "softmax", "eˣ / Σ eˣ over the last axis", inputs: ["x"],
    infer: { context throws(GraphError) in [ValueType(try context.rows(0))] },
    gradient: { d in [try d.emit("softmax_gradient", d.dy, d.y)] },
    reference: { context throws(GraphError) in
        [
            rows(context.values(0), width: lastWidth(context)).flatMap { row in
                let total = logSumExp(row)
                return row.map { exp($0 - total) }
            }
        ]
    })

private let softmaxGradientOp = Op(
    "softmax_gradient", "y (dy - Σ dy y) over the last axis", inputs: ["dy", "y"],
    infer: { context throws(GraphError) in
        let shape = try context.rows(0)
        _ = try context.float(1)
        try context.expect(1, shape)
        return [ValueType(shape)]
    },
    reference: { context throws(GraphError) in
        let width = lastWidth(context)
        return [
            zip(rows(context.values(0), width: width), rows(context.values(1), width: width)).flatMap { dy, y in
                let dot = zip(dy, y).reduce(0) { $0 + $1.0 * $1.1 }
                return zip(dy, y).map { ($0 - dot) * $1 }
            }
        ]
    })

private let logSoftmaxOp = Op(
    "log_softmax", "x - log Σ eˣ over the last axis", inputs: ["x"],
    infer: { context throws(GraphError) in [ValueType(try context.rows(0))] },
    gradient: { d in
        let total = try d.emit("sum", d.dy, with: [("axes", .ints([-1])), ("keep_dimensions", .bool(true))])
        return [try d.emit("sub", d.dy, d.emit("mul", d.emit("exp", d.y), total))]
    },
    reference: { context throws(GraphError) in
        [
            rows(context.values(0), width: lastWidth(context)).flatMap { row in
                let total = logSumExp(row)
                return row.map { $0 - total }
            }
        ]
    })

private let logSumExpOp = Op(
    "logsumexp", "log Σ eˣ over the last axis", inputs: ["x"],
    infer: { context throws(GraphError) in [ValueType(Array(try context.rows(0).dropLast()))] },
    gradient: { d in
        let x = d.input(0)
        let shape = d.shape(d.y) + [1]
        let (dy, y) = (
            try d.emit("reshape", d.dy, with: [("shape", .ints(shape))]),
            try d.emit("reshape", d.y, with: [("shape", .ints(shape))])
        )
        return [try d.emit("mul", d.emit("exp", d.emit("sub", x, y)), dy)]
    },
    reference: { context throws(GraphError) in
        let width = lastWidth(context)
        // Σ of nothing is 0, of which the logarithm is -∞.
        return [
            width == 0
                ? context.outputs[0].zeros.map { $0 - .infinity } : rows(context.values(0), width: width).map(logSumExp)
        ]
    })

private let cumsumOp = Op(
    "cumsum", "running sums along the last axis; reverse runs from its end", inputs: ["x"],
    attributes: [.optional("reverse", .bool(false))],
    infer: { context throws(GraphError) in [ValueType(try context.rows(0))] },
    gradient: { d in [try d.emit("cumsum", d.dy, with: [("reverse", .bool(!d.attributes.bool("reverse")))])] },
    reference: { context throws(GraphError) in
        let reverse = context.attributes.bool("reverse")
        return [
            rows(context.values(0), width: lastWidth(context)).flatMap { row in
                var total = 0.0
                let sums = (reverse ? Array(row.reversed()) : Array(row)).map { value in
                    total += value
                    return total
                }
                return reverse ? sums.reversed() : sums
            }
        ]
    })

private let topkOp = Op(
    "topk", "the k largest of each row of the last axis and their columns, best first; ties by column", inputs: ["x"],
    attributes: [.required("k", .int(1))],
    infer: { context throws(GraphError) in
        var shape = try context.float(0)
        let k = context.attributes.int("k")
        guard let width = shape.last, k >= 1, k <= width else {
            throw GraphError(.invalid, "k is \(k), wanted 1 ... \(shape.last ?? 0), the size of the last axis")
        }
        shape[shape.count - 1] = k
        return [ValueType(shape), ValueType(shape, .i32)]
    },
    gradient: { d in
        guard let width = d.shape(d.input(0)).last, let dy = d.outputs[0] else { return [nil] }
        return [try d.emit("scatter_columns", dy, d.node.outputs[1], with: [("width", .int(width))])]
    },
    reference: { context throws(GraphError) in
        let k = context.attributes.int("k")
        let best = rows(context.values(0), width: lastWidth(context)).map { row in
            row.enumerated().sorted { ($1.element, $0.offset) < ($0.element, $1.offset) }.prefix(k)
        }
        return [best.flatMap { $0.map(\.element) }, best.flatMap { $0.map { Double($0.offset) } }]
    })

private let argmaxOp = Op(
    "argmax", "the column of the largest of each row; ties by column", inputs: ["x"],
    infer: { context throws(GraphError) in
        let shape = try context.rows(0)
        guard let width = shape.last, width > 0 else { throw GraphError(.invalid, "the last axis of x is empty") }
        return [ValueType(Array(shape.dropLast()), .i32)]
    },
    reference: { context throws(GraphError) in
        [
            rows(context.values(0), width: lastWidth(context)).map { row in
                Double((row.indices.max { (row[$0], $1) < (row[$1], $0) } ?? row.startIndex) - row.startIndex)
            }
        ]
    })

private let sumSequencesOp = Op(
    "sum_sequences", "sums x [T] by sequence: out[s] = Σ x[t] where sequence[t] = s", inputs: ["x", "sequence"],
    attributes: [.required("count", .int(1))],
    infer: { context throws(GraphError) in
        _ = try context.integers(1, try context.float(0, rank: 1))
        return [ValueType([context.attributes.int("count")])]
    },
    gradient: { d in [try d.emit("gather_sequences", d.dy, d.input(1)), nil] },
    reference: { context throws(GraphError) in
        var out = [Double](repeating: 0, count: context.attributes.int("count"))
        for (t, s) in context.ints(1).enumerated() where out.indices.contains(s) { out[s] += context.values(0)[t] }
        return [out]
    })

private let gatherSequencesOp = Op(
    "gather_sequences", "x [S] spread to tokens: out[t] = x[sequence[t]]; 0 for a negative sequence",
    inputs: ["x", "sequence"],
    infer: { context throws(GraphError) in
        _ = try context.float(0, rank: 1)
        return [ValueType(try context.integers(1, rank: 1))]
    },
    gradient: { d in
        [try d.emit("sum_sequences", d.dy, d.input(1), with: [("count", .int(d.shape(d.input(0))[0]))]), nil]
    },
    reference: { context throws(GraphError) in
        let x = context.values(0)
        return [context.ints(1).map { x.indices.contains($0) ? x[$0] : 0 }]
    })
