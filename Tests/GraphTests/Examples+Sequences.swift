import Graph

extension Examples {
    static let products: [String: Drawer] = [
        "linear": { draw in
            let (t, k, n) = (draw.size(), draw.size(), draw.size())
            return Example([.floats([t, k]), .floats([n, k]), draw.coin() ? .floats([n]) : .none])
        },
        "linear_backward_input": { draw in
            let (t, k, n) = (draw.size(), draw.size(), draw.size())
            return Example([.floats([t, n]), .floats([n, k])])
        },
        "low_rank_linear": { draw in
            let (t, k, n, r) = (draw.size(), draw.size(), draw.size(), draw.size())
            return Example([
                .floats([t, k]), .floats([n, k]), .floats([t, r]), .floats([n, r]), draw.coin() ? .floats([n]) : .none,
            ])
        },
        "low_rank_linear_backward_input": { draw in
            let (t, k, n, r) = (draw.size(), draw.size(), draw.size(), draw.size())
            return Example([.floats([t, n]), .floats([n, k]), .floats([t, r]), .floats([r, k])])
        },
        "matmul": { draw in
            let (m, k, n) = (draw.size(), draw.size(), draw.size())
            let batches = (0..<draw.int(0..<3)).map { _ in draw.few() }
            let (ta, tb) = (draw.coin(), draw.coin())
            return Example(
                [.floats(batches + (ta ? [k, m] : [m, k])), .floats(batches + (tb ? [n, k] : [k, n]))],
                [("transpose_a", .bool(ta)), ("transpose_b", .bool(tb))])
        },
        "expert_linear": { draw in
            let (r, k, n, e) = (draw.size(), draw.size(), draw.size(), draw.few())
            return Example([.floats([r, k]), .ints([r], draw.ints(r, -1..<e)), .floats([e, n, k])])
        },
        "expert_linear_backward_input": { draw in
            let (r, k, n, e) = (draw.size(), draw.size(), draw.size(), draw.few())
            return Example([.floats([r, n]), .ints([r], draw.ints(r, -1..<e)), .floats([e, n, k])])
        },
        "expert_outer": { draw in
            let (r, k, n, e) = (draw.size(), draw.size(), draw.size(), draw.few())
            return Example(
                [.floats([r, n]), .floats([r, k]), .ints([r], draw.ints(r, -1..<e))], [("experts", .int(e))])
        },
        "label_logprobs": { draw in
            let (t, w, v) = (draw.size(), draw.positive(), draw.positive())
            var labels = draw.ints(t, 0..<v)
            for i in labels.indices where draw.int(0..<4) == 0 { labels[i] = -100 }
            return Example(
                [.floats([t, w]), .floats([v, w]), .ints([t], labels), draw.coin() ? .floats([v]) : .none],
                [
                    ("scale", .float(draw.coin() ? 1 : 0.25)), ("softcap", .float(draw.coin() ? 0 : 3)),
                    ("entropy", .bool(draw.coin())), ("slopes", .bool(draw.coin())),
                ], differentiable: draw.coin() ? nil : [0], losses: [[0], [0, 1, 2], [2]][draw.int(0..<3)])
        },
    ]

    static let sequences: [String: Drawer] = [
        "rms_norm": { draw in
            let width = draw.positive()
            return Example(
                [.floats(draw.shape(rank: 0...2) + [width]), .floats([width])],
                [("eps", .float(1e-3)), ("offset", .float(draw.coin() ? 0 : 1))])
        },
        "layer_norm": { draw in
            let width = draw.positive()
            return Example(
                [.floats(draw.shape(rank: 0...2) + [width]), .floats([width]), draw.coin() ? .floats([width]) : .none],
                [("eps", .float(1e-2))])
        },
        "rope": { draw in
            let (tokens, pairs) = (draw.size(), draw.few() + 2)
            let sections = draw.coin() ? [] : [1, pairs - 2, 1]
            return Example(
                [
                    .floats([tokens, draw.few(), 2 * pairs + draw.int(0..<3)]),
                    .ints(
                        sections.isEmpty ? [tokens] : [3, tokens], draw.ints(max(1, sections.count) * tokens, 0..<50)),
                    .floats([pairs], 0.01...1),
                ],
                [
                    ("interleaved", .bool(draw.coin())), ("inverse", .bool(draw.coin())), ("scale", .float(1.25)),
                    ("sections", .ints(sections)),
                ], differentiable: [0])
        },
        "attention": { draw in
            let (group, keyHeads, width) = (draw.few(), draw.few(), draw.few() * 2)
            let heads = group * keyHeads
            let valueWidth = draw.coin() ? width : draw.few()
            let isCross = draw.int(0..<3) == 0
            let queries = draw.size()
            let keys = isCross ? draw.size() : queries
            let count = draw.int(1..<4)
            let querySegments = draw.segments(count, queries)
            let keySegments = isCross ? draw.segments(count, keys) : querySegments
            return Example(
                [
                    .floats([queries, heads, width]), .floats([keys, keyHeads, width]),
                    .floats([keys, keyHeads, valueWidth]),
                    .ints([count + 1], querySegments), .ints([count + 1], keySegments),
                    draw.coin() ? .floats([heads]) : .none,
                ],
                [
                    ("scale", .float(0.7)), ("causal", .bool(!isCross && draw.coin())),
                    ("window", .int(draw.coin() ? 0 : draw.few() + 1)), ("softcap", .float(draw.coin() ? 0 : 2)),
                ])
        },
    ]

    static let rows: [String: Drawer] = [
        "embedding": { draw in
            let (rows, width, tokens) = (draw.positive(), draw.size(), draw.size())
            return Example([.floats([rows, width]), .ints([tokens], draw.ints(tokens, -1..<rows))])
        },
        "scatter_add_rows": { draw in
            let (rows, width, tokens) = (draw.size(), draw.size(), draw.size())
            return Example(
                [.floats([tokens, width]), .ints([tokens], draw.ints(tokens, -1..<max(1, rows)))],
                [("rows", .int(rows))])
        },
        "gather_columns": { draw in
            let (rows, width, k) = (draw.size(), draw.positive(), draw.few())
            return Example([.floats([rows, width]), .ints([rows, k], draw.ints(rows * k, -1..<width))])
        },
        "scatter_columns": { draw in
            let (rows, width, k) = (draw.size(), draw.positive(), draw.few())
            return Example(
                [.floats([rows, k]), .ints([rows, k], draw.ints(rows * k, -1..<width))], [("width", .int(width))])
        },
        "dropout": { draw in
            Example(
                [.floats(draw.shape()), .seed], [("p", .float(0.3)), ("stream", .int(draw.int(0..<9)))],
                differentiable: [0])
        },
        "uniform": { draw in
            Example([.seed], [("shape", .ints(draw.shape())), ("stream", .int(draw.int(0..<9)))], differentiable: [])
        },
        "unfold": { draw in
            let (shape, attributes) = patches(&draw)
            return Example([.floats(shape)], attributes)
        },
        "fold": { draw in
            let (shape, attributes) = patches(&draw)
            let graph = Graph()
            let patches = try? graph.emit("unfold", [graph.input("x", ValueType(shape))], attributes).first
            return Example([.floats(patches.map { graph.shape($0) } ?? [])], attributes + [("shape", .ints(shape))])
        },
    ]

    private static func patches(_ draw: inout Draw) -> ([Int], [(String, AttributeValue)]) {
        let axes = draw.coin() ? 1 : 2
        func list(_ range: Range<Int>) -> AttributeValue { .ints((0..<axes).map { _ in draw.int(range) }) }
        return (
            [draw.few()] + (0..<axes).map { _ in 5 + draw.int(0..<9) },
            [("kernel", list(1..<4)), ("stride", list(1..<3)), ("padding", list(0..<2)), ("dilation", list(1..<3))]
        )
    }
}
