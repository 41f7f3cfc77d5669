import Random

/// Rows by index, columns by index, and seeded dropout.
let rowOps: [Op] = [embeddingOp, scatterAddRowsOp, scatterColumnsOp, gatherColumnsOp, dropoutOp, uniformOp]

private let embeddingOp = Op(
    "embedding", "rows of a table by index; a zero row for a negative one", inputs: ["table [V, W]", "ids i32 [T]"],
    infer: { context throws(GraphError) in
        let table = try context.float(0, rank: 2)
        return [ValueType([try context.integers(1, rank: 1)[0], table[1]])]
    },
    gradient: { d in
        [try d.emit("scatter_add_rows", d.dy, d.input(1), with: [("rows", .int(d.shape(d.input(0))[0]))]), nil]
    },
    reference: { context throws(GraphError) in
        let width = context.shape(0)[1]
        let table = context.values(0)
        return [
            context.ints(1).flatMap { id in
                (0..<width).map { id >= 0 && id < context.shape(0)[0] ? table[id * width + $0] : 0 }
            }
        ]
    })

private let scatterAddRowsOp = Op(
    "scatter_add_rows", "a table of zeros with row x[t] added to row ids[t], in the order of t",
    inputs: ["x [T, W]", "ids i32 [T]"], attributes: [.required("rows", .int(0))],
    infer: { context throws(GraphError) in
        let x = try context.float(0, rank: 2)
        _ = try context.integers(1, [x[0]])
        return [ValueType([context.attributes.int("rows"), x[1]])]
    },
    gradient: { d in [try d.emit("embedding", d.dy, d.input(1)), nil] },
    reference: { context throws(GraphError) in
        let width = context.shape(0)[1]
        var out = context.outputs[0].zeros
        for (t, id) in context.ints(1).enumerated() where id >= 0 && id < context.attributes.int("rows") {
            for i in 0..<width { out[id * width + i] += context.values(0)[t * width + i] }
        }
        return [out]
    })

private let scatterColumnsOp = Op(
    "scatter_columns", "rows of zeros with x[.., i] added at column indices[.., i]",
    inputs: ["x [.., k]", "indices i32 [.., k]"], attributes: [.required("width", .int(0))],
    infer: { context throws(GraphError) in
        let x = try context.rows(0)
        _ = try context.integers(1, x)
        return [ValueType(Array(x.dropLast()) + [context.attributes.int("width")])]
    },
    gradient: { d in [try d.emit("gather_columns", d.dy, d.input(1)), nil] },
    reference: { context throws(GraphError) in
        let (k, width) = (context.shape(0).last ?? 1, context.attributes.int("width"))
        var out = context.outputs[0].zeros
        for (i, column) in context.ints(1).enumerated() where column >= 0 && column < width {
            out[i / max(1, k) * width + column] += context.values(0)[i]
        }
        return [out]
    })

private let gatherColumnsOp = Op(
    "gather_columns", "x[.., indices[.., i]]", inputs: ["x [.., W]", "indices i32 [.., k]"],
    infer: { context throws(GraphError) in
        let x = try context.rows(0)
        let indices = try context.integers(1)
        guard indices.count == x.count, indices.dropLast() == x.dropLast() else {
            throw context.mismatch(1, "the leading axes of \(x)", try context.type(1))
        }
        return [ValueType(indices)]
    },
    gradient: { d in
        [try d.emit("scatter_columns", d.dy, d.input(1), with: [("width", .int(d.shape(d.input(0)).last ?? 0))]), nil]
    },
    reference: { context throws(GraphError) in
        let (k, width) = (context.shape(1).last ?? 1, context.shape(0).last ?? 1)
        let x = context.values(0)
        return [
            context.ints(1).enumerated().map { i, column in
                column >= 0 && column < width ? x[i / max(1, k) * width + column] : 0
            }
        ]
    })

private let dropoutOp = Op(
    "dropout",
    "zeroes each element with probability p and scales the rest by 1 / (1 - p); which ones follows from seed, stream and place (Philox4x32-10)",
    inputs: ["x", "seed u32 [2]"], attributes: [.required("p", .float(0)), .optional("stream", .int(0))],
    infer: { context throws(GraphError) in
        let x = try context.float(0)
        guard try context.type(1) == ValueType([2], .u32) else {
            throw context.mismatch(1, "u32 [2]", try context.type(1))
        }
        let p = context.attributes.float("p")
        guard p >= 0, p < 1 else { throw GraphError(.invalid, "p is \(p), wanted 0 ..< 1") }
        return [ValueType(x)]
    },
    gradient: { d in [try d.emit("dropout", d.dy, d.input(1), with: d.attributes.pairs), nil] },
    reference: { context throws(GraphError) in
        let p = context.attributes.float("p")
        let key = philoxKey(context.values(1))
        let threshold = UInt32(min(p * 4294967296, 4294967295))
        let stream = UInt64(UInt32(truncatingIfNeeded: context.attributes.int("stream")))
        return [
            context.values(0).enumerated().map { i, x in
                let words = Philox.block(seed: key, stream: stream, counter: UInt64(i / 4))
                let word = [words.0, words.1, words.2, words.3][i % 4]
                return word < threshold ? 0 : x / (1 - p)
            }
        ]
    })

private let uniformOp = Op(
    "uniform",
    "numbers evenly from 0 ..< 1 with 24 bits each; which ones follows from seed, stream and place (Philox4x32-10)",
    inputs: ["seed u32 [2]"], attributes: [.required("shape", .ints([])), .optional("stream", .int(0))],
    infer: { context throws(GraphError) in
        guard try context.type(0) == ValueType([2], .u32) else {
            throw context.mismatch(0, "u32 [2]", try context.type(0))
        }
        let shape = context.attributes.ints("shape")
        guard shape.allSatisfy({ $0 >= 0 }) else {
            throw GraphError(.invalid, "shape is \(shape), wanted no negative size")
        }
        return [ValueType(shape)]
    },
    reference: { context throws(GraphError) in
        let key = philoxKey(context.values(0))
        let stream = UInt64(UInt32(truncatingIfNeeded: context.attributes.int("stream")))
        return [
            (0..<context.outputs[0].count).map { i in
                let words = Philox.block(seed: key, stream: stream, counter: UInt64(i / 4))
                return Double([words.0, words.1, words.2, words.3][i % 4] >> 8) * 0x1p-24
            }
        ]
    })

/// The seed of Philox from the two words of a seed value.
private func philoxKey(_ words: [Double]) -> UInt64 {
    UInt64(UInt32(words[0])) | UInt64(UInt32(words[1])) << 32
}
