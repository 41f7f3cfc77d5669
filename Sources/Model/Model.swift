package import Graph
internal import JSON
internal import PluginAPI
internal import PluginKit

/// An open model: its files, family, tokenizer, weights and device.
package final class Model {
    package struct Options: Sendable {
        /// "f32", "bf16" or "f16" for unquantized weights; nil keeps the checkpoint's own.
        package var dense: String?
        /// What products round activations to: "auto", "f32", "bf16" or "int8".
        package var activation = "auto"
        /// The device component, such as "cpu"; nil takes the installation's first that has a device here.
        package var device: String?
        /// Quantizes the linear weights as they are taken over; the embedding and the head stay as they are.
        package var quantizer: QuantizerHandle?
        package init() {}
    }

    package let path: String
    package let files: ModelFiles
    package let family: FamilyHandle
    package let device: Device
    package let weights: WeightStore
    package let options: Options
    package var shape: ModelShape { family.shape }
    let components: any ComponentSource
    private var openTokenizer: TokenizerHandle?
    /// What stands over the weights, such as a trained adapter.
    package var adapter: (any ModelAdapter)?

    package init(path: String, options: Options = Options(), components: any ComponentSource) throws {
        self.path = path
        self.options = options
        self.components = components
        files = try ModelFiles(path: path, components: components)
        family = try FamilyHandle(config: files.config, components: components, at: path)
        device = try Self.device(options.device, components)
        weights = try WeightStore(
            checkpoint: files.checkpoint, family: family, device: device, dense: options.dense)
        if let quantizer = options.quantizer {
            try weights.quantize(outline().sites.map(\.weight), with: quantizer)
        }
    }

    private static func device(_ id: String?, _ components: any ComponentSource) throws -> Device {
        let ids = components.componentIDs(kind: MT_KIND_DEVICE)
        guard let chosen = id ?? (ids.contains("cpu") ? "cpu" : ids.first) else {
            throw ModelError(.notFound, "no device plugin is installed", at: "device")
        }
        // The processor runs what another device lacks.
        let fallback =
            chosen != "cpu" && ids.contains("cpu")
            ? try Device(component: components.component(kind: MT_KIND_DEVICE, id: "cpu")) : nil
        return try Device(component: components.component(kind: MT_KIND_DEVICE, id: chosen), fallback: fallback)
    }

    package var tokenizer: TokenizerHandle {
        get throws {
            if let openTokenizer { return openTokenizer }
            let opened = try files.openTokenizer(components: components)
            openTokenizer = opened
            return opened
        }
    }

    /// A graph whose parameters are this model's.
    package func makeGraph() -> Graph {
        let graph = Graph()
        graph.activation = options.activation
        graph.customOp = { [components] name, graph, inputs, attributes, outputs in
            guard components.componentIDs(kind: MT_KIND_OP).contains(name) else { return nil }
            return try PluginOp(component: components.component(kind: MT_KIND_OP, id: name))
                .emit(graph, inputs, attributes, outputs: outputs)
        }
        graph.resolveParameter = { [weights] name, shape, flags in try weights.resolve(name, shape, flags) }
        adapter?.attach(to: graph)
        return graph
    }

    /// Its linear sites, and its parameters with their layouts; reads no weight.
    package func outline() throws -> ModelOutline { try family.outline(in: makeGraph()) }

    /// logits [rows, vocabulary] of hidden states [rows, hidden], in f32.
    package func head(_ graph: Graph, _ hidden: Value) throws -> Value {
        guard let head = shape.head else {
            throw ModelError(
                .unsupported, "this model has no language-model head; its family is \(family.id)", at: path)
        }
        let weight = try graph.parameter("/" + head, [shape.vocabulary, shape.hidden])
        let bias =
            shape.headHasBias
            ? try graph.parameter("/" + head.replacingSuffix(".weight", ".bias"), [shape.vocabulary]) : .none
        var logits = try graph.emit("linear", [hidden, weight, bias])[0]
        if shape.logitScale != 1 {
            logits = try graph.emit("scale", [logits], [("factor", .float(shape.logitScale))])[0]
        }
        if shape.logitSoftcap > 0 {
            let inner = try graph.emit("scale", [logits], [("factor", .float(1 / shape.logitSoftcap))])
            logits = try graph.emit("scale", try graph.emit("tanh", inner), [("factor", .float(shape.logitSoftcap))])[0]
        }
        return logits
    }

    /// Log-probabilities [T] of labels i32 [T] under the head, without a matrix of tokens by vocabulary; and 1 for labels that
    /// the head holds for the likeliest, else 0.
    package func labelLogprobs(_ graph: Graph, _ hidden: Value, labels: Value) throws -> (logps: Value, hits: Value) {
        guard let head = shape.head else {
            throw ModelError(
                .unsupported, "this model has no language-model head; its family is \(family.id)", at: path)
        }
        let weight = try graph.parameter("/" + head, [shape.vocabulary, shape.hidden])
        let bias =
            shape.headHasBias
            ? try graph.parameter("/" + head.replacingSuffix(".weight", ".bias"), [shape.vocabulary]) : .none
        let outputs = try graph.emit(
            "label_logprobs", [hidden, weight, labels, bias],
            [("scale", .float(shape.logitScale)), ("softcap", .float(shape.logitSoftcap))])
        return (outputs[0], outputs[3])
    }

    /// Ids that end a generation: generation_config.json's, config.json's, and the tokenizer's end token.
    package var endTokens: [Int32] {
        func ids(_ value: JSON?) -> [Int32] {
            (value?.array?.compactMap(\.int) ?? value?.int.map { [$0] } ?? []).map(Int32.init)
        }
        let listed = ids(files.generation["eos_token_id"])
        let configured = listed.isEmpty ? ids(files.config["eos_token_id"]) : listed
        let own = (try? tokenizer)?.eos.map { [$0] } ?? []
        return Array(Set(configured + own)).sorted()
    }
}

/// Changes a model's graphs, and brings the parameters that this adds.
package protocol ModelAdapter: AnyObject {
    func attach(to graph: Graph)
    /// The memory of a parameter of its own; nil for the model's.
    func buffer(_ name: String) -> DeviceBuffer?
}

extension String {
    func replacingSuffix(_ suffix: String, _ other: String) -> String {
        hasSuffix(suffix) ? dropLast(suffix.count) + other : self
    }
}
