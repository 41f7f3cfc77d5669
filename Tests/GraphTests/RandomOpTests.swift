import Testing

import Graph

/// Every op over random shapes, among them 0, 1, odd sizes and empty segments.
@Suite struct RandomOpTests {
    /// An example as a graph, with the gradients of a random projection of its outputs.
    struct Problem {
        let graph = Graph()
        let outputs: [Value]
        let loss: Value?
        let leaves: [Value]
        let gradients: [Value?]
        private(set) var values: [Value: [Double]] = [:]

        init(_ op: String, _ example: Example, _ random: inout Seeded) throws {
            var inputs: [Value] = []
            var floats: [Int] = []
            for (i, input) in example.inputs.enumerated() {
                switch input {
                case .none: inputs.append(.none)
                case .seed:
                    inputs.append(graph.input("seed", ValueType([2], .u32)))
                    values[inputs[i]] = [12345, 678]
                case .ints(let shape, let elements):
                    inputs.append(graph.input("\(i)", ValueType(shape, .i32)))
                    values[inputs[i]] = elements.map(Double.init)
                case .flags(let shape):
                    inputs.append(graph.input("\(i)", ValueType(shape)))
                    values[inputs[i]] = random.numbers(shape.reduce(1, *)).map { $0 > 0 ? 1 : 0 }
                case .floats(let shape, let range):
                    inputs.append(graph.input("\(i)", ValueType(shape)))
                    values[inputs[i]] = random.numbers(shape.reduce(1, *), in: range)
                    floats.append(i)
                }
            }
            outputs = try graph.emit(op, inputs, example.attributes)
            guard Op.named(op)?.isDifferentiable == true else {
                (loss, leaves, gradients) = (nil, [], [])
                return
            }
            var terms: [Value] = []
            for output in example.losses {
                let weight = graph.input("weight.\(output)", graph.type(outputs[output]))
                values[weight] = random.numbers(graph.type(weight).count)
                terms.append(try graph.emit("sum", [graph.emit("mul", [outputs[output], weight])[0]])[0])
            }
            var loss = terms[0]
            for term in terms.dropFirst() { loss = try graph.emit("add", [loss, term])[0] }
            leaves = (example.differentiable ?? floats).map { inputs[$0] }
            gradients = try graph.differentiate(loss, with: leaves)
            self.loss = loss
        }

        func reference(_ wanted: [Value], changing: Value = .none, at index: Int = 0, by step: Double = 0) throws
            -> [[Double]]
        {
            var run = ReferenceRun(graph)
            for (value, elements) in values {
                var elements = elements
                if value == changing { elements[index] += step }
                run.set(value, elements)
            }
            return try run.run(wanted)
        }
    }

    static func draw(_ op: String, _ seed: UInt64, large: Bool = false) throws -> Problem {
        var draw = large ? Draw.large(seed) : Draw.small(seed)
        let drawer = try #require(Examples.drawers[op], "no example of \(op)")
        let example = drawer(&draw)
        return try Problem(op, example, &draw.random)
    }

    @Test func everyOpHasAnExample() {
        // What changes memory that it is given is compared over whole sequences, in PagedAttentionOpsTests.
        // The other backward ops run in the gradients of theirs. Eight-bit states are compared with bitsandbytes in OptimizerTests:
        // a code whose neighbour is as near may be either.
        let covered: Set = [
            "attention_paged", "attention_backward", "label_logprobs_backward", "rms_norm_backward",
            "layer_norm_backward",
            "quantize_blocks", "dequantize_blocks",
        ]
        for op in Op.all where !covered.contains(op.name) {
            #expect(Examples.drawers[op.name] != nil, "\(op.name)")
        }
        for name in Examples.drawers.keys { #expect(Op.named(name) != nil, "\(name)") }
    }

    @Test(arguments: Examples.drawers.keys.sorted()) func gradientEqualsFiniteDifferences(op: String) throws {
        for seed in 0..<14 as Range<UInt64> {
            let problem = try Self.draw(op, seed)
            guard let loss = problem.loss else { return }
            for (leaf, gradient) in zip(problem.leaves, problem.gradients) {
                let count = problem.graph.type(leaf).count
                let found = try gradient.map { try problem.reference([$0])[0] } ?? [Double](repeating: 0, count: count)
                if let gradient {
                    #expect(problem.graph.shape(gradient) == problem.graph.shape(leaf), "\(op), seed \(seed)")
                }
                #expect(found.count == count)
                let step = 1e-5
                let numeric = try (0..<count).map { i in
                    let above = try problem.reference([loss], changing: leaf, at: i, by: step)[0][0]
                    let below = try problem.reference([loss], changing: leaf, at: i, by: -step)[0][0]
                    return (above - below) / (2 * step)
                }
                expectClose(found, numeric, 2e-7, "\(op), seed \(seed), gradient to \(leaf)")
            }
        }
    }

    @Test(arguments: Examples.drawers.keys.sorted(), ["cpu", "reference"]) func deviceEqualsReference(
        op: String, device: String
    ) throws {
        for seed in 0..<14 as Range<UInt64> {
            let problem = try Self.draw(op, seed)
            let wanted = problem.outputs + problem.gradients.compactMap { $0 }
            let reference = try problem.reference(wanted)
            let found = try Bench.shared.run(problem.graph, wanted, problem.values, on: device)
            for i in wanted.indices {
                expectClose(
                    found[i], reference[i], 5e-6, "\(op), seed \(seed), value \(i) of \(problem.graph.type(wanted[i]))")
            }
        }
    }

    @Test(arguments: Examples.drawers.keys.sorted()) func anyNumberOfThreadsGivesTheSameBits(op: String) throws {
        for seed in 0..<2 as Range<UInt64> {
            let problem = try Self.draw(op, seed, large: true)
            let wanted = problem.outputs + problem.gradients.compactMap { $0 }
            let one = try Bench.shared.run(problem.graph, wanted, problem.values, threads: 1)
            if seed == 0 {
                for (found, reference) in zip(one, try problem.reference(wanted)) {
                    expectClose(found, reference, 3e-5, "\(op), large")
                }
            }
            for threads in [2, 3, 5] {
                let many = try Bench.shared.run(problem.graph, wanted, problem.values, threads: threads)
                for i in wanted.indices {
                    #expect(
                        many[i].map(\.bitPattern) == one[i].map(\.bitPattern),
                        "\(op), seed \(seed), \(threads) threads, value \(i)")
                }
            }
        }
    }
}
