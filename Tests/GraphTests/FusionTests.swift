import Testing

import Graph

/// What passes join, and that the numbers stay.
@Suite struct FusionTests {
    private struct Adapted {
        let graph = Graph()
        var values: [Value: [Double]] = [:]
        let outputs: [Value]

        /// Two sites over one x, each with a product of rank 3 beside it, and their gradients.
        init(activation: String) throws {
            graph.activation = activation
            var random = Seeded(7)
            let (tokens, width, wide, rank) = (20, 24, 33, 3)
            let x = graph.input("x", ValueType([tokens, width]))
            values[x] = random.numbers(tokens * width)
            var trained: [Value] = []
            var sum: Value?
            for name in ["q", "k"] {
                let (w, bias) = (
                    try graph.parameter("\(name).weight", [wide, width]), try graph.parameter("\(name).bias", [wide])
                )
                let (a, b) = (
                    try graph.parameter("\(name).a", [rank, width]), try graph.parameter("\(name).b", [wide, rank])
                )
                for value in [w, bias, a, b] { values[value] = random.numbers(graph.type(value).count, in: -0.3...0.3) }
                trained += [a, b]
                let turned: [(String, AttributeValue)] = [("transpose_b", .bool(true))]
                // As sites and tuners do: the product with the weight stands first.
                let plain = try graph.emit("linear", [x, w])[0]
                let low = try graph.emit("scale", [graph.emit("matmul", [x, a], turned)[0]], [("factor", .float(4))])[0]
                let y = try graph.emit("add", [plain, graph.emit("matmul", [low, b], turned)[0]])[0]
                let shifted = try graph.emit("tanh", [graph.emit("add", [y, bias])[0]])[0]
                if let before = sum { sum = try graph.emit("add", [before, shifted])[0] } else { sum = shifted }
            }
            let loss = try graph.emit("sum", [graph.emit("square", [try #require(sum)])[0]])[0]
            let gradients = try graph.differentiate(loss, with: trained + [x]).compactMap { $0 }
            #expect(gradients.count == 5)
            outputs = [loss] + gradients
        }
    }

    @Test(arguments: [("f32", 2e-6), ("bf16", 2e-2)]) func adaptersJoinTheProductsBesideThem(
        activation: String, tolerance: Double
    ) throws {
        let apart = try Adapted(activation: activation)
        let wanted = try Bench.shared.run(apart.graph, apart.outputs, apart.values, fuse: false)
        #expect(!apart.graph.nodes.contains { $0.op.name.hasPrefix("low_rank") })
        let joined = try Adapted(activation: activation)
        let found = try Bench.shared.run(joined.graph, joined.outputs, joined.values)
        for (found, wanted) in zip(found, wanted) {
            let size = wanted.reduce(1) { max($0, abs($1)) }
            expectClose(found.map { $0 / size }, wanted.map { $0 / size }, tolerance, activation)
        }
        // Both sites forward with their biases, both backward.
        let names = joined.graph.nodes.map(\.op.name)
        #expect(names.count { $0 == "low_rank_linear" } >= 2)
        #expect(names.count { $0 == "low_rank_linear_backward_input" } == 2)
        #expect(joined.graph.nodes.contains { $0.op.name == "low_rank_linear" && $0.inputs.count == 5 })
        // A device without the joined op keeps what it can run.
        let other = try Adapted(activation: activation)
        _ = try Bench.shared.run(other.graph, other.outputs, other.values, on: "reference")
        #expect(!other.graph.nodes.contains { $0.op.name.hasPrefix("low_rank") })
    }

    @Test func chainsOverOneShapeBecomeOneStepWhereverTheyBegin() throws {
        let graph = Graph()
        let (g, m, v) = (
            graph.input("g", ValueType([40, 8])), graph.input("m", ValueType([40, 8])),
            graph.input("v", ValueType([40, 8]))
        )
        func scaled(_ x: Value, _ factor: Double) throws -> Value {
            try graph.emit("scale", [x], [("factor", .float(factor))])[0]
        }
        let mean = try graph.emit("add", [scaled(m, 0.9), scaled(g, 0.1)])[0]
        let square = try graph.emit("add", [scaled(v, 0.99), scaled(graph.emit("square", [g])[0], 0.01)])[0]
        let step = try graph.emit(
            "div", [mean, graph.emit("add_scalar", [graph.emit("sqrt", [square])[0]], [("value", .float(0.1))])[0]])[0]
        #expect(graph.steps(for: [mean, square, step]).count == 1)
        var random = Seeded(3)
        let values = [g: random.numbers(320), m: random.numbers(320), v: random.numbers(320, in: 0...1)]
        let found = try Bench.shared.run(graph, [mean, square, step], values)
        let apart = try Bench.shared.run(graph, [mean, square, step], values, fuse: false)
        for (found, wanted) in zip(found, apart) { expectClose(found, wanted, 1e-6, "fused") }
    }

    @Test func whatAsksForTheSameNumberAgainGetsIt() throws {
        let graph = Graph()
        let (rate, x) = (graph.input("rate", ValueType([1])), graph.input("x", ValueType([4])))
        #expect(try graph.emit("exp", [rate])[0] != graph.emit("exp", [rate])[0])
        graph.sharesSingleNumbers = true
        let once = try graph.emit("exp", [rate])[0]
        #expect(try graph.emit("exp", [rate])[0] == once)
        #expect(try graph.emit("neg", [rate])[0] != once)
        #expect(try graph.emit("exp", [x])[0] != graph.emit("exp", [x])[0])
    }

    @Test func aProfileSaysWhatEachOpTook() throws {
        let graph = Graph()
        let x = graph.input("x", ValueType([6, 16]))
        let y = try graph.emit("linear", [x, graph.parameter("w", [5, 16])], [("activation", .string("bf16"))])[0]
        let z = try graph.emit("tanh", [y])[0]
        try Bench.shared.with(threads: 2) {
            let device = try Bench.shared.device("cpu")
            let profile = RunProfile()
            device.profile = profile
            let program = try Program(graph, outputs: [z], device: device, arena: SharedArena(device: device))
            var buffers: [Value: DeviceBuffer] = [:]
            for value in [x] + graph.parameters.values {
                buffers[value] = try device.upload([Float](repeating: 0.5, count: graph.type(value).count))
            }
            for _ in 0..<3 { try program.run { buffers[$0] } }
            let entries = profile.entries
            #expect(
                Set(entries.map(\.op)) == ["linear", "tanh"]
                    && entries.allSatisfy { $0.runs == 3 && $0.seconds >= 3 * $0.fastest })
            let product = try #require(entries.first { $0.op == "linear" })
            #expect(
                product.shape == "6 x 5 x 16" && product.work.operations == 2 * 6 * 5 * 16
                    && product.work.factors == "bf16")
            #expect(entries.first { $0.op == "tanh" }?.work.bytes == 240.0)
        }
    }
}
