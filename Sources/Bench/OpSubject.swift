internal import Graph

/// An op at a shape of models of 0.5B to 7B parameters.
package struct OpSubject: Sendable {
    package let name: String
    package let shape: String
    /// What its rate is held against; nil where time alone counts.
    let ceiling: Ceiling?
    let build: @Sendable (Graph) throws -> Problem

    /// A graph that runs the op.
    struct Problem {
        var outputs: [Value]
        /// Bytes or operations of one run; 0 with the ceiling "read" stands for all bytes that are bound.
        var work = 0.0
        /// Runs of the op in one run of the graph.
        var count = 1
        /// Contents of integer inputs, by name.
        var integers: [String: [Int32]] = [:]
    }

    /// Every subject, in the order in which they are printed.
    package static let all: [OpSubject] = products + decoding + otherLayouts + attention + rowwise + overhead

    // MARK: Products

    private static let products: [OpSubject] = {
        let shapes = [(512, 4864, 896), (512, 896, 4864), (512, 4096, 4096)]
        let kinds: [(layout: String, activation: String, ceiling: Ceiling)] = [
            ("f32", "f32", .f32), ("bf16", "bf16", .bf16), ("q4_0", "int8", .int8), ("q4_1", "int8", .int8),
            ("q5_0", "int8", .int8), ("q8_0", "int8", .int8), ("q4_k", "int8", .int8), ("q6_k", "int8", .int8),
            ("q4_0", "bf16", .bf16), ("q4_k", "bf16", .bf16),
        ]
        var out: [OpSubject] = []
        for kind in kinds {
            for (tokens, rows, columns) in shapes {
                out.append(product("linear", kind.layout, kind.activation, kind.ceiling, tokens, rows, columns))
            }
        }
        out.append(product("linear", "f32", "f32", .f32, 32, 4096, 4096))
        for layout in ["bf16", "q4_0", "q4_k"] {
            for (tokens, rows, columns) in shapes {
                out.append(product("linear_backward_input", layout, "bf16", .bf16, tokens, rows, columns))
            }
        }
        return out
    }()

    private static func product(
        _ op: String, _ layout: String, _ activation: String, _ ceiling: Ceiling, _ tokens: Int, _ rows: Int,
        _ columns: Int
    ) -> OpSubject {
        OpSubject(name: "\(op) \(layout) \(activation)", shape: "\(tokens) x \(rows) x \(columns)", ceiling: ceiling) {
            graph in
            let x = graph.input("x", ValueType([tokens, op == "linear" ? columns : rows]))
            let weight = try Self.weight(graph, layout, rows, columns)
            let y = try graph.emit(op, [x, weight], [("activation", .string(activation))])[0]
            return Problem(outputs: [y], work: 2 * Double(tokens) * Double(rows) * Double(columns))
        }
    }

    private static func weight(_ graph: Graph, _ layout: String, _ rows: Int, _ columns: Int, _ index: Int = 0) throws
        -> Value
    {
        graph.resolveParameter = { name, shape, _ in Parameter(name: name, shape: shape, layout: layout) }
        return try graph.parameter("w\(index)", [rows, columns])
    }

    private static let decoding: [OpSubject] = {
        var out: [OpSubject] = []
        for layout in ["f32", "f16", "bf16", "q4_0", "q4_1", "q5_0", "q8_0", "q4_k", "q6_k"] {
            for (tokens, rows, columns) in [(1, 4864, 896), (1, 896, 4864), (1, 4096, 4096), (8, 4096, 4096)] {
                out.append(decode(layout, tokens, rows, columns))
            }
        }
        return out
    }()

    /// One token or a few over so many matrices that no cache holds them: limited by reading weights.
    private static func decode(_ layout: String, _ tokens: Int, _ rows: Int, _ columns: Int) -> OpSubject {
        OpSubject(name: "linear \(layout) decode", shape: "\(tokens) x \(rows) x \(columns)", ceiling: .read) { graph in
            let x = graph.input("x", ValueType([tokens, columns]))
            // About 4.5 bits to 32 bits an element.
            let width = layout == "f32" ? 4 : layout.hasSuffix("f16") ? 2 : 1
            let copies = max(2, (256 << 20) / (rows * columns * width))
            let outputs = try (0..<copies).map { index in
                try graph.emit("linear", [x, try weight(graph, layout, rows, columns, index)])[0]
            }
            return Problem(outputs: outputs, count: copies)
        }
    }

    /// What bitsandbytes, GPTQ, AWQ, HQQ and releases in FP8 and MXFP4 become (Documentation/Layouts.md).
    private static let otherLayouts: [OpSubject] = {
        let kinds: [(layout: String, activation: String, ceiling: Ceiling)] = [
            ("nf4:64", "bf16", .bf16), ("affine4:128", "int8", .int8), ("affine8:128", "int8", .int8),
            ("fp8:128:128", "bf16", .bf16), ("mxfp4", "int8", .int8),
        ]
        return kinds.map { product("linear", $0.layout, $0.activation, $0.ceiling, 512, 4096, 4096) }
            + kinds.map { decode($0.layout, 1, 4096, 4096) }
    }()

    // MARK: Attention

    private static let attention: [OpSubject] = {
        var out: [OpSubject] = []
        for (heads, keyHeads, width) in [(14, 2, 64), (28, 4, 128)] {
            for activation in ["f32", "bf16"] {
                for isBackward in [false, true] {
                    out.append(prefill(4096, heads, keyHeads, width, activation, isBackward: isBackward))
                }
            }
        }
        for (sequences, context) in [(1, 8192), (16, 2048)] { out.append(paged(sequences, context, 14, 2, 64)) }
        out.append(paged(16, 2048, 28, 4, 128))
        return out
    }()

    private static func prefill(
        _ tokens: Int, _ heads: Int, _ keyHeads: Int, _ width: Int, _ activation: String, isBackward: Bool
    ) -> OpSubject {
        OpSubject(
            name: "attention\(isBackward ? " backward" : "") \(activation)",
            shape: "\(tokens) x \(heads)/\(keyHeads) x \(width)",
            ceiling: activation == "bf16" ? .bf16 : .f32
        ) { graph in
            let q = graph.input("q", ValueType([tokens, heads, width]))
            let k = graph.input("k", ValueType([tokens, keyHeads, width]))
            let v = graph.input("v", ValueType([tokens, keyHeads, width]))
            let segments = graph.input("segments", ValueType([2], .i32))
            let attributes: [(String, AttributeValue)] = [("scale", .float(0.1)), ("activation", .string(activation))]
            // Two products forward, five backward; half of each lies above the diagonal.
            let product = Double(tokens) * Double(tokens) * Double(heads) * Double(width)
            var outputs = [try graph.emit("attention", [q, k, v, segments, segments], attributes)[0]]
            if isBackward {
                let dout = graph.input("dout", graph.type(outputs[0]))
                let lse = graph.input("lse", ValueType([tokens, heads]))
                let out = graph.input("out", graph.type(outputs[0]))
                outputs = Array(
                    try graph.emit("attention_backward", [dout, q, k, v, segments, segments, out, lse], attributes)
                        .prefix(3))
            }
            return Problem(
                outputs: outputs, work: (isBackward ? 5 : 2) * product, integers: ["segments": [0, Int32(tokens)]])
        }
    }

    /// One token of each sequence over a cache in bf16: limited by reading the cache.
    private static func paged(_ sequences: Int, _ context: Int, _ heads: Int, _ keyHeads: Int, _ width: Int)
        -> OpSubject
    {
        OpSubject(
            name: "attention_paged bf16 decode", shape: "\(sequences) x \(context) x \(heads)/\(keyHeads) x \(width)",
            ceiling: .read
        ) { graph in
            let (size, each) = (32, context / 32)
            let blocks = sequences * each
            let cache = ValueType([blocks, keyHeads, size, width], .bf16)
            let q = graph.input("q", ValueType([sequences, heads, width]))
            let k = graph.input("k", ValueType([sequences, keyHeads, width]))
            let v = graph.input("v", ValueType([sequences, keyHeads, width]))
            func ints(_ name: String, _ shape: [Int]) -> Value { graph.input(name, ValueType(shape, .i32)) }
            let inputs = [
                q, k, v, graph.input("k_cache", cache), graph.input("v_cache", cache), ints("slots", [sequences]),
                ints("segments", [sequences + 1]), ints("context", [sequences]), ints("table", [sequences, each]),
            ]
            // Blocks of a sequence lie apart, as they do after a while of serving.
            let table = (0..<sequences).map { s in (0..<each).map { Int32($0 * sequences + s) } }
            return Problem(
                outputs: try graph.emit(
                    "attention_paged", inputs, [("block_size", .int(size)), ("scale", .float(0.1))]),
                work: 2 * Double(cache.byteCount),
                integers: [
                    "slots": table.map { $0[each - 1] * Int32(size) + Int32(size - 1) },
                    "segments": (0...Int32(sequences)).map { $0 }, "context": table.map { _ in Int32(context) },
                    "table": table.flatMap { $0 },
                ])
        }
    }

    // MARK: Ops that move bytes

    private static let rowwise: [OpSubject] = {
        let rows = 16384, width = 4096
        func subject(
            _ name: String, streams: Double, _ build: @escaping @Sendable (Graph, Value) throws -> Value
        ) -> OpSubject {
            OpSubject(name: name, shape: "\(rows) x \(width)", ceiling: .read) { graph in
                let x = graph.input("x", ValueType([rows, width]))
                return Problem(outputs: [try build(graph, x)], work: streams * 4 * Double(rows * width))
            }
        }
        return [
            subject("add", streams: 3) { graph, x in try graph.emit("add", [x, graph.input("y", graph.type(x))])[0] },
            subject("silu * up", streams: 3) { graph, x in
                try graph.emit("mul", [graph.emit("silu", [x])[0], graph.input("y", graph.type(x))])[0]
            },
            subject("rms_norm", streams: 2) { graph, x in
                try graph.emit("rms_norm", [x, graph.input("w", ValueType([width]))], [("eps", .float(1e-6))])[0]
            },
            subject("rms_norm backward", streams: 3) { graph, x in
                let inputs = [x, graph.input("y", graph.type(x)), graph.input("w", ValueType([width]))]
                return try graph.emit("rms_norm_backward", inputs, [("eps", .float(1e-6))])[0]
            },
            subject("layer_norm", streams: 2) { graph, x in
                let w = graph.input("w", ValueType([width]))
                return try graph.emit("layer_norm", [x, w, w], [("eps", .float(1e-6))])[0]
            },
            subject("softmax", streams: 2) { graph, x in try graph.emit("softmax", [x])[0] },
            subject("transpose", streams: 2) { graph, x in
                try graph.emit("transpose", [x], [("permutation", .ints([1, 0]))])[0]
            },
            subject("sum of rows", streams: 1) { graph, x in try graph.emit("sum", [x], [("axes", .ints([-1]))])[0] },
        ]
    }()

    // MARK: What does not depend on shapes

    private static let overhead: [OpSubject] = [
        OpSubject(name: "overhead of an op", shape: "1000 ops of 16 elements", ceiling: nil) { graph in
            var x = graph.input("x", ValueType([1, 16]))
            // Ops that are not fused.
            for i in 0..<1000 { x = try graph.emit(i % 2 == 0 ? "softmax" : "log_softmax", [x])[0] }
            return Problem(outputs: [x], count: 1000)
        }
    ]
}
