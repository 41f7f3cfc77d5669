import Graph
package import Model

extension Adapter {
    /// Puts the adapter over a model that is run and not trained.
    /// - Throws: `TrainingError` when it has no tensors. A tensor that is missing or misshapen is an error of the first run.
    package func place(over model: Model, tuner: TunerHandle) throws {
        model.adapter = try InferenceAdapter(self, tuner: tuner, over: model)
    }
}

/// A trained adapter's part in the graphs of a model.
private final class InferenceAdapter: ModelAdapter {
    private let tuner: TunerHandle
    private var buffers: [String: DeviceBuffer]
    private var shapes: [String: [Int]]
    private let adapter: Adapter
    private unowned let model: Model

    init(_ adapter: Adapter, tuner: TunerHandle, over model: Model) throws {
        self.adapter = adapter
        self.tuner = tuner
        self.model = model
        var buffers: [String: DeviceBuffer] = [:]
        for (name, tensor) in adapter.tensors { buffers[name] = try model.device.upload(tensor.values) }
        self.buffers = buffers
        shapes = adapter.tensors.mapValues(\.shape)
        guard !buffers.isEmpty else {
            throw TrainingError(.invalid, "the adapter has no tensors", at: adapter.directory)
        }
    }

    func attach(to graph: Graph) {
        let own = graph.resolveParameter
        graph.resolveParameter = { [unowned self] name, shape, flags in
            if let known = shapes[name], known == shape { return Parameter(name: name, shape: shape) }
            return try own?(name, shape, flags)
        }
        graph.adaptLinear = { [unowned graph, unowned self] site in
            guard adapter.isTarget(site.name) else { return site.y }
            let trained = try tuner.parameters(site.name, inWidth: site.inWidth, outWidth: site.outWidth).map {
                tensor in
                let name = "\(Adapter.prefix)\(site.name).\(tensor.name)"
                if !tensor.isTrained, shapes[name] == nil { try keep(tensor, name, site, graph) }
                guard shapes[name] == tensor.shape else {
                    throw TrainingError(
                        .invalid, "\(name) has shape \(shapes[name] ?? []), the model wants \(tensor.shape)",
                        at: adapter.directory)
                }
                return try graph.parameter("/" + name, tensor.shape)
            }
            return try tuner.apply(graph, site, trained, training: false)
        }
    }

    /// Makes a tensor that a tuner computes with and does not publish.
    private func keep(_ tensor: TunerHandle.Tensor, _ name: String, _ site: LinearSite, _ graph: Graph) throws {
        guard tensor.initial == "weight_norm", let weight = graph.parameter(site.weight) else {
            throw TrainingError(
                .unsupported, "\(name) is neither published nor known from the weight", at: adapter.directory)
        }
        buffers[name] = try model.device.upload(
            Adapter.rowLengths(try model.valuesInUse(weight), width: site.inWidth))
        shapes[name] = tensor.shape
    }

    func buffer(_ name: String) -> DeviceBuffer? { buffers[name] }
}
