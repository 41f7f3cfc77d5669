import Glibc

/// Functions of one element, of two (broadcast), and the choice between two.
let elementwiseOps: [Op] = unaryOps + binaryOps + scalarOps + [whereOp, castOp, detachOp]

private func unary(
    _ name: String, _ summary: String, _ function: @escaping @Sendable (Double) -> Double,
    gradient: @escaping @Sendable (Op.Differentiation, Value) throws -> Value?
) -> Op {
    Op(
        name, summary, inputs: ["x"], isElementwise: true,
        infer: { context throws(GraphError) in [ValueType(try context.float(0))] },
        gradient: { [try gradient($0, $0.input(0))] },
        reference: { context throws(GraphError) in [context.values(0).map(function)] })
}

private func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
/// Φ(x), the normal distribution's.
private func phi(_ x: Double) -> Double { 0.5 * erfc(-x / 2.0.squareRoot()) }
private let geluTanhFactor = (2 / Double.pi).squareRoot()

private let unaryOps: [Op] = [
    unary("neg", "-x", { -$0 }) { d, _ in try d.emit("neg", d.dy) },
    unary("exp", "eˣ", { exp($0) }) { d, _ in try d.emit("mul", d.dy, d.y) },
    unary("log", "natural logarithm", { log($0) }) { d, x in try d.emit("div", d.dy, x) },
    unary("sqrt", "square root", { sqrt($0) }) { d, _ in
        try d.emit("div", d.emit("scale", d.dy, with: [("factor", .float(0.5))]), d.y)
    },
    unary("rsqrt", "1 / √x", { 1 / sqrt($0) }) { d, x in
        try d.emit("scale", d.emit("mul", d.dy, d.emit("div", d.y, x)), with: [("factor", .float(-0.5))])
    },
    unary("reciprocal", "1 / x", { 1 / $0 }) { d, _ in
        try d.emit("neg", d.emit("mul", d.dy, d.emit("square", d.y)))
    },
    unary("abs", "|x|", { abs($0) }) { d, x in try d.emit("mul", d.dy, d.emit("sign", x)) },
    unary("sign", "-1, 0 or 1", { $0 > 0 ? 1 : $0 < 0 ? -1 : 0 }) { _, _ in nil },
    unary("floor", "the largest whole number not above x", { floor($0) }) { _, _ in nil },
    unary("square", "x²", { $0 * $0 }) { d, x in
        try d.emit("scale", d.emit("mul", d.dy, x), with: [("factor", .float(2))])
    },
    unary("tanh", "hyperbolic tangent", { tanh($0) }) { d, _ in
        try d.emit(
            "mul", d.dy, d.emit("add_scalar", d.emit("neg", d.emit("square", d.y)), with: [("value", .float(1))]))
    },
    unary("sigmoid", "σ(x) = 1 / (1 + e⁻ˣ)", sigmoid) { d, _ in
        try d.emit("mul", d.dy, d.emit("sub", d.y, d.emit("square", d.y)))
    },
    unary("log_sigmoid", "log σ(x)", { $0 < 0 ? $0 - log1p(exp($0)) : -log1p(exp(-$0)) }) { d, x in
        try d.emit("mul", d.dy, d.emit("sigmoid", d.emit("neg", x)))
    },
    unary("softplus", "log(1 + eˣ)", { $0 > 0 ? $0 + log1p(exp(-$0)) : log1p(exp($0)) }) { d, x in
        try d.emit("mul", d.dy, d.emit("sigmoid", x))
    },
    unary("silu", "x σ(x)", { $0 * sigmoid($0) }) { d, x in try d.emit("silu_gradient", d.dy, x) },
    unary("gelu", "x Φ(x)", { $0 * phi($0) }) { d, x in try d.emit("gelu_gradient", d.dy, x) },
    unary(
        "gelu_tanh", "x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))",
        { 0.5 * $0 * (1 + tanh(geluTanhFactor * ($0 + 0.044715 * $0 * $0 * $0))) }
    ) { d, x in try d.emit("gelu_tanh_gradient", d.dy, x) },
    unary("quick_gelu", "x σ(1.702 x)", { $0 * sigmoid(1.702 * $0) }) { d, x in
        // y = x s, s = σ(1.702 x): y' = s + 1.702 y (1 - s).
        let s = try d.emit("sigmoid", d.emit("scale", x, with: [("factor", .float(1.702))]))
        let slope = try d.emit("sub", d.y, d.emit("mul", d.y, s))
        return try d.emit("mul", d.dy, d.emit("add", s, d.emit("scale", slope, with: [("factor", .float(1.702))])))
    },
    unary("relu", "max(x, 0)", { max($0, 0) }) { d, x in
        try d.emit("mul", d.dy, d.emit("sign", d.y))
    },
    unary("sin", "sine", { sin($0) }) { d, x in try d.emit("mul", d.dy, d.emit("cos", x)) },
    unary("cos", "cosine", { cos($0) }) { d, x in try d.emit("neg", d.emit("mul", d.dy, d.emit("sin", x))) },
    unary("erf", "the error function", { erf($0) }) { d, x in
        let bell = try d.emit("exp", d.emit("neg", d.emit("square", x)))
        return try d.emit("scale", d.emit("mul", d.dy, bell), with: [("factor", .float(2 / Double.pi.squareRoot()))])
    },
]

private func binary(
    _ name: String, _ summary: String, _ function: @escaping @Sendable (Double, Double) -> Double,
    gradient: (@Sendable (Op.Differentiation, Value, Value) throws -> [Value?])?
) -> Op {
    var differentiate: (@Sendable (Op.Differentiation) throws -> [Value?])?
    if let gradient {
        differentiate = { d in
            var results: [Value?] = []
            for (i, value) in try gradient(d, d.input(0), d.input(1)).enumerated() {
                guard let value, d.wants(i) else {
                    results.append(nil)
                    continue
                }
                results.append(try d.unbroadcast(value, to: d.shape(d.input(i))))
            }
            return results
        }
    }
    return Op(
        name, summary, inputs: ["a", "b"], isElementwise: true,
        infer: { context throws(GraphError) in
            let (a, b) = (try context.float(0), try context.float(1))
            guard let shape = Broadcasting.shape(a, b) else {
                throw GraphError(.invalid, "shapes \(a) and \(b) do not broadcast")
            }
            return [ValueType(shape)]
        },
        gradient: differentiate,
        reference: { context throws(GraphError) in
            let out = context.outputs[0].shape
            let (a, b) = (context.values(0), context.values(1))
            let at = Broadcasting.positions(context.shape(0), out)
            let bt = Broadcasting.positions(context.shape(1), out)
            return [at.indices.map { function(a[at[$0]], b[bt[$0]]) }]
        })
}

private let binaryOps: [Op] = [
    binary("add", "a + b", { $0 + $1 }) { (d: Op.Differentiation, _: Value, _: Value) -> [Value?] in [d.dy, d.dy] },
    binary("sub", "a - b", { $0 - $1 }) { (d: Op.Differentiation, _: Value, _: Value) -> [Value?] in
        [d.dy, d.wants(1) ? try d.emit("neg", d.dy) : nil]
    },
    binary("mul", "a b", { $0 * $1 }) { (d: Op.Differentiation, a: Value, b: Value) -> [Value?] in
        return [d.wants(0) ? try d.emit("mul", d.dy, b) : nil, d.wants(1) ? try d.emit("mul", d.dy, a) : nil]
    },
    binary("div", "a / b", { $0 / $1 }) { (d: Op.Differentiation, a: Value, b: Value) -> [Value?] in
        let da = try d.emit("div", d.dy, b)
        return [da, d.wants(1) ? try d.emit("neg", d.emit("mul", da, d.y)) : nil]
    },
    binary("pow", "aᵇ", { pow($0, $1) }) { (d: Op.Differentiation, a: Value, b: Value) -> [Value?] in
        let one = [("value", AttributeValue.float(-1))]
        let da = try d.emit("mul", d.dy, d.emit("mul", b, d.emit("pow", a, d.emit("add_scalar", b, with: one))))
        return [da, d.wants(1) ? try d.emit("mul", d.dy, d.emit("mul", d.y, d.emit("log", a))) : nil]
    },
    binary("min", "the smaller", { min($0, $1) }) { (d: Op.Differentiation, a: Value, b: Value) -> [Value?] in
        let zero = try d.emit("scale", d.dy, with: [("factor", .float(0))])
        let first = try d.emit("less", b, a)
        return [try d.emit("where", first, zero, d.dy), try d.emit("where", first, d.dy, zero)]
    },
    binary("max", "the larger", { max($0, $1) }) { (d: Op.Differentiation, a: Value, b: Value) -> [Value?] in
        let zero = try d.emit("scale", d.dy, with: [("factor", .float(0))])
        let second = try d.emit("less", a, b)
        return [try d.emit("where", second, zero, d.dy), try d.emit("where", second, d.dy, zero)]
    },
    binary("less", "1 where a < b, else 0", { $0 < $1 ? 1 : 0 }, gradient: nil),
    binary("equal", "1 where a = b, else 0", { $0 == $1 ? 1 : 0 }, gradient: nil),
    binary(
        "silu_gradient", "dy · d silu(x)/dx",
        { (dy: Double, x: Double) -> Double in
            let s = sigmoid(x)
            return dy * (s + x * s * (1 - s))
        }, gradient: nil),
    binary(
        "gelu_gradient", "dy · d gelu(x)/dx",
        { (dy: Double, x: Double) -> Double in
            dy * (phi(x) + x * exp(-x * x / 2) / (2 * Double.pi).squareRoot())
        }, gradient: nil),
    binary(
        "gelu_tanh_gradient", "dy · d gelu_tanh(x)/dx",
        { (dy: Double, x: Double) -> Double in
            let t = tanh(geluTanhFactor * (x + 0.044715 * x * x * x))
            return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * geluTanhFactor * (1 + 3 * 0.044715 * x * x))
        }, gradient: nil),
]

private func scalar(
    _ name: String, _ summary: String, attribute: String, _ function: @escaping @Sendable (Double, Double) -> Double,
    gradient: @escaping @Sendable (Op.Differentiation) throws -> Value
) -> Op {
    Op(
        name, summary, inputs: ["x"], attributes: [.required(attribute, .float(0))], isElementwise: true,
        infer: { context throws(GraphError) in [ValueType(try context.float(0))] },
        gradient: { [try gradient($0)] },
        reference: { context throws(GraphError) in
            let factor = context.attributes.float(attribute)
            return [context.values(0).map { function($0, factor) }]
        })
}

private let scalarOps: [Op] = [
    scalar("scale", "x · factor", attribute: "factor", { $0 * $1 }) { d in
        try d.emit("scale", d.dy, with: d.attributes.pairs)
    },
    scalar("add_scalar", "x + value", attribute: "value", { $0 + $1 }) { d in d.dy },
]

private let whereOp = Op(
    "where", "a where the condition is not 0, else b", inputs: ["condition", "a", "b"], isElementwise: true,
    infer: { context throws(GraphError) in
        let (c, a, b) = (try context.float(0), try context.float(1), try context.float(2))
        guard let ab = Broadcasting.shape(a, b), let shape = Broadcasting.shape(c, ab) else {
            throw GraphError(.invalid, "shapes \(c), \(a) and \(b) do not broadcast")
        }
        return [ValueType(shape)]
    },
    gradient: { d in
        let zero = try d.emit("scale", d.dy, with: [("factor", .float(0))])
        let c = d.input(0)
        return [
            nil,
            d.wants(1) ? try d.unbroadcast(d.emit("where", c, d.dy, zero), to: d.shape(d.input(1))) : nil,
            d.wants(2) ? try d.unbroadcast(d.emit("where", c, zero, d.dy), to: d.shape(d.input(2))) : nil,
        ]
    },
    reference: { context throws(GraphError) in
        let out = context.outputs[0].shape
        let at = (0..<3).map { Broadcasting.positions(context.shape($0), out) }
        let (c, a, b) = (context.values(0), context.values(1), context.values(2))
        return [at[0].indices.map { c[at[0][$0]] != 0 ? a[at[1][$0]] : b[at[2][$0]] }]
    })

private let castOp = Op(
    "cast", "the same numbers in f32", inputs: ["x"], isElementwise: true,
    infer: { context throws(GraphError) in [ValueType(try context.shape(0))] },
    gradient: { [$0.dy] },
    reference: { context throws(GraphError) in [context.values(0)] })

private let detachOp = Op(
    "detach", "x, without a gradient", inputs: ["x"], isElementwise: true,
    infer: { context throws(GraphError) in [ValueType(try context.float(0))] },
    reference: { context throws(GraphError) in [context.values(0)] })
