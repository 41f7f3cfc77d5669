/// Elementwise arithmetic with NumPy's broadcasting.
extension Tensor {
    private func unary(_ op: String) -> Tensor { builder.emit1(op, [self]) }
    private static func binary(_ op: String, _ left: Tensor, _ right: Tensor) -> Tensor {
        left.builder.emit1(op, [left, right])
    }

    public static func + (left: Tensor, right: Tensor) -> Tensor { binary("add", left, right) }
    public static func - (left: Tensor, right: Tensor) -> Tensor { binary("sub", left, right) }
    public static func * (left: Tensor, right: Tensor) -> Tensor { binary("mul", left, right) }
    public static func / (left: Tensor, right: Tensor) -> Tensor { binary("div", left, right) }
    public static prefix func - (x: Tensor) -> Tensor { x.unary("neg") }

    public static func + (left: Tensor, right: Double) -> Tensor {
        left.builder.emit1("add_scalar", [left], [("value", .float(right))])
    }
    public static func + (left: Double, right: Tensor) -> Tensor { right + left }
    public static func - (left: Tensor, right: Double) -> Tensor { left + -right }
    public static func - (left: Double, right: Tensor) -> Tensor { -right + left }
    public static func * (left: Tensor, right: Double) -> Tensor {
        left.builder.emit1("scale", [left], [("factor", .float(right))])
    }
    public static func * (left: Double, right: Tensor) -> Tensor { right * left }
    public static func / (left: Tensor, right: Double) -> Tensor { left * (1 / right) }

    /// The same elements in another shape; one size may be -1.
    public func reshaped(_ shape: Int...) -> Tensor { reshaped(shape) }
    public func reshaped(_ shape: [Int]) -> Tensor { builder.emit1("reshape", [self], [("shape", .ints(shape))]) }
    public func transposed(_ permutation: Int...) -> Tensor {
        builder.emit1("transpose", [self], [("permutation", .ints(permutation))])
    }
    /// Elements start ..< end of `axis`.
    public func slice(_ axis: Int, _ start: Int, _ end: Int) -> Tensor {
        builder.emit1("slice", [self], [("axis", .int(axis)), ("start", .int(start)), ("end", .int(end))])
    }
    /// Cuts the last axis into parts of the given widths.
    public func split(_ widths: [Int]) -> [Tensor] {
        let axis = shape.count - 1
        var start = 0
        return widths.map { width in
            defer { start += width }
            return slice(axis, start, start + width)
        }
    }
    public func broadcast(_ shape: [Int]) -> Tensor {
        builder.emit1("broadcast", [self], [("shape", .ints(shape))])
    }
    /// Sums over axes; all of them when none is named.
    public func sum(_ axes: Int..., keepDimensions: Bool = false) -> Tensor { reduce("sum", axes, keepDimensions) }
    public func mean(_ axes: Int..., keepDimensions: Bool = false) -> Tensor { reduce("mean", axes, keepDimensions) }
    public func max(_ axes: Int..., keepDimensions: Bool = false) -> Tensor {
        reduce("reduce_max", axes, keepDimensions)
    }
    private func reduce(_ op: String, _ axes: [Int], _ keep: Bool) -> Tensor {
        builder.emit1(op, [self], [("axes", .ints(axes)), ("keep_dimensions", .bool(keep))])
    }
}

/// Functions of the literature, by their names there.
extension GraphBuilder {
    public func exp(_ x: Tensor) -> Tensor { emit1("exp", [x]) }
    public func log(_ x: Tensor) -> Tensor { emit1("log", [x]) }
    public func sqrt(_ x: Tensor) -> Tensor { emit1("sqrt", [x]) }
    public func rsqrt(_ x: Tensor) -> Tensor { emit1("rsqrt", [x]) }
    public func square(_ x: Tensor) -> Tensor { emit1("square", [x]) }
    public func abs(_ x: Tensor) -> Tensor { emit1("abs", [x]) }
    public func sign(_ x: Tensor) -> Tensor { emit1("sign", [x]) }
    public func tanh(_ x: Tensor) -> Tensor { emit1("tanh", [x]) }
    public func sigmoid(_ x: Tensor) -> Tensor { emit1("sigmoid", [x]) }
    public func logSigmoid(_ x: Tensor) -> Tensor { emit1("log_sigmoid", [x]) }
    public func softplus(_ x: Tensor) -> Tensor { emit1("softplus", [x]) }
    public func silu(_ x: Tensor) -> Tensor { emit1("silu", [x]) }
    /// x Φ(x), by the error function.
    public func gelu(_ x: Tensor) -> Tensor { emit1("gelu", [x]) }
    /// The tanh approximation of gelu.
    public func geluTanh(_ x: Tensor) -> Tensor { emit1("gelu_tanh", [x]) }
    /// x σ(1.702 x).
    public func quickGelu(_ x: Tensor) -> Tensor { emit1("quick_gelu", [x]) }
    public func relu(_ x: Tensor) -> Tensor { emit1("relu", [x]) }
    public func reciprocal(_ x: Tensor) -> Tensor { emit1("reciprocal", [x]) }
    public func pow(_ x: Tensor, _ y: Tensor) -> Tensor { emit1("pow", [x, y]) }
    public func min(_ x: Tensor, _ y: Tensor) -> Tensor { emit1("min", [x, y]) }
    public func max(_ x: Tensor, _ y: Tensor) -> Tensor { emit1("max", [x, y]) }
    /// 1 where x < y, else 0.
    public func less(_ x: Tensor, _ y: Tensor) -> Tensor { emit1("less", [x, y]) }
    /// `then` where the condition is not 0, else `otherwise`.
    public func select(_ condition: Tensor, _ then: Tensor, _ otherwise: Tensor) -> Tensor {
        emit1("where", [condition, then, otherwise])
    }
    public func mean(_ x: Tensor) -> Tensor { x.mean() }
    public func concat(_ parts: [Tensor], axis: Int) -> Tensor { emit1("concat", parts, [("axis", .int(axis))]) }
    public func softmax(_ x: Tensor) -> Tensor { emit1("softmax", [x]) }
    public func logSoftmax(_ x: Tensor) -> Tensor { emit1("log_softmax", [x]) }
    /// The gradient stops here.
    public func detach(_ x: Tensor) -> Tensor { emit1("detach", [x]) }

    /// a b, over the last two axes; leading axes are batches.
    public func matmul(
        _ a: Tensor, _ b: Tensor, transposeA: Bool = false, transposeB: Bool = false
    ) -> Tensor {
        emit1("matmul", [a, b], [("transpose_a", .bool(transposeA)), ("transpose_b", .bool(transposeB))])
    }

    /// The largest `count` of each row and their columns, best first.
    public func topK(_ x: Tensor, _ count: Int) -> (values: Tensor, indices: Tensor) {
        let out = emit("topk", [x], [("k", .int(count))], outputs: 2)
        return (out[0], out[1])
    }

    /// Rows of `table` [n, width] by index i32 [T].
    public func gatherRows(_ table: Tensor, _ indices: Tensor) -> Tensor { emit1("embedding", [table, indices]) }

    /// Zeroes elements with probability p and scales the rest by 1 / (1 - p), from the host's seeded stream.
    public func dropout(_ x: Tensor, probability: Double) -> Tensor {
        probability == 0 ? x : emit1("dropout", [x], [("p", .float(probability))])
    }
}
