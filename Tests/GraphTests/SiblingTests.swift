import Testing

import Graph

/// Neighbouring products of one value run as one step.
@Suite struct SiblingTests {
    /// Queries, keys and values of one x; the keys' have a bias. Then a product of another value.
    private func siblings(tokens: Int) throws -> (graph: Graph, outputs: [Value], values: [Value: [Double]]) {
        let graph = Graph()
        var random = Seeded(5)
        var values: [Value: [Double]] = [:]
        func parameter(_ name: String, _ shape: [Int]) throws -> Value {
            let value = try graph.parameter(name, shape)
            values[value] = random.numbers(shape.reduce(1, *))
            return value
        }
        let x = graph.input("x", ValueType([tokens, 24]))
        values[x] = random.numbers(tokens * 24)
        let q = try graph.emit("linear", [x, parameter("q", [40, 24])])[0]
        let k = try graph.emit("linear", [x, parameter("k", [8, 24]), parameter("k.bias", [8])])[0]
        let v = try graph.emit("linear", [x, parameter("v", [8, 24])])[0]
        let o = try graph.emit("linear", [q, parameter("o", [24, 40])])[0]
        return (graph, [q, k, v, o], values)
    }

    @Test(arguments: [1, 7, 16]) func productsOfOneValueAreOneStepAndKeepTheirBits(tokens: Int) throws {
        let (graph, outputs, values) = try siblings(tokens: tokens)
        let device = try Bench.shared.device("cpu")
        let program = try Program(graph, outputs: outputs, device: device, arena: SharedArena(device: device))
        #expect(program.stepCount == 2)
        let apart = try Bench.shared.run(graph, outputs, values, threads: 1, fuse: false)
        for threads in [1, 2, 3] {
            #expect(try Bench.shared.run(graph, outputs, values, threads: threads) == apart)
        }
    }

    @Test func manyTokensAndOtherDevicesKeepThemApart() throws {
        let (graph, outputs, values) = try siblings(tokens: 17)
        for id in ["cpu", "reference"] {
            let device = try Bench.shared.device(id, fallback: false)
            let program = try Program(graph, outputs: outputs, device: device, arena: SharedArena(device: device))
            #expect(program.stepCount == 4, "\(id)")
        }
        var reference = ReferenceRun(graph)
        for (value, elements) in values { reference.set(value, elements) }
        let exact = try reference.run(outputs)
        let found = try Bench.shared.run(graph, outputs, values, on: "reference")
        for i in outputs.indices { expectClose(found[i], exact[i], 1e-5, "value \(i)") }
    }

    /// What a program is given may be looked up once for many runs.
    @Test func boundBuffersServeManyRuns() throws {
        let (graph, outputs, values) = try siblings(tokens: 2)
        try Bench.shared.with(threads: 2) {
            let device = try Bench.shared.device("cpu")
            let program = try Program(graph, outputs: outputs, device: device, arena: SharedArena(device: device))
            var buffers: [Value: DeviceBuffer] = [:]
            for (value, elements) in values { buffers[value] = try device.upload(elements.map { Float($0) }) }
            let bound = try program.bind { buffers[$0] }
            try program.run(bound)
            let first = try program.read(outputs[3], as: Float.self)
            try program.run { buffers[$0] }
            #expect(try program.read(outputs[3], as: Float.self) == first)
            #expect(throws: GraphError.self) { try program.bind { _ in nil } }
        }
    }
}
