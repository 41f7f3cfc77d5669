public import JSON
import PluginAPI
import Synchronization

/// What a model family builds from. Absent values are nil.
public struct BuildInputs {
    /// "decoder", or another part that `describe` lists.
    public let part: String
    /// i32 [T].
    public let ids: Tensor
    /// i32 [T], or [3, T] for multimodal rope.
    public let positions: Tensor
    /// i32 [S + 1].
    public let segments: Tensor
    /// f32 [T, width], in place of looked-up ids; for a part that reads images or sound f32 [items, sizes…], as
    /// `ModelDescription.features` has them.
    public let embeds: Tensor?
    /// f32 [T', width'], what cross attention reads.
    public let context: Tensor?
    /// i32 [S + 1] over `context`.
    public let contextSegments: Tensor?
    /// i32 [T].
    public let typeIDs: Tensor?
}

/// A model family: its forward pass, stated once.
public protocol ModelFamily {
    /// How well this family fits a config.json: 0 = not at all, 100 = names its architecture.
    static func probe(_ config: JSON) -> Int
    /// - Throws: `PluginError(.invalid, …)` naming a missing or impossible key.
    init(config: JSON) throws
    /// The document of kinds/model.h.
    func describe() -> ModelDescription
    /// Emits a part; a decoder's first output is its hidden states [T, hidden] after the final norm.
    func build(_ g: GraphBuilder, _ inputs: BuildInputs) throws -> [Tensor]
    /// This family's parameter name for a tensor of a checkpoint, or nil when it is of no use.
    func rename(_ name: String) -> String?
}

extension ModelFamily {
    public func rename(_ name: String) -> String? { name }
}

/// What the house needs to know of a model beyond its graph.
public struct ModelDescription: Sendable {
    public struct Attention: Sendable {
        public var keyValueHeads: Int
        public var keyWidth: Int
        public var valueWidth: Int
        public init(keyValueHeads: Int, keyWidth: Int, valueWidth: Int) {
            self.keyValueHeads = keyValueHeads
            self.keyWidth = keyWidth
            self.valueWidth = valueWidth
        }
    }
    public var parts = ["decoder"]
    public var hidden = 0
    public var vocabulary = 0
    public var maximumPositions = 0
    /// The head's parameter, [vocabulary, hidden]; the embedding's when the two are tied.
    public var head: String?
    public var headHasBias = false
    /// The head's rows are brought to unit length when they are read.
    public var headHasUnitRows = false
    /// The weight [labels, hidden] that scores the last token's state, of models that classify or reward.
    public var classifier: String?
    /// The weight [labels, hidden], with a bias beside it, that scores each token's state, of models that name tokens.
    public var tokenClassifier: String?
    /// Factor on the logits before the softmax.
    public var logitScale = 1.0
    /// Logits x become softcap · tanh(x / softcap); 0 = off.
    public var logitSoftcap = 0.0
    /// One entry a layer.
    public var attention: [Attention] = []
    /// Last names of the linear sites that tuners take by default.
    public var defaultTargets: [String] = []
    public var embedding = "model.embed_tokens.weight"
    /// Parts that read images or sound, with the sizes of one item: [3, 224, 224] pixels, [80, 3000] mel bands by frames.
    public var features: [String: [Int]] = [:]
    /// The part whose first output [T', width] the decoder's cross attention reads.
    public var context: String?
    /// How rotations depend on the length of a sequence, if they do.
    public var ropeGrowth: RopeGrowth?

    public init() {}

    var json: JSON {
        [
            "parts": .array(parts.map(JSON.string)), "layers": .int(Int64(attention.count)),
            "hidden": .int(Int64(hidden)),
            "vocab": .int(Int64(vocabulary)), "max_positions": .int(Int64(maximumPositions)),
            "head": head.map(JSON.string) ?? .null, "head_bias": .bool(headHasBias),
            "head_unit_rows": .bool(headHasUnitRows),
            "classifier": classifier.map(JSON.string) ?? .null,
            "token_classifier": tokenClassifier.map(JSON.string) ?? .null, "logit_scale": .double(logitScale),
            "logit_softcap": .double(logitSoftcap), "embedding": .string(embedding),
            "default_targets": .array(defaultTargets.map(JSON.string)), "rope_growth": ropeGrowth?.json ?? .null,
            "context": context.map(JSON.string) ?? .null,
            "features": .object(
                JSONObject(
                    features.sorted { $0.key < $1.key }.map { ($0.key, .array($0.value.map { .int(Int64($0)) })) })),
            "attention": .array(
                attention.map {
                    [
                        "kv_heads": .int(Int64($0.keyValueHeads)), "key_width": .int(Int64($0.keyWidth)),
                        "value_width": .int(Int64($0.valueWidth)),
                    ]
                }),
        ]
    }
}

private final class FamilyContext {
    let type: any ModelFamily.Type
    /// The latest family and its configuration's text: names of tensors are asked for by the ten thousand.
    private let latest = Mutex<(text: [UInt8], family: Kept)?>(nil)
    init(_ type: any ModelFamily.Type) { self.type = type }

    /// Families state mathematics and change nothing of their own.
    private struct Kept: @unchecked Sendable { let family: any ModelFamily }

    func make(_ config: mt_str) throws -> any ModelFamily {
        let text = config.bytes
        let known = latest.withLock { kept in kept.flatMap { $0.text.elementsEqual(text) ? $0.family : nil } }
        if let known { return known.family }
        let family = try type.init(config: try parse(config))
        let kept = Kept(family: family)
        let copy = Array(text)
        latest.withLock { $0 = (copy, kept) }
        return family
    }
    func parse(_ config: mt_str) throws -> JSON {
        do {
            return try JSON(parsing: config.bytes)
        } catch {
            throw PluginError(.invalid, String(describing: error), at: "config.json")
        }
    }
}

extension Components {
    /// Offers a model family under `id`.
    public func model(_ id: String, _ type: any ModelFamily.Type, summary: String, priority: Int = 0) {
        var table = mt_model_table()
        table.struct_size = UInt32(MemoryLayout<mt_model_table>.size)
        table.probe = { context, config in
            guard let context = try? Handle.context(context, as: FamilyContext.self),
                let config = try? context.parse(config)
            else { return 0 }
            return Int32(context.type.probe(config))
        }
        table.describe = { context, config, out, error in
            guarded(error) {
                let family = try Handle.context(context, as: FamilyContext.self).make(config)
                try out.put(family.describe().json.text())
            }
        }
        table.build = { context, build, outputs, capacity, count, error in
            guarded(error) {
                guard let build = build?.pointee else { throw PluginError(.invalid, "the build is NULL") }
                let family = try Handle.context(context, as: FamilyContext.self).make(build.config)
                let g = try GraphBuilder(graph: build.graph)
                func optional(_ value: mt_value) -> Tensor? { value.index == 0 ? nil : g.tensor(value) }
                g.lengths = optional(build.lengths)
                let results = try family.build(
                    g,
                    BuildInputs(
                        part: build.part.string, ids: g.tensor(build.ids), positions: g.tensor(build.positions),
                        segments: g.tensor(build.segments), embeds: optional(build.embeds),
                        context: optional(build.context), contextSegments: optional(build.context_segments),
                        typeIDs: optional(build.type_ids)))
                try g.check()
                for (i, result) in results.prefix(capacity).enumerated() { outputs?[i] = result.value }
                count?.pointee = results.count
            }
        }
        table.rename = { context, config, name, out, error in
            guarded(error) {
                let family = try Handle.context(context, as: FamilyContext.self).make(config)
                if let renamed = family.rename(name.string) { try out.put(renamed) }
            }
        }
        add(
            kind: MT_KIND_MODEL, id: id, summary: summary, priority: priority, table: table,
            context: FamilyContext(type))
    }
}
