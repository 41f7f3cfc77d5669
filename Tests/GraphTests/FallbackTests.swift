import Testing

import Graph

/// A device that runs only some ops, together with the processor.
@Suite struct FallbackTests {
    /// A decoder's layer with its loss: some of its ops the reference device has, others only the processor.
    private func layer() throws -> (graph: Graph, loss: Value, values: [Value: [Double]]) {
        let (tokens, heads, width) = (7, 2, 8)
        let graph = Graph()
        var random = Seeded(21)
        var values: [Value: [Double]] = [:]
        func input(_ name: String, _ shape: [Int]) -> Value {
            let value = graph.input(name, ValueType(shape))
            values[value] = random.numbers(shape.reduce(1, *))
            return value
        }
        func parameter(_ name: String, _ shape: [Int]) throws -> Value {
            let value = try graph.parameter(name, shape)
            values[value] = random.numbers(shape.reduce(1, *), in: -0.5...0.5)
            return value
        }
        let segments = graph.input("segments", ValueType([3], .i32))
        values[segments] = [0, 3, Double(tokens)]
        let x = input("x", [tokens, heads * width])
        let h = try graph.emit("rms_norm", [x, parameter("norm", [heads * width])], [("eps", .float(1e-5))])[0]
        func split(_ name: String) throws -> Value {
            let y = try graph.emit("linear", [h, parameter(name, [heads * width, heads * width])])[0]
            return try graph.emit("reshape", [y], [("shape", .ints([tokens, heads, width]))])[0]
        }
        let a = try graph.emit(
            "attention", [split("q"), split("k"), split("v"), segments, segments], [("scale", .float(0.3))])[0]
        let flat = try graph.emit("reshape", [a], [("shape", .ints([tokens, heads * width]))])[0]
        let y = try graph.emit(
            "add", [x, graph.emit("linear", [flat, parameter("o", [heads * width, heads * width])])[0]])[0]
        return (graph, try graph.emit("sum", [graph.emit("mul", [y, graph.emit("gelu", [y])[0]])[0]])[0], values)
    }

    @Test func aModelRunsOverTwoDevicesAsOverOne() throws {
        let (graph, loss, values) = try layer()
        let parameters = graph.parameters.values.sorted { $0.index < $1.index }
        let wanted = [loss] + (try graph.differentiate(loss, with: parameters)).compactMap { $0 }
        #expect(wanted.count == parameters.count + 1)
        var reference = ReferenceRun(graph)
        for (value, elements) in values { reference.set(value, elements) }
        let exact = try reference.run(wanted)
        for device in ["cpu", "reference"] {
            let found = try Bench.shared.run(graph, wanted, values, on: device)
            for i in wanted.indices { expectClose(found[i], exact[i], 1e-5, "\(device), value \(i)") }
        }
    }

    @Test func bothDevicesHaveAPartAndUpdatesArriveInTheCallersBuffers() throws {
        let (graph, loss, values) = try layer()
        let weight = try #require(graph.parameters["q"])
        let gradient = try #require(graph.differentiate(loss, with: [weight])[0])
        let step = try graph.emit("sub", [weight, graph.emit("scale", [gradient], [("factor", .float(0.1))])[0]])[0]
        // An update that only the processor computes.
        let other = graph.input("sorted", ValueType([16]))
        let sums = try graph.emit("cumsum", [other])[0]
        var given = values
        given[other] = (0..<16).map(Double.init)
        let problem = given
        try Bench.shared.with(threads: 2) {
            let device = try Bench.shared.device("reference")
            let program = try Program(
                graph, outputs: [loss], updates: [(step, weight), (sums, other)], device: device,
                arena: SharedArena(device: device))
            for part in program.stepsByDevice { #expect(part.steps > 0, "\(part.device)") }
            var buffers: [Value: DeviceBuffer] = [:]
            for (value, elements) in problem { buffers[value] = try device.upload(elements, graph.type(value).element) }
            try program.run { buffers[$0] }
            var reference = ReferenceRun(graph)
            for (value, elements) in problem { reference.set(value, elements) }
            let exact = try reference.run([step, sums])
            for (i, value) in [weight, other].enumerated() {
                let found = try #require(buffers[value]).read(Float.self, count: exact[i].count).map(Double.init)
                expectClose(found, exact[i], 1e-5, "update \(i)")
            }
        }
    }

    @Test func withoutAFallbackAnOpThatTheDeviceLacksIsAnError() throws {
        let graph = Graph()
        graph.openBlock("model.layers.1")
        let x = graph.input("x", ValueType([3, 4]))
        let y = try graph.emit("cumsum", [x])[0]
        let failure = #expect(throws: GraphError.self) {
            try Bench.shared.with(threads: 1) {
                let device = try Bench.shared.device("reference", fallback: false)
                _ = try Program(graph, outputs: [y], device: device, arena: SharedArena(device: device))
            }
        }
        #expect(failure?.code == .unsupported)
        #expect(failure.map { "\($0)".contains("model.layers.1: cumsum") } == true, "\(String(describing: failure))")
    }
}
