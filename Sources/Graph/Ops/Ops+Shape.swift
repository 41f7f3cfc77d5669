/// Ops that move elements and compute nothing.
let shapeOps: [Op] = [reshapeOp, transposeOp, sliceOp, sliceGradientOp, concatOp, broadcastOp]

private let reshapeOp = Op(
    "reshape", "the same elements in another shape; one size may be -1", inputs: ["x"],
    attributes: [.required("shape", .ints([]))],
    infer: { context throws(GraphError) in
        let type = try context.type(0)
        var shape = context.attributes.ints("shape")
        let unknown = shape.indices.filter { shape[$0] == -1 }
        let known = Sizes.product(shape.filter { $0 != -1 }) ?? 0
        if unknown.count == 1, known > 0, type.count % known == 0 { shape[unknown[0]] = type.count / known }
        guard shape.allSatisfy({ $0 >= 0 }), Sizes.product(shape) == type.count else {
            throw GraphError(.invalid, "\(type) has \(type.count) elements, which do not fill shape \(shape)")
        }
        return [ValueType(shape, type.element)]
    },
    gradient: { d in [try d.emit("reshape", d.dy, with: [("shape", .ints(d.shape(d.input(0))))])] },
    reference: { context throws(GraphError) in [context.values(0)] })

private let transposeOp = Op(
    "transpose", "axes in another order: axis i of the result is axis permutation[i] of x", inputs: ["x"],
    attributes: [.required("permutation", .ints([]))],
    infer: { context throws(GraphError) in
        let type = try context.type(0)
        let order = context.attributes.ints("permutation")
        guard order.sorted() == Array(type.shape.indices) else {
            throw GraphError(.invalid, "permutation \(order) does not order the axes of \(type)")
        }
        return [ValueType(order.map { type.shape[$0] }, type.element)]
    },
    gradient: { d in
        let order = d.attributes.ints("permutation")
        var inverse = order
        for (i, axis) in order.enumerated() { inverse[axis] = i }
        return [try d.emit("transpose", d.dy, with: [("permutation", .ints(inverse))])]
    },
    reference: { context throws(GraphError) in
        let strides = Broadcasting.strides(context.shape(0))
        let x = context.values(0)
        let order = context.attributes.ints("permutation")
        return [Broadcasting.offsets(context.outputs[0].shape, order.map { strides[$0] }).map { x[$0] }]
    })

private let sliceRules: [AttributeRule] = [
    .required("axis", .int(0)), .required("start", .int(0)), .required("end", .int(0)),
]

/// Positions in a value of shape `full` of the elements start ..< end of `axis`.
private func slicePositions(_ full: [Int], axis: Int, start: Int, end: Int) -> [Int] {
    let strides = Broadcasting.strides(full)
    var part = full
    part[axis] = end - start
    return Broadcasting.offsets(part, strides).map { $0 + start * strides[axis] }
}

private let sliceOp = Op(
    "slice", "elements start ..< end of an axis", inputs: ["x"], attributes: sliceRules,
    infer: { context throws(GraphError) in
        let type = try context.type(0)
        let axis = try context.axis("axis", rank: type.shape.count)
        let (start, end) = (context.attributes.int("start"), context.attributes.int("end"))
        guard !type.shape.isEmpty, start >= 0, start <= end, end <= type.shape[axis] else {
            throw GraphError(.invalid, "elements \(start) ..< \(end) do not lie in axis \(axis) of \(type)")
        }
        var shape = type.shape
        shape[axis] = end - start
        return [ValueType(shape, type.element)]
    },
    gradient: { d in
        let full = d.shape(d.input(0))
        return [try d.emit("slice_gradient", d.dy, with: [("shape", .ints(full))] + d.attributes.pairs)]
    },
    reference: { context throws(GraphError) in
        let full = context.shape(0)
        let x = context.values(0)
        let axis = context.attributes.int("axis")
        let at = slicePositions(
            full, axis: axis < 0 ? axis + full.count : axis, start: context.attributes.int("start"),
            end: context.attributes.int("end"))
        return [at.map { x[$0] }]
    })

private let sliceGradientOp = Op(
    "slice_gradient", "zeros of `shape` with dy at start ..< end of an axis", inputs: ["dy"],
    attributes: [.required("shape", .ints([]))] + sliceRules,
    infer: { context throws(GraphError) in
        let full = context.attributes.ints("shape")
        let axis = try context.axis("axis", rank: full.count)
        let (start, end) = (context.attributes.int("start"), context.attributes.int("end"))
        guard !full.isEmpty, start >= 0, start <= end, end <= full[axis] else {
            throw GraphError(.invalid, "elements \(start) ..< \(end) do not lie in axis \(axis) of shape \(full)")
        }
        var part = full
        part[axis] = end - start
        try context.expect(0, part)
        return [ValueType(full, try context.type(0).element)]
    },
    reference: { context throws(GraphError) in
        let full = context.outputs[0].shape
        var out = context.outputs[0].zeros
        let axis = context.attributes.int("axis")
        let at = slicePositions(
            full, axis: axis < 0 ? axis + full.count : axis, start: context.attributes.int("start"),
            end: context.attributes.int("end"))
        for (i, value) in context.values(0).enumerated() { out[at[i]] = value }
        return [out]
    })

private let concatOp = Op(
    "concat", "values one after the other along an axis", inputs: ["x"], variadic: true,
    attributes: [.required("axis", .int(0))],
    infer: { context throws(GraphError) in
        var type = try context.type(0)
        let axis = try context.axis("axis", rank: type.shape.count)
        for i in context.types.indices.dropFirst() {
            let next = try context.type(i)
            var expected = type.shape
            guard next.shape.count == expected.count, next.element == type.element else {
                throw context.mismatch(i, "a \(type.element.name) value of rank \(type.shape.count)", next)
            }
            expected[axis] = next.shape[axis]
            try context.expect(i, expected)
            type.shape[axis] += next.shape[axis]
            guard type.isCountable else {
                throw GraphError(.invalid, "the result would be \(type), which no memory holds")
            }
        }
        return [type]
    },
    gradient: { d in
        let rank = d.shape(d.y).count
        let given = d.attributes.int("axis")
        let axis = given < 0 ? given + rank : given
        var start = 0
        return try d.node.inputs.indices.map { i in
            let width = d.shape(d.input(i))[axis]
            defer { start += width }
            guard d.wants(i) else { return nil }
            return try d.emit(
                "slice", d.dy, with: [("axis", .int(axis)), ("start", .int(start)), ("end", .int(start + width))])
        }
    },
    reference: { context throws(GraphError) in
        let full = context.outputs[0].shape
        var out = context.outputs[0].zeros
        let given = context.attributes.int("axis")
        let axis = given < 0 ? given + full.count : given
        var start = 0
        for i in context.inputs.indices {
            let width = context.shape(i)[axis]
            let at = slicePositions(full, axis: axis, start: start, end: start + width)
            for (j, value) in context.values(i).enumerated() { out[at[j]] = value }
            start += width
        }
        return [out]
    })

private let broadcastOp = Op(
    "broadcast", "x stretched to a shape", inputs: ["x"], attributes: [.required("shape", .ints([]))],
    infer: { context throws(GraphError) in
        let type = try context.type(0)
        let shape = context.attributes.ints("shape")
        guard Broadcasting.shape(type.shape, shape) == shape else {
            throw GraphError(.invalid, "\(type) does not stretch to shape \(shape)")
        }
        return [ValueType(shape, type.element)]
    },
    gradient: { d in [try d.unbroadcast(d.dy, to: d.shape(d.input(0)))] },
    reference: { context throws(GraphError) in
        let x = context.values(0)
        return [Broadcasting.positions(context.shape(0), context.outputs[0].shape).map { x[$0] }]
    })
