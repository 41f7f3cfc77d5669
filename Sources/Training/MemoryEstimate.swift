import Graph
package import Model

/// The memory that training or answering will take, by component: the planner's own figures, known before a weight is read.
package struct MemoryEstimate: Sendable {
    package struct Part: Sendable {
        package let name: String
        package let bytes: Int
    }
    package private(set) var parts: [Part] = []
    package var total: Int { parts.reduce(0) { $0 + $1.bytes } }

    /// One batch's shape.
    package struct Batch: Sendable {
        package var tokens: Int
        package var rows: Int
        package init(tokens: Int, rows: Int) {
            self.tokens = tokens
            self.rows = rows
        }
    }

    /// What is trained: a tuner at the sites that it targets, or the weights themselves.
    package struct Method {
        package var tuner: TunerHandle?
        package var optimizer: OptimizerHandle
        package var objective: ObjectiveHandle
        package var isTarget: (String) -> Bool
        package var isSaved: (String) -> Bool = { _ in false }
        package var recompute = Graph.Recomputation.blocks

        package init(
            tuner: TunerHandle?, optimizer: OptimizerHandle, objective: ObjectiveHandle,
            isTarget: @escaping (String) -> Bool
        ) {
            self.tuner = tuner
            self.optimizer = optimizer
            self.objective = objective
            self.isTarget = isTarget
        }
    }

    /// Of training with batches of a shape.
    package init(training model: Model, _ method: Method, batch: Batch) throws {
        let outline = try model.outline()
        var trained: [(name: String, shape: [Int])] = []
        var sites: [String: [(name: String, shape: [Int])]] = [:]
        let trains = method.tuner == nil ? method.isTarget : method.isSaved
        for parameter in outline.parameters where trains(parameter.name) {
            trained.append((parameter.name, parameter.shape))
        }
        if let tuner = method.tuner {
            for site in outline.sites where method.isTarget(site.name) {
                let (rows, columns) = (site.weight.shape[0], site.weight.shape[1])
                for tensor in try tuner.parameters(site.name, inWidth: columns, outWidth: rows) {
                    let entry = (name: "\(Adapter.prefix)\(site.name).\(tensor.name)", shape: tensor.shape)
                    sites[site.name, default: []].append(entry)
                    if tensor.isTrained { trained.append(entry) }
                }
            }
        }
        trained.sort { $0.name < $1.name }
        let shapes = Dictionary(
            (trained + sites.values.flatMap { $0 }).map { ($0.name, $0.shape) }, uniquingKeysWith: { first, _ in first }
        )

        let graph = model.makeGraph()
        if graph.activation == "auto" { graph.activation = "float" }
        let own = graph.resolveParameter
        graph.resolveParameter = { name, shape, flags in
            try shapes[name].map { Parameter(name: name, shape: $0) } ?? own?(name, shape, flags)
        }
        if let tuner = method.tuner {
            graph.adaptLinear = { [unowned graph] site in
                guard let tensors = sites[site.name] else { return site.y }
                return try tuner.apply(
                    graph, site, try tensors.map { try graph.parameter("/" + $0.name, $0.shape) }, training: true)
            }
        }
        let key = BatchProgram.Key(tokens: batch.tokens, rows: batch.rows, .accumulate)
        let built = try BatchGraph(
            key, in: graph, model: model, objective: method.objective, trained: trained, recompute: method.recompute)
        let arena = SharedArena(device: model.device)
        let program = try Program(
            graph, outputs: built.outputs, updates: built.updates, device: model.device, arena: arena)

        let frozen = graph.parameters.values.compactMap { graph.parameter($0) }.filter { shapes[$0.name] == nil }
        addWeights(model, frozen)
        if method.objective.needsReference, method.tuner == nil {
            let originals = outline.parameters.filter { method.isTarget($0.name) }
            add("the reference's weights", model.weights.sizes(originals).values.reduce(0, +))
        }
        let numbers = trained.reduce(0) { $0 + $1.shape.reduce(1, *) }
        let held = shapes.values.reduce(0) { $0 + $1.reduce(1, *) }
        let states = try trained.reduce(0) { sum, entry in
            try sum + method.optimizer.states(entry.name, entry.shape).reduce(0) { $0 + $1.type.byteCount }
        }
        add("trained tensors", 4 * numbers)
        add("gradients", 4 * numbers)
        add("optimizer states", states)
        add("tensors that tuners keep", 4 * (held - numbers))
        add("activations and scratch", program.arenaBytes)
    }

    /// Of answering with a context of so many tokens.
    /// - Parameter step: Tokens that are run at once.
    package init(answering model: Model, context: Int, step: Int) throws {
        let graph = model.makeGraph()
        let inputs = SequenceInputs(graph, tokens: step, segments: 1)
        let hidden = try model.family.build(in: graph, inputs)
        let last = try graph.emit(
            "slice", [hidden[0]], [("axis", .int(0)), ("start", .int(step - 1)), ("end", .int(step))])[0]
        let logits = try model.head(graph, last)
        graph.settleLayouts()
        let program = try Program(
            graph, outputs: [logits], device: model.device, arena: SharedArena(device: model.device))
        addWeights(model, graph.parameters.values.compactMap { graph.parameter($0) })
        let width = model.shape.attention.reduce(0) { $0 + $1.keyValueHeads * ($1.keyWidth + $1.valueWidth) }
        add("keys and values of \(context) tokens", context * width * (model.options.activation == "f32" ? 4 : 2))
        add("activations and scratch", program.arenaBytes)
    }

    private mutating func addWeights(_ model: Model, _ parameters: [Parameter]) {
        for (layout, bytes) in model.weights.sizes(parameters).sorted(by: { $0.key < $1.key }) {
            add("weights in \(layout)", bytes)
        }
    }

    package mutating func add(_ name: String, _ bytes: Int) {
        if bytes > 0 { parts.append(Part(name: name, bytes: bytes)) }
    }
}
