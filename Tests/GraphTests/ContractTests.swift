import GraphInC
import Host
import JSON
import PluginAPI
import PluginKit
import Testing

import Graph

/// The builder from C, from Swift and through a plugin's op gives one graph.
@Suite struct ContractTests {
    /// What a graph says, without the numbers of its values.
    private func lines(_ graph: Graph) -> [String] {
        graph.nodes.map { node in
            let inputs = node.inputs.map { input -> String in
                if input.isNone { return "none" }
                if let parameter = graph.parameter(input) { return "\(parameter.name)\(parameter.shape)" }
                return "\(graph.producers[input.index])"
            }
            let attributes = node.attributes.pairs.map { "\($0.0)=\($0.1)" }
            return
                "\(graph.blocks[node.block]): \(node.op.name)(\(inputs)) \(attributes) \(node.outputs.map { graph.type($0) })"
        }
    }

    @Test func cAndSwiftStateTheSameGraph() throws {
        let (width, inner) = (6, 10)
        let inC = Graph()
        let x = inC.input("x", ValueType([4, width]))
        var error = mt_error()
        error.struct_size = UInt32(MemoryLayout<mt_error>.size)
        let y = test_feed_forward(
            GraphService.table, GraphService.handle(inC), GraphService.value(x, of: inC), Int64(width), Int64(inner),
            &error)
        let result = try GraphService.value(y, in: inC)
        #expect(!result.isNone)

        let inSwift = Graph()
        let sameX = inSwift.input("x", ValueType([4, width]))
        let g = GraphBuilder(graph: GraphService.handle(inSwift), api: GraphService.table)
        let input = g.tensor(GraphService.value(sameX, of: inSwift))
        let same = g.block("model.layers.0") { () -> Tensor in
            let h = g.rmsNorm("post_attention_layernorm", input, eps: 1e-6)
            let product = g.silu(g.linear("mlp.gate_proj", h, inner)) * g.linear("mlp.up_proj", h, inner, bias: true)
            return input + g.linear("mlp.down_proj", product, width)
        }
        try g.check()
        #expect(lines(inC) == lines(inSwift))

        var random = Seeded(3)
        func run(_ graph: Graph, _ x: Value, _ y: Value) throws -> [Double] {
            var random = Seeded(5)
            var values = [x: random.numbers(4 * width)]
            for (_, parameter) in graph.parameters.sorted(by: { $0.key < $1.key }) {
                values[parameter] = random.numbers(graph.type(parameter).count)
            }
            return try Bench.shared.run(graph, [y], values)[0]
        }
        _ = random.next()
        #expect(try run(inC, x, result) == run(inSwift, sameX, GraphService.value(same.value, in: inSwift)))
    }

    /// The family's plugin and the same in C, over the configuration of a golden model.
    @Test func qwen3InCIsTheGraphOfItsPlugin() throws {
        let text = String(decoding: try Goldens.bytes("families/qwen3/config.json"), as: UTF8.self)
        let config = ModelConfig(try JSON(parsing: text))
        let tokens = 6
        func inputs(_ graph: Graph) -> [mt_value] {
            [("ids", tokens), ("positions", tokens), ("segments", 3)].map {
                GraphService.value(graph.input($0.0, ValueType([$0.1], .i32)), of: graph)
            }
        }
        var sizes = test_qwen3_sizes()
        sizes.tokens = Int64(tokens)
        sizes.layers = Int64(try config.layers())
        sizes.hidden = Int64(try config.int("hidden_size"))
        sizes.inner = Int64(try config.int("intermediate_size"))
        sizes.heads = Int64(try config.int("num_attention_heads"))
        sizes.kv_heads = Int64(try config.int("num_key_value_heads"))
        sizes.head_width = Int64(try config.int("head_dim"))
        sizes.vocabulary = Int64(try config.int("vocab_size"))
        sizes.eps = try config.double("rms_norm_eps", default: 1e-6)
        sizes.theta = try config.double("rope_theta", default: 10000)
        var error = mt_error()
        error.struct_size = UInt32(MemoryLayout<mt_error>.size)
        let inC = Graph()
        let given = inputs(inC)
        let states = test_qwen3(
            GraphService.table, GraphService.handle(inC), given[0], given[1], given[2], &sizes, &error)
        #expect(states.index != 0, "\(error.failure(error.code).message)")

        let services = Services(log: Log(least: .error))
        services.register(MT_SERVICE_GRAPH, at: GraphService.table)
        let component = try Registry(.standard(), services: services).component(kind: MT_KIND_MODEL, id: "qwen3")
        let table = try #require(component.table?.assumingMemoryBound(to: mt_model_table.self))
        let inSwift = Graph()
        let same = inputs(inSwift)
        var build = mt_build()
        build.struct_size = UInt32(MemoryLayout<mt_build>.size)
        build.graph = GraphService.handle(inSwift)
        (build.ids, build.positions, build.segments) = (same[0], same[1], same[2])
        var outputs = [mt_value](repeating: mt_value(), count: 1)
        var count = 0
        let status = text.lent { config in
            "decoder".lent { part in
                (build.config, build.part) = (config, part)
                return table.pointee.build(component.ctx, &build, &outputs, 1, &count, &error)
            }
        }
        #expect(status == MT_OK && count == 1, "\(error.failure(status).message)")
        #expect(outputs[0].index == states.index)
        #expect(lines(inC) == lines(inSwift))
    }

    private func op(_ id: StaticString, _ table: UnsafePointer<mt_op_table>) throws -> PluginOp {
        var component = mt_component()
        component.struct_size = UInt32(MemoryLayout<mt_component>.size)
        component.id = mt_str(
            data: UnsafeRawPointer(id.utf8Start).assumingMemoryBound(to: CChar.self), size: id.utf8CodeUnitCount)
        component.table = UnsafeRawPointer(table)
        component.ctx = UnsafeMutableRawPointer(mutating: UnsafeRawPointer(GraphService.table))
        return try PluginOp(component: component)
    }

    @Test func anOpOfAPluginRunsAndDifferentiatesThroughItsDecomposition() throws {
        let custom = try withUnsafePointer(to: test_clamped_swiglu) { try op("clamped_swiglu", $0) }
        let graph = Graph()
        graph.customOp = { name, graph, inputs, attributes, outputs in
            name == "clamped_swiglu" ? try custom.emit(graph, inputs, attributes, outputs: outputs) : nil
        }
        var random = Seeded(11)
        let (gate, up) = (graph.input("gate", ValueType([5, 3])), graph.input("up", ValueType([5, 3])))
        let values = [gate: random.numbers(15, in: -3...3), up: random.numbers(15, in: -3...3)]
        let y = try graph.emit("clamped_swiglu", [gate, up], [("alpha", .float(1.5)), ("limit", .float(1))])[0]
        let gradients = try graph.differentiate(graph.emit("sum", [y])[0], with: [gate, up]).compactMap { $0 }
        let found = try Bench.shared.run(graph, [y] + gradients, values)
        // The formula and its derivatives, written out.
        var wanted: [[Double]] = [[], [], []]
        for (g, u) in zip(values[gate] ?? [], values[up] ?? []) {
            let s = 1 / (1 + exponential(-1.5 * g))
            wanted[0].append((min(u, 1) + 1) * g * s)
            wanted[1].append((min(u, 1) + 1) * (s + 1.5 * g * s * (1 - s)))
            wanted[2].append(u < 1 ? g * s : 0)
        }
        for i in 0..<3 { expectClose(found[i], wanted[i], 1e-6, "value \(i)") }
    }

    @Test func anOpThatDecomposesIntoItselfIsAnError() throws {
        let custom = try withUnsafePointer(to: test_endless) { try op("endless", $0) }
        let graph = Graph()
        graph.customOp = { name, graph, inputs, attributes, outputs in
            name == "endless" ? try custom.emit(graph, inputs, attributes, outputs: outputs) : nil
        }
        let x = graph.input("x", ValueType([1]))
        let failure = #expect(throws: GraphError.self) { try graph.emit("endless", [x]) }
        #expect(failure?.message.contains("nest too deeply") == true, "\(String(describing: failure))")
    }
}
