package import Data
import Graph
package import Model

/// A model with what is trained of it: runs batches forward and backward, gathers gradients, and updates.
package final class TrainingEngine {
    package struct Options {
        /// nil trains the weights themselves.
        package var tuner: TunerHandle?
        /// Whether a linear site (tuner) or parameter (none) is trained.
        package var isTarget: (String) -> Bool
        /// Parameters that are trained whole beside a tuner's (PEFT's modules_to_save).
        package var isSaved: (String) -> Bool = { _ in false }
        package var recompute: Graph.Recomputation = .none
        /// What products round their factors to: nil leaves it to the weights' layouts, f32 for trained ones; "bf16" takes 16 bits
        /// for all of them, with f32 sums and f32 weights to be updated.
        package var products: String?
        package var seed: UInt64 = 42
        /// What the objective's reference is; nil is the model as it was before training, without its adapter.
        package var reference: Model?
        /// NEFTune's alpha; 0 = off.
        package var embeddingNoise = 0.0
        package init(tuner: TunerHandle?, isTarget: @escaping (String) -> Bool) {
            self.tuner = tuner
            self.isTarget = isTarget
        }
    }

    package let model: Model
    package let options: Options
    package let objective: ObjectiveHandle
    package let parameters: TrainedParameters
    package let optimizer: OptimizerHandle
    let arena: SharedArena
    /// The same where the reference is the model itself.
    let referenceArena: SharedArena
    /// Trained tensors of each site, in the tuner's order.
    private var sites: [String: [String]] = [:]
    /// Trained tensors that are published together with another.
    private(set) var joins: [String: TensorJoin] = [:]
    private var programs: [BatchProgram.Key: BatchProgram] = [:]
    private var updateProgram: UpdateProgram?
    /// What the reference model said of sequences that were met.
    var reference = ReferenceCache()
    /// Batches that the reference model was run on.
    package private(set) var referenceRuns = 0

    package init(
        model: Model, objective: ObjectiveHandle, optimizer: OptimizerHandle, options: Options
    ) throws {
        self.model = model
        self.objective = objective
        self.optimizer = optimizer
        self.options = options
        arena = SharedArena(device: model.device)
        referenceArena = options.reference.map { SharedArena(device: $0.device) } ?? arena
        parameters = TrainedParameters(device: model.device)
        try findParameters()
        parameters.settle()
        guard !parameters.entries.isEmpty else {
            throw TrainingError(
                .invalid,
                "nothing is trained: no linear site or parameter matches; the model's sites end in \(model.shape.defaultTargets.joined(separator: ", "))",
                at: "target_modules")
        }
        try parameters.addStates(optimizer)
    }

    /// Builds the model once, for one token, to see which sites and parameters there are.
    private func findParameters() throws {
        let graph = model.makeGraph()
        let inputs = SequenceInputs(graph, tokens: 1, segments: 1)
        var found: [LinearSite] = []
        graph.adaptLinear = { site in
            found.append(site)
            return site.y
        }
        let hidden = try model.family.build(in: graph, inputs)
        _ = try model.head(graph, hidden[0])
        let trains = options.tuner == nil ? options.isTarget : options.isSaved
        for value in graph.parameters.values.sorted(by: { $0.index < $1.index }) {
            guard let parameter = graph.parameter(value), trains(parameter.name) else { continue }
            // Norms and biases are not decayed, as everywhere in the field.
            try parameters.add(
                parameter.name, parameter.shape, isDecayed: parameter.shape.count > 1,
                isTransposed: parameter.isTransposed,
                values: model.weights.floats(parameter))
        }
        guard let tuner = options.tuner else { return }
        for site in found where options.isTarget(site.name) {
            try add(tuner, site, graph)
        }
    }

    private func add(_ tuner: TunerHandle, _ site: LinearSite, _ graph: Graph) throws {
        let tensors = try tuner.parameters(site.name, inWidth: site.inWidth, outWidth: site.outWidth)
        var computed = [[Float]](repeating: [], count: tensors.count)
        if tensors.contains(where: { $0.initial == "computed" }) {
            computed = try tuner.initial(
                site.name, tensors, inWidth: site.inWidth, outWidth: site.outWidth, weight: weight(of: site, graph))
        }
        func name(_ tensor: String) -> String { "\(Adapter.prefix)\(site.name).\(tensor)" }
        for (tensor, known) in zip(tensors, computed) {
            let full = name(tensor.name)
            let values: [Float]
            switch tensor.initial {
            case "computed": values = known
            case "weight_norm": values = try rowLengths(tensor, full, site, graph)
            default:
                values = try TrainedParameters.initial(
                    tensor.initial, name: full, shape: tensor.shape, seed: options.seed)
            }
            if tensor.isTrained {
                // As transformers decays PEFT's: all but biases, vectors such as DoRA's magnitudes too.
                try parameters.add(
                    full, tensor.shape, group: tensor.group, isDecayed: !tensor.name.contains("bias"), values: values)
            } else {
                try parameters.addFrozen(full, tensor.shape, values: values)
            }
            if let join = tensor.join {
                joins[full] = TensorJoin(other: name(join.tensor), axis: join.axis, factor: Float(join.factor))
            }
            sites[site.name, default: []].append(full)
        }
    }

    /// The frozen weight of a site, [out, in].
    private func weight(of site: LinearSite, _ graph: Graph) throws -> [Float] {
        guard let weight = graph.parameter(site.weight) else {
            throw TrainingError(
                .invalid, "the site has no weight of its own, which its tuner starts from", at: site.name)
        }
        return try model.valuesInUse(weight)
    }

    private func rowLengths(
        _ tensor: TunerHandle.Tensor, _ name: String, _ site: LinearSite, _ graph: Graph
    ) throws -> [Float] {
        guard tensor.shape == [site.outWidth] else {
            throw TrainingError(.invalid, "a weight_norm of shape \(tensor.shape), wanted [\(site.outWidth)]", at: name)
        }
        return Adapter.rowLengths(try weight(of: site, graph), width: site.inWidth)
    }

    /// A graph in which trained parameters stand in for their sites or weights.
    func makeGraph(adapted: Bool, training: Bool) -> Graph {
        let graph = (adapted ? model : referenceModel).makeGraph()
        if graph.activation == "auto" { graph.activation = options.products ?? "float" }
        let own = graph.resolveParameter
        graph.resolveParameter = { [parameters] name, shape, flags in
            if let entry = parameters[name], adapted { return Parameter(name: name, shape: entry.shape) }
            return try own?(name, shape, flags)
        }
        guard let tuner = options.tuner, adapted else { return graph }
        graph.adaptLinear = { [sites, parameters, unowned graph] site in
            guard let names = sites[site.name] else { return site.y }
            let trained = try names.map { name in try graph.parameter("/" + name, parameters[name]?.shape ?? []) }
            return try tuner.apply(graph, site, trained, training: training)
        }
        return graph
    }

    /// The model that the reference's log-probabilities come from.
    var referenceModel: Model { options.reference ?? model }

    /// The memory of a graph's parameters: trained ones where it is adapted, and the model's or the reference's.
    func binding(_ graph: Graph, adapted: Bool) throws -> [Value: DeviceBuffer] {
        let frozen = (adapted ? model : referenceModel).weights
        var buffers: [Value: DeviceBuffer] = [:]
        for value in graph.parameters.values {
            guard let parameter = graph.parameter(value) else { continue }
            let trained = adapted ? parameters[parameter.name]?.value : nil
            buffers[value] = try trained ?? frozen.buffer(parameter)
        }
        return buffers
    }

    /// Operations of a token's way through the products and back, two a multiply-add: forward and the gradient of what comes in;
    /// and that of the weights where they are trained. nil for routed experts, of which a token meets some. What is computed again
    /// and what the reference takes do not count.
    func operationsPerToken() throws -> Double? {
        let outline = try model.outline()
        guard !outline.parameters.contains(where: { $0.name.contains("*") }) else { return nil }
        let head = outline.parameters.first { $0.name == model.shape.head }?.shape
        let shapes = outline.sites.map(\.weight.shape) + (head.map { [$0] } ?? [])
        let numbers = shapes.reduce(0) { $0 + $1.reduce(1, *) }
        return Double(numbers) * (options.tuner == nil ? 6 : 4)
    }

    // MARK: Steps

    package struct Result: Sendable {
        /// The batch's share of the window's loss.
        package var loss = 0.0
        /// Sums of metrics with their counts.
        package var metrics: [String: (sum: Double, count: Double)] = [:]
    }

    /// Mean log-probabilities of a window's mismatched answers, which KTO's divergence is estimated from.
    package struct Mismatch: Sendable {
        var policy: Float = 0
        var reference: Float = 0
    }

    /// What the objective wants to know of the whole window before its first batch. Each sequence is then given the window's mean,
    /// so that a mean over any batch of it is the same.
    package func mismatch(_ window: [Batch]) throws -> Mismatch {
        guard objective.needsMismatched else { return Mismatch() }
        var sum = MismatchSum()
        for batch in Batch.mismatched(window) { try add(batch, to: &sum) }
        return sum.mean
    }

    /// The same over an evaluation's batches, of which one is in memory at a time; nothing is read where it is not wanted.
    package func mismatch(_ batches: () -> BatchStream?) throws -> Mismatch {
        guard objective.needsMismatched, let batches = batches() else { return Mismatch() }
        var sum = MismatchSum()
        var mismatched = MismatchedBatches()
        while let batch = try batches.next() { try add(mismatched.next(batch), to: &sum) }
        try add(mismatched.end(), to: &sum)
        return sum.mean
    }

    private struct MismatchSum {
        var policy: Float = 0
        var reference: Float = 0
        var count: Float = 0
        var mean: Mismatch { Mismatch(policy: policy / max(1, count), reference: reference / max(1, count)) }
    }

    private func add(_ batch: Batch, to sum: inout MismatchSum) throws {
        guard batch.sequenceCount > 0 else { return }
        sum.policy += try sequenceLogps(batch, adapted: true).reduce(0, +)
        sum.reference += try referenceLogps(batch).reduce(0, +)
        sum.count += Float(batch.sequenceCount)
    }

    /// Runs a batch and adds its gradient to what was gathered (`accumulates`), or begins anew.
    /// - Parameters:
    ///   - normalizer: What the window's means divide by: trained tokens, or pairs.
    ///   - mismatch: Of the window, see `mismatch`.
    ///   - noise: Seed of this batch's dropout.
    package func forwardBackward(
        _ batch: Batch, normalizer: Double, accumulates: Bool, mismatch: Mismatch = .init(), noise: UInt64 = 0
    ) throws -> Result {
        try run(
            batch, normalizer: normalizer, mode: accumulates ? .accumulate : .begin, mismatch: mismatch, noise: noise)
    }

    /// The batch's share of the loss, without dropout and gradients.
    package func evaluate(_ batch: Batch, normalizer: Double, mismatch: Mismatch) throws -> Result {
        try run(batch, normalizer: normalizer, mode: .evaluate, mismatch: mismatch, noise: 0)
    }

    /// The same of a batch that is all there is to evaluate.
    package func evaluate(_ batch: Batch, normalizer: Double) throws -> Result {
        try evaluate(batch, normalizer: normalizer, mismatch: mismatch([batch]))
    }

    private func run(
        _ batch: Batch, normalizer: Double, mode: BatchProgram.Mode, mismatch: Mismatch, noise: UInt64
    ) throws -> Result {
        let reference = objective.needsReference ? try referenceLogps(batch) : []
        let program = try program(batch, mode)
        return try program.run(batch, normalizer: normalizer, reference: reference, mismatch: mismatch, noise: noise)
    }

    private func referenceLogps(_ batch: Batch) throws -> [Float] {
        let keys = ReferenceCache.keys(batch)
        if let known = reference.values(keys) { return known }
        referenceRuns += 1
        return reference.keep(keys, try sequenceLogps(batch, adapted: false))
    }

    /// Sums of the labels' log-probabilities a sequence, with the adapters or without (the reference model).
    package func sequenceLogps(_ batch: Batch, adapted: Bool) throws -> [Float] {
        try program(batch, adapted ? .policyLogps : .referenceLogps).sequenceLogps(batch)
    }

    /// Where numbers first stop being finite: in which layer's forward pass, or in which gradient; and in which rows.
    func locateNonFinite(_ batches: [Batch]) throws -> (place: String?, rows: [Int]) {
        for batch in batches {
            let found = try program(batch, .findNonFinite).firstNonFinite(batch)
            guard let place = found.place else { continue }
            let rows = found.sequences.filter { batch.rows.indices.contains($0) }.map { batch.rows[$0].row }
            return (place, rows.isEmpty ? batch.rows.map(\.row) : rows)
        }
        let gradient = try parameters.entries.first { try !parameters.gradient($0.name).allSatisfy(\.isFinite) }
        return (gradient.map { "the gradient of \($0.name)" }, [])
    }

    private func program(_ batch: Batch, _ mode: BatchProgram.Mode) throws -> BatchProgram {
        let key = BatchProgram.Key(batch, mode)
        if let known = programs[key] { return known }
        // Shapes that do not come back must not pile up.
        if programs.count >= 48 { programs.removeAll() }
        let program = try BatchProgram(key, engine: self)
        programs[key] = program
        return program
    }

    /// The length of the gathered gradient, over all trained tensors.
    package func gradientNorm() throws -> Double {
        try update().gradientNorm()
    }

    /// One optimizer step over the gathered gradient.
    /// - Parameters:
    ///   - learningRates: By group; "" is the usual one.
    ///   - gradientScale: What gradients are multiplied by first: the clip's factor.
    package func step(
        _ step: Int, learningRates: [String: Double], weightDecay: Double, gradientScale: Double
    ) throws {
        try update().run(
            step: step, learningRates: learningRates, weightDecay: weightDecay, gradientScale: gradientScale)
    }

    private func update() throws -> UpdateProgram {
        if let updateProgram { return updateProgram }
        let made = try UpdateProgram(self)
        updateProgram = made
        return made
    }

    /// Bytes of the arena that the largest program so far needs.
    package var arenaBytes: Int { arena.bytes }
}
