/// Matrix products: over weights of any layout, and over plain values.
let productOps: [Op] = [
    linearOp, linearBackwardInputOp, lowRankLinearOp, lowRankLinearBackwardInputOp, matmulOp, expertLinearOp,
    expertLinearBackwardInputOp, expertOuterOp,
]

/// What a device may round the factors to: "auto", "float", "f32", "bf16" or "int8".
let activationRule: [AttributeRule] = [.optional("activation", .string("auto"))]

private let linearOp = Op(
    "linear", "y = x wᵀ + b", inputs: ["x [T, K]", "weight [N, K]", "bias [N]"], optional: 1,
    attributes: activationRule,
    infer: { context throws(GraphError) in
        let x = try context.float(0, rank: 2)
        let w = try context.float(1, rank: 2)
        try context.expect(1, [w[0], x[1]])
        if context.has(2) { try context.expect(2, [w[0]]) }
        return [ValueType([x[0], w[0]])]
    },
    gradient: { d in
        [
            d.wants(0) ? try d.emit("linear_backward_input", d.dy, d.input(1), with: d.attributes.pairs) : nil,
            d.wants(1) ? try d.emit("matmul", d.dy, d.input(0), with: [("transpose_a", .bool(true))]) : nil,
            d.wants(2) ? try d.emit("sum", d.dy, with: [("axes", .ints([0]))]) : nil,
        ]
    },
    reference: { context throws(GraphError) in
        let (t, k) = (context.shape(0)[0], context.shape(0)[1])
        let n = context.shape(1)[0]
        let (x, w) = (context.values(0), context.values(1))
        let bias = context.has(2) ? context.values(2) : [Double](repeating: 0, count: n)
        return [product(t, n, k, { x[$0 * k + $1] }, { w[$1 * k + $0] }, { bias[$0] })]
    })

private let linearBackwardInputOp = Op(
    "linear_backward_input", "dx = dy w", inputs: ["dy [T, N]", "weight [N, K]"], attributes: activationRule,
    infer: { context throws(GraphError) in
        let dy = try context.float(0, rank: 2)
        let w = try context.float(1, rank: 2)
        try context.expect(1, [dy[1], w[1]])
        return [ValueType([dy[0], w[1]])]
    },
    gradient: { d in
        [
            d.wants(0) ? try d.emit("linear", d.dy, d.input(1), with: d.attributes.pairs) : nil,
            d.wants(1) ? try d.emit("matmul", d.input(0), d.dy, with: [("transpose_a", .bool(true))]) : nil,
        ]
    },
    reference: { context throws(GraphError) in
        let (t, n) = (context.shape(0)[0], context.shape(0)[1])
        let k = context.shape(1)[1]
        let (dy, w) = (context.values(0), context.values(1))
        return [product(t, k, n, { dy[$0 * n + $1] }, { w[$0 * k + $1] }, { _ in 0 })]
    })

// MARK: With a product of low rank beside it, as adapters have it

private let lowRankLinearOp = Op(
    "low_rank_linear", "y = x wᵀ + low upᵀ + b, the factors of both products rounded alike",
    inputs: ["x [T, K]", "weight [N, K]", "low [T, R]", "up [N, R]", "bias [N]"], optional: 1,
    attributes: activationRule,
    infer: { context throws(GraphError) in
        let x = try context.float(0, rank: 2)
        let w = try context.float(1, rank: 2)
        let low = try context.float(2, rank: 2)
        try context.expect(1, [w[0], x[1]])
        try context.expect(2, [x[0], low[1]])
        try context.expect(3, [w[0], low[1]])
        if context.has(4) { try context.expect(4, [w[0]]) }
        return [ValueType([x[0], w[0]])]
    },
    gradient: { d in
        [
            d.wants(0) ? try d.emit("linear_backward_input", d.dy, d.input(1), with: d.attributes.pairs) : nil,
            d.wants(1) ? try d.emit("matmul", d.dy, d.input(0), with: [("transpose_a", .bool(true))]) : nil,
            d.wants(2) ? try d.emit("matmul", d.dy, d.input(3)) : nil,
            d.wants(3) ? try d.emit("matmul", d.dy, d.input(2), with: [("transpose_a", .bool(true))]) : nil,
            d.wants(4) ? try d.emit("sum", d.dy, with: [("axes", .ints([0]))]) : nil,
        ]
    },
    reference: { context throws(GraphError) in
        let (t, k, n, r) = (context.shape(0)[0], context.shape(0)[1], context.shape(1)[0], context.shape(2)[1])
        let (x, w, low, up) = (context.values(0), context.values(1), context.values(2), context.values(3))
        let bias = context.has(4) ? context.values(4) : [Double](repeating: 0, count: n)
        let first = product(t, n, k, { x[$0 * k + $1] }, { w[$1 * k + $0] }, { bias[$0] })
        return [zip(first, product(t, n, r, { low[$0 * r + $1] }, { up[$1 * r + $0] }, { _ in 0 })).map { $0 + $1 }]
    })

private let lowRankLinearBackwardInputOp = Op(
    "low_rank_linear_backward_input", "dx = dy w + low down, the factors of both products rounded alike",
    inputs: ["dy [T, N]", "weight [N, K]", "low [T, R]", "down [R, K]"], attributes: activationRule,
    infer: { context throws(GraphError) in
        let dy = try context.float(0, rank: 2)
        let w = try context.float(1, rank: 2)
        let low = try context.float(2, rank: 2)
        try context.expect(1, [dy[1], w[1]])
        try context.expect(2, [dy[0], low[1]])
        try context.expect(3, [low[1], w[1]])
        return [ValueType([dy[0], w[1]])]
    },
    gradient: { d in
        [
            d.wants(0) ? try d.emit("linear", d.dy, d.input(1), with: d.attributes.pairs) : nil,
            d.wants(1) ? try d.emit("matmul", d.input(0), d.dy, with: [("transpose_a", .bool(true))]) : nil,
            d.wants(2) ? try d.emit("matmul", d.dy, d.input(3), with: [("transpose_b", .bool(true))]) : nil,
            d.wants(3) ? try d.emit("matmul", d.input(2), d.dy, with: [("transpose_a", .bool(true))]) : nil,
        ]
    },
    reference: { context throws(GraphError) in
        let (t, n, k, r) = (context.shape(0)[0], context.shape(0)[1], context.shape(1)[1], context.shape(2)[1])
        let (dy, w, low, down) = (context.values(0), context.values(1), context.values(2), context.values(3))
        let first = product(t, k, n, { dy[$0 * n + $1] }, { w[$0 * k + $1] }, { _ in 0 })
        return [zip(first, product(t, k, r, { low[$0 * r + $1] }, { down[$0 * k + $1] }, { _ in 0 })).map { $0 + $1 }]
    })

/// out[m, n] = Σ a(m, i) b(i, n) + bias(n).
private func product(
    _ m: Int, _ n: Int, _ k: Int, _ a: (Int, Int) -> Double, _ b: (Int, Int) -> Double, _ bias: (Int) -> Double
) -> [Double] {
    var out: [Double] = []
    out.reserveCapacity(m * n)
    for row in 0..<m {
        for column in 0..<n {
            var sum = bias(column)
            for i in 0..<k { sum += a(row, i) * b(i, column) }
            out.append(sum)
        }
    }
    return out
}

private let matmulOp = Op(
    "matmul", "a b over the last two axes; equal leading axes are batches", inputs: ["a [.., M, K]", "b [.., K, N]"],
    attributes: activationRule + [.optional("transpose_a", .bool(false)), .optional("transpose_b", .bool(false))],
    infer: { context throws(GraphError) in
        let (a, b) = (try context.float(0), try context.float(1))
        guard a.count >= 2, b.count == a.count, a.dropLast(2) == b.dropLast(2) else {
            throw GraphError(.invalid, "matmul wants two values of equal rank and batches, found \(a) and \(b)")
        }
        let (m, k) = matmulSides(a, context.attributes.bool("transpose_a"))
        let (k2, n) = matmulSides(b, context.attributes.bool("transpose_b"))
        guard k == k2 else { throw GraphError(.invalid, "inner sizes \(k) and \(k2) of \(a) and \(b) differ") }
        return [ValueType(Array(a.dropLast(2)) + [m, n])]
    },
    gradient: { d in
        let (ta, tb) = (d.attributes.bool("transpose_a"), d.attributes.bool("transpose_b"))
        let (a, b, dy) = (d.input(0), d.input(1), d.dy)
        func multiply(_ left: Value, _ right: Value, _ tl: Bool, _ tr: Bool) throws -> Value {
            try d.emit("matmul", left, right, with: [("transpose_a", .bool(tl)), ("transpose_b", .bool(tr))])
        }
        // With op(a) op(b) = y: d op(a) = dy op(b)ᵀ and d op(b) = op(a)ᵀ dy, transposed back where an input was.
        return [
            d.wants(0) ? (ta ? try multiply(b, dy, tb, true) : try multiply(dy, b, false, !tb)) : nil,
            d.wants(1) ? (tb ? try multiply(dy, a, true, ta) : try multiply(a, dy, !ta, false)) : nil,
        ]
    },
    reference: { context throws(GraphError) in
        let (ta, tb) = (context.attributes.bool("transpose_a"), context.attributes.bool("transpose_b"))
        let (m, k) = matmulSides(context.shape(0), ta)
        let n = matmulSides(context.shape(1), tb).1
        let (a, b) = (context.values(0), context.values(1))
        let batches = context.shape(0).dropLast(2).reduce(1, *)
        return [
            (0..<batches).flatMap { batch in
                product(
                    m, n, k, { a[batch * m * k + (ta ? $1 * m + $0 : $0 * k + $1)] },
                    { b[batch * k * n + (tb ? $1 * k + $0 : $0 * n + $1)] }, { _ in 0 })
            }
        ]
    })

private func matmulSides(_ shape: [Int], _ transposed: Bool) -> (Int, Int) {
    let (rows, columns) = (shape[shape.count - 2], shape[shape.count - 1])
    return transposed ? (columns, rows) : (rows, columns)
}

// MARK: Experts

private let expertLinearOp = Op(
    "expert_linear", "y[r] = w[expert[r]] x[r]: each row through an expert of its own; 0 without one",
    inputs: ["x [R, K]", "expert i32 [R]", "weight [E, N, K]"],
    infer: { context throws(GraphError) in
        let x = try context.float(0, rank: 2)
        _ = try context.integers(1, [x[0]])
        let w = try context.float(2, rank: 3)
        try context.expect(2, [w[0], w[1], x[1]])
        return [ValueType([x[0], w[1]])]
    },
    gradient: { d in
        [
            d.wants(0) ? try d.emit("expert_linear_backward_input", d.dy, d.input(1), d.input(2)) : nil, nil,
            d.wants(2)
                ? try d.emit(
                    "expert_outer", d.dy, d.input(0), d.input(1), with: [("experts", .int(d.shape(d.input(2))[0]))])
                : nil,
        ]
    },
    reference: { context throws(GraphError) in
        let (k, n) = (context.shape(0)[1], context.shape(2)[1])
        let (x, w) = (context.values(0), context.values(2))
        return [
            context.ints(1).enumerated().flatMap { r, e in
                guard (0..<context.shape(2)[0]).contains(e) else { return [Double](repeating: 0, count: n) }
                return (0..<n).map { column in (0..<k).reduce(0) { $0 + x[r * k + $1] * w[(e * n + column) * k + $1] } }
            }
        ]
    })

private let expertLinearBackwardInputOp = Op(
    "expert_linear_backward_input", "dx[r] = dy[r] w[expert[r]]",
    inputs: ["dy [R, N]", "expert i32 [R]", "weight [E, N, K]"],
    infer: { context throws(GraphError) in
        let dy = try context.float(0, rank: 2)
        _ = try context.integers(1, [dy[0]])
        let w = try context.float(2, rank: 3)
        try context.expect(2, [w[0], dy[1], w[2]])
        return [ValueType([dy[0], w[2]])]
    },
    reference: { context throws(GraphError) in
        let (n, k) = (context.shape(0)[1], context.shape(2)[2])
        let (dy, w) = (context.values(0), context.values(2))
        return [
            context.ints(1).enumerated().flatMap { r, e in
                guard (0..<context.shape(2)[0]).contains(e) else { return [Double](repeating: 0, count: k) }
                return (0..<k).map { column in (0..<n).reduce(0) { $0 + dy[r * n + $1] * w[(e * n + $1) * k + column] }
                }
            }
        ]
    })

private let expertOuterOp = Op(
    "expert_outer", "dw[e] = Σ over rows of expert e of dy[r] x[r]ᵀ",
    inputs: ["dy [R, N]", "x [R, K]", "expert i32 [R]"],
    attributes: [.required("experts", .int(1))],
    infer: { context throws(GraphError) in
        let (dy, x) = (try context.float(0, rank: 2), try context.float(1, rank: 2))
        try context.expect(1, [dy[0], x[1]])
        _ = try context.integers(2, [dy[0]])
        return [ValueType([context.attributes.int("experts"), dy[1], x[1]])]
    },
    reference: { context throws(GraphError) in
        let (n, k) = (context.shape(0)[1], context.shape(1)[1])
        let (dy, x) = (context.values(0), context.values(1))
        var out = context.outputs[0].zeros
        for (r, e) in context.ints(2).enumerated() where e >= 0 && e < context.attributes.int("experts") {
            for i in 0..<n { for j in 0..<k { out[(e * n + i) * k + j] += dy[r * n + i] * x[r * k + j] } }
        }
        return [out]
    })
