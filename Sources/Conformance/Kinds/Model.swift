import Graph
import Host
import JSON
import PluginAPI
import PluginKit

extension Case {
    static let model = kindCase(
        "model", MT_KIND_MODEL, claim: "a config of any sort is scored and described, or refused"
    ) {
        component, _ in
        let table = component.table(mt_model_table())
        for text in Ask.hostileTexts {
            try Ask.score("probe of \(text.prefix(40))", try Borrowed.lend(text) { table.probe(component.context, $0) })
            try Ask.json("describe of \(text.prefix(40))") { sink, error in
                try Borrowed.lend(text) { table.describe(component.context, $0, sink, error) }
            }
        }
    }

    /// Configurations that `--model_config` names, or check/config.json beside the manifest.
    static let modelGraph = kindCase(
        "model-graph", MT_KIND_MODEL,
        claim: "the graph has the shapes that describe states, and the gradient that finite differences give"
    ) { component, subject in
        let table = component.table(mt_model_table())
        let own = try subject.configs().filter { config in
            try Borrowed.lend(config) { table.probe(component.context, $0) } == 100
        }
        if own.isEmpty {
            throw Skip(reason: "no config of its own was given: put one in check/config.json, or use --model_config")
        }
        for config in own { try ModelSuite(component, table, config).run() }
    }
}

/// Builds a small model of a family and holds it against its own description.
private struct ModelSuite {
    let component: Component
    let table: mt_model_table
    let config: String

    init(_ component: Component, _ table: mt_model_table, _ config: String) {
        (self.component, self.table, self.config) = (component, table, config)
    }

    func run() throws {
        let what = "\(component.id)"
        let context = component.context
        guard
            let shape = try Ask.json(
                "describe",
                { sink, error in
                    try Borrowed.lend(config) { table.describe(context, $0, sink, error) }
                })
        else { throw Breach("\(what): describe refuses a config that probe scores 100") }
        guard let hidden = shape["hidden"]?.int, let part = shape["parts"]?[0]?.string, shape["vocab"]?.int != nil,
            let layers = shape["layers"]?.int, let attention = shape["attention"]?.array, attention.count == layers
        else { throw Breach("\(what): describe lacks hidden, vocab, parts, layers, or one entry of attention a layer") }
        guard hidden <= 512, layers <= 8 else { throw Skip(reason: "the config is too large to be run by references") }
        var bench = Bench()
        let (tokens, isDecoder) = (7, part == "decoder")
        let ids = bench.input("ids", [tokens], [5, 9, 3, 9, 1, 0, 4], .i32)
        let positions = bench.input("positions", [tokens], [0, 1, 2, 3, 0, 1, 2], .i32)
        let segments = bench.input("segments", [3], [0, 4, 7], .i32)
        let types = isDecoder ? nil : bench.input("type_ids", [tokens], [0, 0, 1, 1, 0, 0, 0], .i32)
        var build = mt_build()
        build.struct_size = UInt32(MemoryLayout<mt_build>.size)
        build.graph = bench.handle
        (build.ids, build.positions, build.segments) = (bench.raw(ids), bench.raw(positions), bench.raw(segments))
        if let types { build.type_ids = bench.raw(types) }
        // A decoder that attends to images or sound: an item for each of the two sequences.
        if isDecoder, let source = shape["context"]?.string {
            guard let sizes = shape["features"]?[source]?.array?.compactMap(\.int), !sizes.isEmpty else {
                throw Breach("\(what): describe names the context \(source) and no features that it reads")
            }
            var media = build
            (media.ids, media.positions, media.segments) = (mt_value(), mt_value(), mt_value())
            media.embeds = bench.raw(bench.input("features", [2] + sizes))
            let states = try output(&bench, &media, part: source)
            let rows = bench.graph.shape(states).first ?? 0
            build.context = bench.raw(states)
            build.context_segments = bench.raw(
                bench.input("context_segments", [3], [0, Double(rows / 2), Double(rows)], .i32))
        }
        let output = try output(&bench, &build, part: part)
        guard bench.graph.shape(output) == [tokens, hidden] else {
            throw Breach(
                "\(what): hidden states are \(bench.graph.shape(output)), describe says [\(tokens), \(hidden)]")
        }
        let parameters = bench.fillParameters()
        guard !parameters.isEmpty else { throw Breach("\(what): the graph has no parameters") }
        let loss = try bench.weightedSum(output)
        try bench.checkGradient(what, of: loss, parameters)
        // transformers' name for decoders whose tokens see both ways, as those made into text encoders do.
        let seesBothWays = try JSON(parsing: config)["use_bidirectional_attention"]?.bool ?? false
        try checkSegments(
            &bench, output, ids: ids, tokens: tokens, hidden: hidden, isCausal: isDecoder && !seesBothWays)
        try Ask.together("\(what): describe") {
            try Ask.bytes("describe") { sink, error in config.lent { table.describe(context, $0, sink, error) } }
        }
    }

    /// The first output of a part.
    private func output(_ bench: inout Bench, _ build: inout mt_build, part: String) throws -> Value {
        var outputs = [mt_value](repeating: mt_value(), count: 8)
        var count = 0
        try Ask.demand("\(component.id): build of \(part)") { error in
            try Borrowed.lend(config) { config in
                try Borrowed.lend(part) { part in
                    (build.config, build.part) = (config, part)
                    return table.build(component.context, &build, &outputs, outputs.count, &count, error)
                }
            }
        }
        guard count >= 1 else { throw Breach("\(component.id): build of \(part) gave no output") }
        return try bench.value(outputs[0])
    }

    /// What one sequence holds must not reach the other, nor, in a decoder, a later token an earlier one. The token that is changed
    /// is the first sequence's last one, next to the other.
    private func checkSegments(
        _ bench: inout Bench, _ output: Value, ids: Value, tokens: Int, hidden: Int, isCausal: Bool
    ) throws {
        let before = try bench.values([output])[0]
        var changed = [Double](repeating: 0, count: tokens)
        changed[3] = -4
        let after = try bench.values([output], moving: [ids: changed], by: 1)[0]
        let untouched = isCausal ? [0, 1, 2, 4, 5, 6] : [4, 5, 6]
        for token in untouched
        where before[token * hidden..<(token + 1) * hidden] != after[token * hidden..<(token + 1) * hidden] {
            throw Breach(
                "\(component.id): another id for token 3 of the first sequence changed token \(token) of [0, 4, 7]")
        }
        if before[3 * hidden..<4 * hidden] == after[3 * hidden..<4 * hidden] {
            throw Breach("\(component.id): another id for token 3 did not change its own state")
        }
    }
}
