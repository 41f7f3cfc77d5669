import Glibc
import JSON
import PluginKit
import Testing

import Graph

/// Every published scaling of rotary positions, by the configurations that name them, against transformers.
@Suite struct RopeFrequencyTests {
    static let entries: [String: JSON] = {
        let object = (try? Goldens.json("rope/frequencies.json"))?.object
        return Dictionary(uniqueKeysWithValues: object?.map { ($0.key, $0.value) } ?? [])
    }()

    @Test func theFileNamesEveryKind() {
        let kinds = Set(Self.entries.values.compactMap { $0["rope_type"]?.string })
        #expect(kinds == ["default", "linear", "dynamic", "yarn", "llama3", "longrope"])
    }

    /// Pairs (1, 0) at position 1 turn to (cos, sin) of their frequency; a second token says how long the text is.
    @Test(arguments: entries.keys.sorted()) func frequenciesEqualTransformers(name: String) throws {
        let entry = try #require(Self.entries[name])
        let config = ModelConfig(try #require(entry["config"]))
        let wanted = try #require(entry["inv_freq"]?.array).compactMap(\.double)
        let scale = try #require(entry["attention_factor"]?.double)
        let hidden = try config.int("hidden_size") / config.int("num_attention_heads")
        let width = try config.int("qk_rope_head_dim", default: config.int("head_dim", default: hidden))
        let rope = try RopeFrequencies(config, headWidth: width)
        let pairs = rope.values.count
        #expect(pairs == wanted.count)

        let graph = Graph()
        let x = graph.input("x", ValueType([2, 1, 2 * pairs]))
        let positions = graph.input("positions", ValueType([2], .i32))
        let g = GraphBuilder(graph: GraphService.handle(graph), api: GraphService.table)
        let turned = g.rope(
            g.tensor(GraphService.value(x, of: graph)), g.tensor(GraphService.value(positions, of: graph)), rope)
        try g.check()
        var run = ReferenceRun(graph)
        run.set(x, (0..<4 * pairs).map { $0 % (2 * pairs) < pairs ? 1 : 0 })
        run.set(positions, [1, Double((entry["sequence_length"]?.int ?? 2) - 1)])
        let y = try run.run([GraphService.value(turned.value, in: graph)])[0]
        for i in 0..<pairs {
            let (cosine, sine) = (y[i], y[i + pairs])
            #expect(abs(hypot(cosine, sine) - scale) < 1e-5 * scale, "pair \(i)")
            #expect(abs(atan2(sine, cosine) - wanted[i]) < 2e-6 * wanted[i], "pair \(i)")
        }
    }
}
