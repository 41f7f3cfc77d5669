internal import Graph
package import JSON
internal import PluginAPI
internal import PluginKit

/// A model family of a model plugin, over one config.json.
package final class FamilyHandle: @unchecked Sendable {
    private let table: UnsafePointer<mt_model_table>
    private let context: UnsafeMutableRawPointer?
    package let id: String
    package let config: JSON
    private let configText: String
    package let shape: ModelShape

    package init(config: JSON, components: any ComponentSource, at path: String) throws {
        let text = config.text()
        let component = try Self.component(config, components, at: path)
        guard let table = component.table?.assumingMemoryBound(to: mt_model_table.self) else {
            throw ModelError(.invalid, "has no table", at: "model \(component.id.string)")
        }
        self.table = table
        context = component.ctx
        id = component.id.string
        self.config = config
        configText = text
        let document = try collected { sink in
            try text.lent { text in try checked { table.pointee.describe(component.ctx, text, sink, $0) } }
        }
        shape = try ModelShape(JSON(parsing: document))
    }

    /// The family that knows a configuration, or what of it a catalogue keeps.
    package static func id(config: JSON, components: any ComponentSource, at path: String) throws -> String {
        try component(config, components, at: path).id.string
    }

    private static func component(
        _ config: JSON, _ components: any ComponentSource, at path: String
    ) throws -> mt_component {
        let text = config.text()
        let best = try components.best(kind: MT_KIND_MODEL) { component in
            guard let table = component.table?.assumingMemoryBound(to: mt_model_table.self) else { return 0 }
            return text.lent { Int(table.pointee.probe(component.ctx, $0)) }
        }
        if let component = best?.component { return component }
        let named = config["architectures"]?.array?.compactMap(\.string).joined(separator: ", ")
        let known = components.componentIDs(kind: MT_KIND_MODEL).joined(separator: ", ")
        throw ModelError(
            .unsupported,
            "no model family knows the architecture \(named ?? config["model_type"]?.string ?? "(none named)"); installed families: \(known)",
            at: path)
    }

    /// The family's name for a tensor of a checkpoint, or nil when it has no use for it.
    package func rename(_ name: String) throws -> String? {
        guard let rename = table.pointee.rename else { return name }
        let bytes = try collected { sink in
            try configText.lent { config in
                try name.lent { name in try checked { rename(context, config, name, sink, $0) } }
            }
        }
        return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    }

    /// Emits a part into `graph`; a decoder's first output is its hidden states.
    func build(
        _ part: String = "decoder", in graph: Graph, _ inputs: SequenceInputs, embeds: Value,
        context states: Value = .none, contextSegments: Value = .none
    ) throws -> [Value] {
        var build = mt_build()
        build.struct_size = UInt32(MemoryLayout<mt_build>.size)
        build.graph = GraphService.handle(graph)
        build.ids = GraphService.value(inputs.ids, of: graph)
        build.positions = GraphService.value(inputs.positions, of: graph)
        build.segments = GraphService.value(inputs.segments, of: graph)
        build.lengths = GraphService.value(inputs.lengths, of: graph)
        build.type_ids = GraphService.value(inputs.typeIDs, of: graph)
        build.embeds = GraphService.value(embeds, of: graph)
        build.context = GraphService.value(states, of: graph)
        build.context_segments = GraphService.value(contextSegments, of: graph)
        var outputs = [mt_value](repeating: mt_value(), count: 8)
        var count = 0
        do {
            try configText.lent { config in
                try part.lent { part in
                    build.config = config
                    build.part = part
                    try checked { table.pointee.build(context, &build, &outputs, outputs.count, &count, $0) }
                }
            }
        } catch {
            // The graph knows the block and the op; the plugin's own message is the same one, passed on.
            throw graph.failure ?? error
        }
        return try outputs.prefix(count).map { try GraphService.value($0, in: graph) }
    }
}

/// What a family says of a model; see `ModelDescription` in PluginKit.
package struct ModelShape: Sendable {
    package struct Attention: Sendable, Equatable {
        package let keyValueHeads, keyWidth, valueWidth: Int
    }
    package let parts: [String]
    package let hidden, vocabulary, maximumPositions: Int
    package let head: String?
    package let headHasBias: Bool
    /// The head's rows are brought to unit length when they are read.
    package let headHasUnitRows: Bool
    /// The weight [labels, hidden] that scores the last token's state.
    package let classifier: String?
    /// The weight [labels, hidden] that scores each token's state.
    package let tokenClassifier: String?
    package let logitScale, logitSoftcap: Double
    package let attention: [Attention]
    package let defaultTargets: [String]
    package let embedding: String
    /// Parts that read images or sound, with the sizes of one item.
    package let features: [String: [Int]]
    /// The part whose states the decoder attends to.
    package let context: String?
    /// "rope_growth" of the description: how rotations depend on a sequence's length, if they do.
    package let ropeGrowth: JSON?

    init(_ json: JSON) throws {
        func int(_ key: String) throws -> Int {
            guard let value = json[key]?.int, value >= 0 else {
                throw ModelError(.invalid, "the family's description lacks \"\(key)\"", at: "describe")
            }
            return value
        }
        parts = json["parts"]?.array?.compactMap(\.string) ?? ["decoder"]
        hidden = try int("hidden")
        vocabulary = try int("vocab")
        maximumPositions = json["max_positions"]?.int ?? 0
        head = json["head"]?.string
        headHasBias = json["head_bias"]?.bool ?? false
        headHasUnitRows = json["head_unit_rows"]?.bool ?? false
        classifier = json["classifier"]?.string
        tokenClassifier = json["token_classifier"]?.string
        logitScale = json["logit_scale"]?.double ?? 1
        logitSoftcap = json["logit_softcap"]?.double ?? 0
        attention = (json["attention"]?.array ?? []).map {
            Attention(
                keyValueHeads: $0["kv_heads"]?.int ?? 0, keyWidth: $0["key_width"]?.int ?? 0,
                valueWidth: $0["value_width"]?.int ?? 0)
        }
        defaultTargets = json["default_targets"]?.array?.compactMap(\.string) ?? []
        ropeGrowth = json["rope_growth"].flatMap { $0.isNull ? nil : $0 }
        embedding = json["embedding"]?.string ?? "model.embed_tokens.weight"
        features = Dictionary(
            uniqueKeysWithValues: (json["features"]?.object ?? JSONObject()).map {
                ($0.key, ($0.value.array ?? []).compactMap(\.int))
            })
        context = json["context"]?.string
    }
}
