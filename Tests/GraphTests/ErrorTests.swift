import PluginAPI
import PluginKit
import Testing

import Graph

/// Bad graphs are errors that name the op, the block and the parameter, what was found and what was wanted.
@Suite struct ErrorTests {
    /// The error of `body`, which must say each of `parts`.
    private func expectError(_ parts: String..., location: SourceLocation = #_sourceLocation, _ body: () throws -> Void)
    {
        do {
            try body()
            Issue.record("no error; wanted one that says \(parts)", sourceLocation: location)
        } catch {
            let text = String(describing: error)
            for part in parts where !text.contains(part) {
                Issue.record("\"\(text)\" does not say \"\(part)\"", sourceLocation: location)
            }
        }
    }

    private func inBlock(_ body: (Graph, Value) throws -> Void) throws {
        let graph = Graph()
        let x = graph.input("x", ValueType([4, 6]))
        graph.openBlock("model.layers.3")
        try body(graph, x)
    }

    @Test func aShapeThatDoesNotFitNamesOpBlockAndParameter() throws {
        try inBlock { graph, x in
            let weight = try graph.parameter("mlp.up_proj.weight", [8, 5])
            expectError(
                "model.layers.3", "linear", "weight [N, K]", "f32 [8, 5]", "shape [8, 6]",
                "model.layers.3.mlp.up_proj.weight"
            ) {
                try graph.emit("linear", [x, weight])
            }
        }
    }

    @Test func aTypeThatDoesNotFitSaysFoundAndWanted() throws {
        try inBlock { graph, x in
            let table = try graph.parameter("table", [10, 4])
            expectError("model.layers.3", "embedding", "ids", "f32 [4, 6]", "i32") {
                try graph.emit("embedding", [table, x])
            }
            let ids = graph.input("ids", ValueType([4], .i32))
            expectError("add", "input 0", "i32 [4]", "a float type") { try graph.emit("add", [ids, ids]) }
            expectError("add", "[4, 6]", "[5]", "do not broadcast") {
                try graph.emit("add", [x, graph.input("y", ValueType([5]))])
            }
        }
    }

    @Test func anUnknownOpSuggestsTheNearest() throws {
        try inBlock { graph, x in
            expectError("model.layers.3", "sofmax", "unknown op", "did you mean \"softmax\"") {
                try graph.emit("sofmax", [x])
            }
            expectError("qqqqqqqqqqqq", "unknown op") { try graph.emit("qqqqqqqqqqqq", [x]) }
        }
    }

    @Test func attributesThatAreUnknownMissingOrOfAnotherTypeAreNamed() throws {
        try inBlock { graph, x in
            let w = try graph.parameter("norm.weight", [6])
            expectError("rms_norm", "unknown attribute \"epsilon\"", "eps", "offset") {
                try graph.emit("rms_norm", [x, w], [("epsilon", .float(1e-6))])
            }
            expectError("rms_norm", "\"eps\" is missing") { try graph.emit("rms_norm", [x, w]) }
            expectError("rms_norm", "\"eps\" is a text", "wanted a number") {
                try graph.emit("rms_norm", [x, w], [("eps", .string("small"))])
            }
        }
    }

    @Test func aValueOfAnotherGraphIsRefused() throws {
        let (one, other) = (Graph(), Graph())
        let theirs = other.input("x", ValueType([2]))
        let g = GraphBuilder(graph: GraphService.handle(one), api: GraphService.table)
        _ = g.exp(g.tensor(GraphService.value(theirs, of: other)))
        let failure = try #require(g.failure)
        #expect(failure.message.contains("another graph"), "\(failure)")
        #expect(one.failure?.message == failure.message)
        // A value that does not exist, by a number made up.
        let made = GraphBuilder(graph: GraphService.handle(one), api: GraphService.table)
        _ = made.exp(made.tensor(mt_value(graph: one.id, index: 77)))
        #expect(made.failure?.message.contains("77 does not exist") == true)
        expectError("add", "no value of this graph") { try one.emit("add", [Value(5), Value(6)]) }
        expectError("add", "wants 2 inputs", "found 1") { try one.emit("add", [one.input("y", ValueType([1]))]) }
    }

    @Test func anAttributeOfATypeThatThereIsNotNamesOpAndBlock() throws {
        try inBlock { graph, x in
            var error = mt_error()
            error.struct_size = UInt32(MemoryLayout<mt_error>.size)
            let (input, api) = (GraphService.value(x, of: graph), GraphService.table.pointee)
            var output = mt_value()
            let status = "softmax".lent { op in
                "axis".lent { name in
                    var attribute = mt_attr()
                    (attribute.name, attribute.type) = (name, 99)
                    return withUnsafePointer(to: input) {
                        api.emit(GraphService.handle(graph), op, $0, 1, &attribute, 1, &output, 1, &error)
                    }
                }
            }
            #expect(status == MT_INVALID)
            expectError("model.layers.3: softmax", "\"axis\" has the unknown type 99") {
                throw try #require(graph.failure)
            }
        }
    }

    @Test func aParameterWithoutANameOrWithUnknownFlagsIsRefused() throws {
        try inBlock { graph, x in
            expectError("model.layers.3: parameter", "empty name") { _ = try graph.parameter("", [4]) }
            expectError("model.layers.3: parameter", "empty name") { _ = try graph.parameter("/", [4]) }
            expectError("model.layers.3: linear", "empty name") { _ = try graph.linear("", x, 4) }
            let flags = Graph.ParameterFlags(rawValue: 6)
            for wanted in ["parameter", "model.layers.3.q.weight", "flags 6", "wanted 1 (transposed), 2 (optional)"] {
                expectError(wanted) { _ = try graph.parameter("q.weight", [4], flags: flags) }
                expectError(wanted) { _ = try graph.linear("q", x, 4, flags: flags) }
            }
        }
    }

    @Test func aParameterAskedForInTwoShapesIsRefused() throws {
        try inBlock { graph, _ in
            _ = try graph.parameter("q.weight", [4, 6])
            expectError("model.layers.3.q.weight", "[4, 6]", "[6, 4]") { _ = try graph.parameter("q.weight", [6, 4]) }
        }
    }

    @Test func sizesFromOutsideDoNotOverflow() throws {
        let graph = Graph()
        let x = graph.input("x", ValueType([2, 3]))
        let ids = graph.input("ids", ValueType([2], .i32))
        let huge = 1 << 40
        for shape in [[huge, huge], [-1, huge, huge], [Int.max, 2], [-5, -1], [Int.min, 1], [0, -1]] {
            expectError("reshape") { try graph.emit("reshape", [x], [("shape", .ints(shape))]) }
        }
        expectError("scatter_add_rows") { try graph.emit("scatter_add_rows", [x, ids], [("rows", .int(-3))]) }
        expectError("scatter_add_rows") { try graph.emit("scatter_add_rows", [x, ids], [("rows", .int(Int.max))]) }
        expectError("sum_sequences") {
            try graph.emit("sum_sequences", [graph.input("v", ValueType([2])), ids], [("count", .int(Int.min))])
        }
        expectError("broadcast") {
            try graph.emit("broadcast", [graph.input("s", ValueType([]))], [("shape", .ints([huge, huge]))])
        }
        expectError("unfold") {
            try graph.emit("unfold", [x], [("kernel", .ints([Int.max])), ("dilation", .ints([Int.max]))])
        }
        expectError("unfold") {
            try graph.emit("unfold", [x], [("kernel", .ints([1])), ("padding", .ints([Int.max]))])
        }
        expectError("slice") {
            try graph.emit("slice", [x], [("axis", .int(Int.min)), ("start", .int(0)), ("end", .int(1))])
        }
        expectError("slice") {
            try graph.emit("slice", [x], [("axis", .int(0)), ("start", .int(-1)), ("end", .int(Int.max))])
        }
        expectError("slice_gradient") {
            try graph.emit(
                "slice_gradient", [x],
                [("shape", .ints([2, 4])), ("axis", .int(1)), ("start", .int(0)), ("end", .int(2))])
        }
        expectError("sum") { try graph.emit("sum", [x], [("axes", .ints([Int.max]))]) }
        expectError("transpose") { try graph.emit("transpose", [x], [("permutation", .ints([0, 0]))]) }
        expectError("topk") { try graph.emit("topk", [x], [("k", .int(4))]) }
        let heads = graph.input("heads", ValueType([2, 1, 8]))
        let frequencies = graph.input("f", ValueType([4]))
        expectError("rope", "sections") {
            try graph.emit(
                "rope", [heads, graph.input("p", ValueType([2, 2], .i32)), frequencies],
                [("sections", .ints([Int.max, Int.max]))])
        }
        expectError("parameter") { _ = try graph.parameter("w", [huge, huge]) }
        // Through the contract as well.
        let g = GraphBuilder(graph: GraphService.handle(graph), api: GraphService.table)
        _ = g.parameter("w", [-4])
        #expect(g.failure?.message.contains("out of range") == true, "\(String(describing: g.failure))")
    }

    @Test func theGradientOfASecondOutputIsNotLost() throws {
        let graph = Graph()
        let hidden = graph.input("hidden", ValueType([3, 4]))
        let head = graph.input("head", ValueType([5, 4]))
        let labels = graph.input("labels", ValueType([3], .i32))
        let out = try graph.emit("label_logprobs", [hidden, head, labels], [("entropy", .bool(true))])
        let loss = try graph.emit("sum", [graph.emit("add", [out[0], out[3]])[0]])[0]
        expectError("label_logprobs", "output 3", "no gradient", "outputs 0 to 2") {
            _ = try graph.differentiate(loss, with: [hidden])
        }
        expectError("gradient", "single number", "[3, 4]") { _ = try graph.differentiate(hidden, with: [hidden]) }
        expectError("block") { try graph.closeBlock() }
    }

    @Test(arguments: ["cpu", "reference"]) func noMemoryIsAnErrorThatNamesTheStep(device: String) throws {
        let graph = Graph()
        graph.openBlock("model.layers.0")
        let x = graph.input("x", ValueType([1 << 22, 1]))
        let y = try graph.emit("linear", [x, graph.parameter("huge.weight", [1 << 24, 1])])[0]
        let sum = try graph.emit("softmax", [y])[0]
        expectError(device, "memory", "a run needs 5629499", "largest step takes 28147497", "model.layers.0: linear") {
            _ = try Bench.shared.run(
                graph, [sum], [x: [0], graph.parameters["model.layers.0.huge.weight"] ?? .none: [0]], on: device)
        }
        expectError(device, "allocate", "memory") { _ = try Bench.shared.device(device).allocate(1 << 50) }
    }

    @Test func aValueThatWasNotGivenIsAnError() throws {
        let graph = Graph()
        let x = graph.input("x", ValueType([4]))
        let y = try graph.emit("softmax", [x])[0]
        expectError("run", "was not given") { _ = try Bench.shared.run(graph, [y], [:]) }
    }
}
