/// Numbers as one byte each: the nearest of 256 values, times the largest magnitude of the block (Dettmers et al. 2021,
/// "8-bit Optimizers via Block-wise Quantization", 2110.02861).
let blockOps: [Op] = [quantizeBlocksOp, dequantizeBlocksOp]

/// Blocks of `block` elements of the flattened value; the last one may be shorter.
private func blockCount(_ count: Int, _ attributes: Attributes) throws(GraphError) -> (block: Int, blocks: Int) {
    let block = attributes.int("block")
    guard block >= 1 else { throw GraphError(.invalid, "attribute \"block\" is \(block), wanted at least 1") }
    return (block, count / block + (count % block > 0 ? 1 : 0))
}

private let quantizeBlocksOp = Op(
    "quantize_blocks",
    "codes[i] = the index of the value nearest to x[i] / scale of its block, scales = max |x| of each block of the flattened x",
    inputs: ["x", "values [256], ascending"], attributes: [.required("block", .int(256))],
    infer: { context throws(GraphError) in
        let shape = try context.float(0)
        try context.expect(1, [256])
        let blocks = try blockCount(shape.reduce(1, *), context.attributes).blocks
        return [ValueType(shape, .u8), ValueType([blocks])]
    },
    reference: { context throws(GraphError) in
        let (x, values) = (context.values(0), context.values(1))
        let (block, blocks) = try blockCount(x.count, context.attributes)
        let scales = (0..<blocks).map { b in x[b * block..<min(x.count, (b + 1) * block)].map(abs).max() ?? 0 }
        let codes = x.enumerated().map { i, x -> Double in
            let scaled = scales[i / block] > 0 ? x / scales[i / block] : 0
            return Double(values.indices.min { abs(values[$0] - scaled) < abs(values[$1] - scaled) } ?? 0)
        }
        return [codes, scales]
    })

private let dequantizeBlocksOp = Op(
    "dequantize_blocks", "values[codes[i]] · the scale of its block", inputs: ["codes u8", "scales", "values [256]"],
    attributes: [.required("block", .int(256))],
    infer: { context throws(GraphError) in
        let codes = try context.type(0)
        guard codes.element == .u8 else { throw context.mismatch(0, "u8", codes) }
        try context.expect(1, [try blockCount(codes.count, context.attributes).blocks])
        try context.expect(2, [256])
        return [ValueType(codes.shape)]
    },
    reference: { context throws(GraphError) in
        let (scales, values) = (context.values(1), context.values(2))
        let block = try blockCount(context.values(0).count, context.attributes).block
        return [context.ints(0).enumerated().map { i, code in values[code] * scales[i / block] }]
    })
