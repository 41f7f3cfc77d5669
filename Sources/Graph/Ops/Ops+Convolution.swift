/// Patches of a signal or an image, so that a convolution is a product; and their adjoint.
let convolutionOps: [Op] = [unfoldOp, foldOp]

private let patchRules: [AttributeRule] = [
    .required("kernel", .ints([])), .optional("stride", .ints([])), .optional("padding", .ints([])),
    .optional("dilation", .ints([])),
]

/// The geometry of patches over one or two axes; x is [channels, sizes…].
private struct Patches {
    let channels: Int
    let sizes, kernel, stride, padding, dilation, counts: [Int]

    init(_ shape: [Int], _ attributes: Attributes) throws(GraphError) {
        let axes = shape.count - 1
        func list(_ name: String, _ fallback: Int) throws(GraphError) -> [Int] {
            let given = attributes.ints(name)
            if given.isEmpty { return [Int](repeating: fallback, count: axes) }
            guard given.count == axes, given.allSatisfy({ $0 >= fallback && $0 < 1 << 24 }) else {
                throw GraphError(
                    .invalid,
                    "attribute \"\(name)\" is \(given), wanted \(axes) numbers from \(fallback) up, below 2^24")
            }
            return given
        }
        guard axes == 1 || axes == 2 else {
            throw GraphError(.invalid, "x has shape \(shape), wanted [channels, length] or [channels, height, width]")
        }
        guard shape.allSatisfy({ 0..<1 << 40 ~= $0 }) else {
            throw GraphError(.invalid, "x has shape \(shape), wanted sizes from 0 up, below 2^40")
        }
        channels = shape[0]
        sizes = Array(shape.dropFirst())
        kernel = try list("kernel", 1)
        stride = try list("stride", 1)
        padding = try list("padding", 0)
        dilation = try list("dilation", 1)
        var counts: [Int] = []
        for i in 0..<axes {
            let span = dilation[i] * (kernel[i] - 1) + 1
            guard sizes[i] + 2 * padding[i] >= span else {
                throw GraphError(
                    .invalid, "a kernel that spans \(span) does not fit into \(sizes[i]) with padding \(padding[i])")
            }
            counts.append((sizes[i] + 2 * padding[i] - span) / stride[i] + 1)
        }
        guard let rows = Sizes.product(counts), let width = Sizes.product([channels] + kernel) else {
            throw GraphError(.invalid, "patches \(counts) of kernels \(kernel) over \(channels) channels are too many")
        }
        self.counts = counts
        self.shape = [rows, width]
    }

    /// [patches, channels · kernel].
    let shape: [Int]

    /// For each element of the patches its place in x, or -1 in the padding.
    var positions: [Int] {
        let two = sizes.count == 2
        var out: [Int] = []
        for row in 0..<counts[0] {
            for column in 0..<(two ? counts[1] : 1) {
                for c in 0..<channels {
                    for i in 0..<kernel[0] {
                        for j in 0..<(two ? kernel[1] : 1) {
                            let y = row * stride[0] + i * dilation[0] - padding[0]
                            let x = two ? column * stride[1] + j * dilation[1] - padding[1] : 0
                            let inside = y >= 0 && y < sizes[0] && x >= 0 && x < (two ? sizes[1] : 1)
                            out.append(inside ? (c * sizes[0] + y) * (two ? sizes[1] : 1) + x : -1)
                        }
                    }
                }
            }
        }
        return out
    }
}

private let unfoldOp = Op(
    "unfold", "patches of x [C, L] or [C, H, W] as rows [patches, C · kernel], zero in the padding", inputs: ["x"],
    attributes: patchRules,
    infer: { context throws(GraphError) in
        [ValueType(try Patches(try context.float(0), context.attributes).shape)]
    },
    gradient: { d in
        [try d.emit("fold", d.dy, with: [("shape", .ints(d.shape(d.input(0))))] + d.attributes.pairs)]
    },
    reference: { context throws(GraphError) in
        let x = context.values(0)
        return [try Patches(context.shape(0), context.attributes).positions.map { $0 < 0 ? 0 : x[$0] }]
    })

private let foldOp = Op(
    "fold", "the adjoint of unfold: each element of x is the sum of its copies in the patches", inputs: ["patches"],
    attributes: [.required("shape", .ints([]))] + patchRules,
    infer: { context throws(GraphError) in
        let shape = context.attributes.ints("shape")
        try context.expect(0, try Patches(shape, context.attributes).shape)
        return [ValueType(shape)]
    },
    gradient: { d in [try d.emit("unfold", d.dy, with: d.attributes.pairs.filter { $0.0 != "shape" })] },
    reference: { context throws(GraphError) in
        var out = context.outputs[0].zeros
        let positions = try Patches(context.outputs[0].shape, context.attributes).positions
        for (value, at) in zip(context.values(0), positions) where at >= 0 { out[at] += value }
        return [out]
    })
