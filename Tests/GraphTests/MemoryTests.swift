import Glibc
import Testing

import Graph

/// The plan says before a run how much memory it takes.
@Suite(.serialized) struct MemoryTests {
    /// Bytes of this process that are in memory.
    private static var resident: Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        guard fgets(&line, 256, file) != nil else { return 0 }
        let words = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(
            separator: " ")
        return (words.count > 1 ? Int(words[1]) ?? 0 : 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// A stack of feed-forward blocks and its loss, large enough that a few pages do not matter.
    private func model(_ layers: Int, tokens: Int, width: Int) throws -> (graph: Graph, loss: Value) {
        let graph = Graph()
        var x = graph.input("x", ValueType([tokens, width]))
        for layer in 0..<layers {
            graph.openBlock("layers.\(layer)")
            let h = try graph.emit("rms_norm", [x, graph.parameter("norm.weight", [width])], [("eps", .float(1e-5))])[0]
            let gate = try graph.emit("silu", [graph.linear("gate_proj", h, 2 * width)])[0]
            let product = try graph.emit("mul", [gate, graph.linear("up_proj", h, 2 * width)])[0]
            x = try graph.emit("add", [x, graph.linear("down_proj", product, width)])[0]
            try graph.closeBlock()
        }
        return (graph, try graph.emit("sum", [graph.emit("square", [x])[0]])[0])
    }

    /// In a process of its own: other tests would grow this one meanwhile.
    @Test(.disabled(if: getenv("MARTLET_SANITIZE") != nil, "a sanitizer's shadow is memory too"))
    func theArenaThatWasPlannedIsTheMemoryThatARunTakes() async {
        await #expect(processExitsWith: .success) {
            for (training, recompute) in [(false, "none"), (true, "none"), (true, "block")] {
                try MemoryTests().compareMemory(training: training, recompute: recompute)
            }
        }
    }

    /// As above: a decoder's attention, the log-probabilities of labels over a vocabulary, and the optimizer's update of every
    /// parameter in one plan.
    @Test(.disabled(if: getenv("MARTLET_SANITIZE") != nil, "a sanitizer's shadow is memory too"))
    func aStepOfADecoderWithItsUpdateTakesThePlannedMemory() async {
        await #expect(processExitsWith: .success) {
            for (training, recompute) in [(false, "none"), (true, "none"), (true, "block")] {
                try MemoryTests().compareDecoderMemory(training: training, recompute: recompute)
            }
        }
    }

    private func compareDecoderMemory(training: Bool, recompute: String) throws {
        let (tokens, width, heads, vocabulary) = (2048, 512, 8, 8192)
        let graph = Graph()
        let labels = graph.input("labels", ValueType([tokens], .i32))
        let segments = graph.input("segments", ValueType([3], .i32))
        var x = graph.input("x", ValueType([tokens, width]))
        let first = x
        func split(_ name: String, _ x: Value) throws -> Value {
            let shape = AttributeValue.ints([tokens, heads, width / heads])
            return try graph.emit("reshape", [graph.linear(name, x, width)], [("shape", shape)])[0]
        }
        for layer in 0..<4 {
            graph.openBlock("layers.\(layer)")
            let h = try graph.emit("rms_norm", [x, graph.parameter("norm.weight", [width])], [("eps", .float(1e-5))])[0]
            let inputs = [try split("q_proj", h), try split("k_proj", h), try split("v_proj", h), segments, segments]
            let a = try graph.emit("attention", inputs, [("scale", .float(0.125))])[0]
            let flat = try graph.emit("reshape", [a], [("shape", .ints([tokens, width]))])[0]
            let y = try graph.emit("add", [x, graph.linear("o_proj", flat, width)])[0]
            let gate = try graph.emit("silu", [graph.linear("gate_proj", y, 4 * width)])[0]
            x = try graph.emit("add", [y, graph.linear("down_proj", gate, width)])[0]
            try graph.closeBlock()
        }
        let head = try graph.parameter("head.weight", [vocabulary, width])
        let loss = try graph.emit("neg", [graph.emit("sum", [graph.emit("label_logprobs", [x, head, labels])[0]])[0]])[
            0]
        let parameters = graph.parameters.values.sorted { $0.index < $1.index }
        let mode = try #require(Graph.Recomputation(rawValue: recompute))
        let gradients =
            training ? try graph.differentiate(loss, with: parameters, recompute: mode).compactMap { $0 } : []
        // Gradient descent with momentum.
        var updates: [(value: Value, over: Value)] = []
        for (parameter, gradient) in zip(parameters, gradients) {
            let state = graph.input("momentum", graph.type(parameter))
            let kept = try graph.emit("scale", [state], [("factor", .float(0.9))])[0]
            let momentum = try graph.emit("add", [kept, gradient])[0]
            let step = try graph.emit("scale", [momentum], [("factor", .float(1e-4))])[0]
            updates += [(momentum, state), (try graph.emit("sub", [parameter, step])[0], parameter)]
        }
        try Bench.shared.with(threads: 2) {
            let device = try Bench.shared.device("cpu")
            var buffers = [
                labels: try device.upload((0..<tokens).map { Int32($0 % vocabulary) }),
                segments: try device.upload([0, Int32(tokens / 2), Int32(tokens)]),
            ]
            for value in parameters + [first] + updates.map(\.over) where buffers[value] == nil {
                buffers[value] = try device.upload((0..<graph.type(value).count).map { Float($0 % 7) * 0.003 })
            }
            try expectPlanned(graph, [loss], updates, device, buffers)
        }
    }

    private func compareMemory(training: Bool, recompute: String) throws {
        try Bench.shared.with(threads: 2) {
            let (graph, loss) = try model(6, tokens: 2048, width: 1024)
            let parameters = graph.parameters.values.sorted { $0.index < $1.index }
            let mode = try #require(Graph.Recomputation(rawValue: recompute))
            let gradients =
                training ? try graph.differentiate(loss, with: parameters, recompute: mode).compactMap { $0 } : []
            #expect(gradients.count == (training ? parameters.count : 0))
            let device = try Bench.shared.device("cpu")
            var buffers: [Value: DeviceBuffer] = [:]
            for value in parameters + [Value(1)] {
                buffers[value] = try device.upload([Float](repeating: 0.01, count: graph.type(value).count))
            }
            try expectPlanned(graph, [loss] + gradients, [], device, buffers)
        }
    }

    /// One run in fresh memory grows the process by the plan's arena, to 5 in a hundred.
    private func expectPlanned(
        _ graph: Graph, _ outputs: [Value], _ updates: [(value: Value, over: Value)], _ device: Device,
        _ buffers: [Value: DeviceBuffer]
    ) throws {
        let arena = SharedArena(device: device)
        let program = try Program(graph, outputs: outputs, updates: updates, device: device, arena: arena)
        let before = Self.resident
        try program.run { buffers[$0] }
        let grown = Self.resident - before
        let planned = program.arenaBytes
        #expect(planned > 10 << 20)
        #expect(arena.bytes >= planned)
        #expect(
            abs(Double(grown) / Double(planned) - 1) < 0.05, "planned \(planned) bytes, the process grew by \(grown)")
    }

    @Test func recomputingBlocksTakesLessMemoryAndGivesTheSameGradients() throws {
        var (sizes, results): ([Int], [[Double]]) = ([], [])
        for mode in [Graph.Recomputation.none, .blocks] {
            let (graph, loss) = try model(8, tokens: 128, width: 64)
            let weight = try #require(graph.parameters["layers.0.gate_proj.weight"])
            let gradient = try #require(graph.differentiate(loss, with: [weight], recompute: mode)[0])
            var random = Seeded(9)
            var values: [Value: [Double]] = [Value(1): random.numbers(128 * 64)]
            for parameter in graph.parameters.values.sorted(by: { $0.index < $1.index }) {
                values[parameter] = random.numbers(graph.type(parameter).count, in: -0.1...0.1)
            }
            results.append(try Bench.shared.run(graph, [gradient], values)[0])
            try Bench.shared.with(threads: 1) {
                let device = try Bench.shared.device("cpu")
                sizes.append(
                    try Program(graph, outputs: [gradient], device: device, arena: SharedArena(device: device))
                        .arenaBytes)
            }
        }
        #expect(results[0] == results[1])
        #expect(sizes[1] * 2 < sizes[0], "\(sizes)")
    }

    @Test func aProductIsWrittenOverABoundValueWithoutACopy() throws {
        let graph = Graph()
        let (dy, x) = (graph.input("dy", ValueType([30, 9])), graph.input("x", ValueType([30, 7])))
        let over = graph.input("over", ValueType([9, 7]))
        let product = try graph.emit("matmul", [dy, x], [("transpose_a", .bool(true))])[0]
        // One that reads what it is written over must not be written there.
        let (square, turned) = (graph.input("square", ValueType([9, 9])), graph.input("turned", ValueType([9, 9])))
        let power = try graph.emit("matmul", [square, turned])[0]
        var random = Seeded(4)
        var values: [Value: [Double]] = [:]
        for value in [dy, x, square, turned] { values[value] = random.numbers(graph.type(value).count) }
        let wanted = try Bench.shared.run(graph, [product, power], values)
        try Bench.shared.with(threads: 2) {
            let device = try Bench.shared.device("cpu")
            let program = try Program(
                graph, outputs: [], updates: [(product, over), (power, square)], device: device,
                arena: SharedArena(device: device))
            #expect(program.stepCount == 3)
            var buffers: [Value: DeviceBuffer] = [over: try device.allocate(4 * 63)]
            for (value, elements) in values { buffers[value] = try device.upload(elements, .f32) }
            try program.run { buffers[$0] }
            for (value, wanted) in zip([over, square], wanted) {
                let found = try #require(buffers[value]).read(Float.self, count: wanted.count)
                expectClose(found.map(Double.init), wanted, 1e-6, "\(value)")
            }
        }
    }

    @Test func aSumWaitsInTheMemoryThatItIsWrittenTo() throws {
        let graph = Graph()
        let (dy, x) = (graph.input("dy", ValueType([30, 90])), graph.input("x", ValueType([30, 70])))
        let over = graph.input("over", ValueType([90, 70]))
        let first = try graph.emit("matmul", [dy, x], [("transpose_a", .bool(true))])[0]
        let between = try graph.emit("sum", [graph.emit("matmul", [x, x], [("transpose_b", .bool(true))])[0]])[0]
        let second = try graph.emit(
            "matmul", [graph.emit("mul", [dy, between])[0], x], [("transpose_a", .bool(true))])[0]
        let total = try graph.emit("add", [first, second])[0]
        // Gathering over what is there must read it first.
        let gathered = try graph.emit("add", [over, total])[0]
        var random = Seeded(5)
        var values: [Value: [Double]] = [:]
        for value in [dy, x, over] { values[value] = random.numbers(graph.type(value).count) }
        for value in [total, gathered] {
            let wanted = try Bench.shared.run(graph, [value], values)[0]
            try Bench.shared.with(threads: 2) {
                let device = try Bench.shared.device("cpu")
                let program = try Program(
                    graph, outputs: [], updates: [(value, over)], device: device, arena: SharedArena(device: device))
                var buffers: [Value: DeviceBuffer] = [:]
                for (value, elements) in values { buffers[value] = try device.upload(elements, .f32) }
                try program.run { buffers[$0] }
                let found = try #require(buffers[over]).read(Float.self, count: wanted.count)
                expectClose(found.map(Double.init), wanted, 1e-5, "\(value)")
            }
        }
    }
}
