import Graph

/// An op over inputs that were drawn at random.
struct Example {
    enum Input {
        case floats([Int], ClosedRange<Double> = -1.5...1.5)
        case ints([Int], [Int])
        /// Floats that stand for a choice: no gradient is asked for.
        case flags([Int])
        case seed
        case none
    }
    var inputs: [Input]
    var attributes: [(String, AttributeValue)] = []
    /// Inputs whose gradient is defined; nil stands for all floats.
    var differentiable: [Int]?
    /// Outputs that the loss depends on.
    var losses: [Int]

    init(
        _ inputs: [Input], _ attributes: [(String, AttributeValue)] = [], differentiable: [Int]? = nil,
        losses: [Int] = [0]
    ) {
        self.inputs = inputs
        self.attributes = attributes
        self.differentiable = differentiable
        self.losses = losses
    }
}

/// Draws sizes and choices for examples.
struct Draw {
    var random: Seeded
    private let sizes: [Int]

    /// Sizes where rules and kernels go wrong: none, one, odd ones.
    static func small(_ seed: UInt64) -> Draw { Draw(random: Seeded(seed), sizes: [0, 1, 1, 2, 3, 5, 7]) }
    /// Sizes that are cut into tiles and shared among threads.
    static func large(_ seed: UInt64) -> Draw { Draw(random: Seeded(seed), sizes: [65, 96, 130, 257]) }

    mutating func size() -> Int { sizes.randomElement(using: &random) ?? 1 }
    mutating func positive() -> Int { Swift.max(1, size()) }
    mutating func few() -> Int { Int.random(in: 1...3, using: &random) }
    mutating func coin() -> Bool { Bool.random(using: &random) }
    mutating func int(_ range: Range<Int>) -> Int { range.isEmpty ? 0 : Int.random(in: range, using: &random) }
    /// A shape of rank 0 ... 3, large in two axes at the most.
    mutating func shape(rank: ClosedRange<Int> = 0...3) -> [Int] {
        (0..<Int.random(in: rank, using: &random)).map { $0 < 2 ? size() : Int.random(in: 0...4, using: &random) }
    }
    mutating func ints(_ count: Int, _ range: Range<Int>) -> [Int] { (0..<count).map { _ in int(range) } }
    /// `count` + 1 ascending starts from 0 to `total`, some segments empty.
    mutating func segments(_ count: Int, _ total: Int) -> [Int] {
        [0] + (0..<Swift.max(0, count - 1)).map { _ in int(0..<total + 1) }.sorted() + [total]
    }
    /// `shape` with some sizes made 1 and some leading axes cut off: it stretches to `shape`.
    mutating func stretching(to shape: [Int]) -> [Int] {
        shape.map { coin() ? $0 : 1 }.suffix(int(0..<shape.count + 1) + (coin() ? shape.count : 0))
    }
}

/// How to draw an example of each op.
enum Examples {
    typealias Drawer = @Sendable (inout Draw) -> Example

    static let drawers: [String: Drawer] = elementwise.merging(shapes) { a, _ in a }.merging(reductions) { a, _ in a }
        .merging(products) { a, _ in a }.merging(sequences) { a, _ in a }.merging(rows) { a, _ in a }

    private static let elementwise: [String: Drawer] = {
        var out: [String: Drawer] = [:]
        func unary(_ names: String, _ range: ClosedRange<Double>) {
            for name in names.split(separator: " ") { out[String(name)] = { Example([.floats($0.shape(), range)]) } }
        }
        unary("neg exp abs sign floor square sin cos erf relu detach cast", -1.5...1.5)
        unary("tanh sigmoid log_sigmoid softplus silu gelu gelu_tanh quick_gelu", -4...4)
        unary("log sqrt rsqrt reciprocal", 0.3...3)
        func binary(_ names: String, _ left: ClosedRange<Double>, _ right: ClosedRange<Double>) {
            for name in names.split(separator: " ") {
                out[String(name)] = { draw in
                    let full = draw.shape()
                    let (a, b) = (draw.stretching(to: full), draw.coin() ? full : draw.stretching(to: full))
                    return Example([.floats(a, left), .floats(b, right)])
                }
            }
        }
        binary("add sub mul min max less equal silu_gradient gelu_gradient gelu_tanh_gradient", -1.5...1.5, -1.5...1.5)
        binary("div", -1.5...1.5, 0.5...2)
        binary("pow", 0.3...2, -1.5...1.5)
        out["scale"] = { Example([.floats($0.shape())], [("factor", .float(-1.75))]) }
        out["add_scalar"] = { Example([.floats($0.shape())], [("value", .float(0.375))]) }
        out["where"] = { draw in
            let full = draw.shape()
            return Example([
                .flags(draw.stretching(to: full)), .floats(full), .floats(draw.stretching(to: full)),
            ])
        }
        return out
    }()

    private static let shapes: [String: Drawer] = [
        "reshape": { draw in
            let shape = draw.shape()
            return Example([.floats(shape)], [("shape", .ints(draw.coin() ? shape + [1] : [shape.reduce(1, *)]))])
        },
        "transpose": { draw in
            let shape = draw.shape(rank: 0...4)
            return Example([.floats(shape)], [("permutation", .ints(shape.indices.shuffled(using: &draw.random)))])
        },
        "slice": { draw in
            let shape = draw.shape(rank: 1...3)
            let axis = draw.int(0..<shape.count)
            let ends = [draw.int(0..<shape[axis] + 1), draw.int(0..<shape[axis] + 1)].sorted()
            return Example(
                [.floats(shape)],
                [
                    ("axis", .int(draw.coin() ? axis : axis - shape.count)), ("start", .int(ends[0])),
                    ("end", .int(ends[1])),
                ])
        },
        "slice_gradient": { draw in
            var shape = draw.shape(rank: 1...3)
            let axis = draw.int(0..<shape.count)
            let ends = [draw.int(0..<shape[axis] + 1), draw.int(0..<shape[axis] + 1)].sorted()
            let full = shape
            shape[axis] = ends[1] - ends[0]
            return Example(
                [.floats(shape)],
                [("shape", .ints(full)), ("axis", .int(axis)), ("start", .int(ends[0])), ("end", .int(ends[1]))])
        },
        "concat": { draw in
            let shape = draw.shape(rank: 1...3)
            let axis = draw.int(0..<shape.count)
            let parts = (0..<draw.few() + 1).map { _ in
                var part = shape
                part[axis] = draw.size()
                return Example.Input.floats(part)
            }
            return Example(parts, [("axis", .int(axis))])
        },
        "broadcast": { draw in
            let full = draw.shape()
            return Example([.floats(draw.stretching(to: full))], [("shape", .ints(full))])
        },
    ]

    private static let reductions: [String: Drawer] = {
        var out: [String: Drawer] = [:]
        for name in ["sum", "mean", "reduce_max"] {
            out[name] = { draw in
                var shape = draw.shape()
                // The largest of nothing is -∞, which has no slope.
                if name == "reduce_max" { shape = shape.map { max(1, $0) } }
                let axes = shape.indices.filter { _ in draw.coin() }
                return Example([.floats(shape)], [("axes", .ints(axes)), ("keep_dimensions", .bool(draw.coin()))])
            }
        }
        for name in ["softmax", "log_softmax", "logsumexp"] {
            out[name] = { Example([.floats($0.shape(rank: 1...3), -4...4)]) }
        }
        out["softmax_gradient"] = { draw in
            let shape = draw.shape(rank: 1...3)
            return Example([.floats(shape), .floats(shape, 0...1)])
        }
        out["cumsum"] = { Example([.floats($0.shape(rank: 1...3))], [("reverse", .bool($0.coin()))]) }
        out["topk"] = { draw in
            let width = draw.positive()
            return Example(
                [.floats(draw.shape(rank: 0...2) + [width])], [("k", .int(1 + draw.int(0..<min(width, 9))))])
        }
        out["argmax"] = { draw in Example([.floats(draw.shape(rank: 0...2) + [draw.positive()])]) }
        out["sum_sequences"] = { draw in
            let (tokens, count) = (draw.size(), draw.few())
            return Example(
                [.floats([tokens]), .ints([tokens], draw.ints(tokens, -1..<count))], [("count", .int(count))])
        }
        out["gather_sequences"] = { draw in
            let (tokens, count) = (draw.size(), draw.few())
            return Example([.floats([count]), .ints([tokens], draw.ints(tokens, -1..<count))])
        }
        return out
    }()
}
