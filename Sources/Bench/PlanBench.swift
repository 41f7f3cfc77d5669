package import Graph

/// Times what comes before the first run: building and planning a graph of 32 layers.
package enum PlanBench {
    package static let name = "plan of 32 layers"

    package struct Times: Sendable {
        package let nodes: Int
        /// Seconds, medians of five.
        package let build, plan: Double
    }

    /// A decoder of 32 layers at the shapes of a 7B model, over 512 tokens.
    package static func run(on device: Device) throws -> Times {
        var (builds, plans): ([Double], [Double]) = ([], [])
        var nodes = 0
        let arena = SharedArena(device: device)
        for _ in 0..<5 {
            let start = Clock.now
            let graph = Graph()
            let y = try decoder(graph, layers: 32, tokens: 512)
            graph.settleLayouts()
            let built = Clock.now
            _ = try Program(graph, outputs: [y], device: device, arena: arena)
            builds.append(built - start)
            plans.append(Clock.now - built)
            nodes = graph.nodes.count
        }
        return Times(nodes: nodes, build: builds.sorted()[2], plan: plans.sorted()[2])
    }

    private static func decoder(_ graph: Graph, layers: Int, tokens: Int) throws -> Value {
        let (width, inner, heads, keyHeads, headWidth) = (4096, 11008, 32, 8, 128)
        let positions = graph.input("positions", ValueType([tokens], .i32))
        let segments = graph.input("segments", ValueType([2], .i32))
        let frequencies = try graph.constant([Float](repeating: 0.5, count: headWidth / 2), [headWidth / 2])
        var x = graph.input("x", ValueType([tokens, width]))
        func norm(_ name: String, _ x: Value) throws -> Value {
            try graph.emit("rms_norm", [x, graph.parameter(name, [width])], [("eps", .float(1e-6))])[0]
        }
        func split(_ name: String, _ x: Value, _ count: Int) throws -> Value {
            let y = try graph.linear(name, x, count * headWidth)
            return try graph.emit("reshape", [y], [("shape", .ints([tokens, count, headWidth]))])[0]
        }
        for layer in 0..<layers {
            graph.openBlock("model.layers.\(layer)")
            let h = try norm("input_layernorm.weight", x)
            let q = try graph.emit("rope", [split("self_attn.q_proj", h, heads), positions, frequencies])[0]
            let k = try graph.emit("rope", [split("self_attn.k_proj", h, keyHeads), positions, frequencies])[0]
            let v = try split("self_attn.v_proj", h, keyHeads)
            let a = try graph.emit("attention", [q, k, v, segments, segments], [("scale", .float(0.088))])[0]
            let flat = try graph.emit("reshape", [a], [("shape", .ints([tokens, width]))])[0]
            let y = try graph.emit("add", [x, graph.linear("self_attn.o_proj", flat, width)])[0]
            let m = try norm("post_attention_layernorm.weight", y)
            let gate = try graph.emit("silu", [graph.linear("mlp.gate_proj", m, inner)])[0]
            let product = try graph.emit("mul", [gate, graph.linear("mlp.up_proj", m, inner)])[0]
            x = try graph.emit("add", [y, graph.linear("mlp.down_proj", product, width)])[0]
            try graph.closeBlock()
        }
        return x
    }
}
