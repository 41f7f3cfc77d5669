internal import Graph
package import Model
package import Training

/// An adapter worked into the weights of a model, in f32.
package struct AdapterMerge {
    private let adapter: Adapter
    private let model: Model
    private let tuner: TunerHandle
    /// Linear sites that the adapter changes, by the weight's name, with the tuner's tensors in its order.
    private var sites: [String: (site: ModelOutline.Site, tensors: [TunerHandle.Tensor])] = [:]
    /// Weights that the adapter holds whole, by their names.
    private var saved: [String: Parameter] = [:]

    /// - Throws: `ExportError` when a tensor is missing, has another shape, or has no place in the model: an adapter that is
    ///   merged in part would give other answers than the one that was trained.
    package init(_ adapter: Adapter, model: Model, components: any ComponentSource) throws {
        self.adapter = adapter
        self.model = model
        tuner = try TunerHandle(
            id: adapter.config["peft_type"]?.string?.lowercased() ?? "lora", adapterConfig: adapter.config,
            components: components)
        var unused = Set(adapter.tensors.keys)
        let outline = try model.outline()
        for site in outline.sites where adapter.isTarget(site.name) {
            let (rows, columns) = (site.weight.shape[0], site.weight.shape[1])
            let tensors = try tuner.parameters(site.name, inWidth: columns, outWidth: rows)
            for tensor in tensors where tensor.isTrained {
                let name = "\(Adapter.prefix)\(site.name).\(tensor.name)"
                try Self.check(adapter, name, tensor.shape)
                unused.remove(name)
            }
            sites[site.weight.name] = (site, tensors)
        }
        for parameter in outline.parameters where adapter.isSaved(parameter.name) {
            try Self.check(adapter, Adapter.prefix + parameter.name, parameter.shape)
            saved[parameter.name] = parameter
            unused.remove(Adapter.prefix + parameter.name)
        }
        guard let first = unused.min() else { return }
        throw ExportError(
            .invalid,
            "\(unused.count) tensors have no place in the model at \(model.path), such as \(first); is it another model's adapter?",
            at: adapter.directory)
    }

    private static func check(_ adapter: Adapter, _ name: String, _ shape: [Int]) throws {
        guard let tensor = adapter.tensors[name] else {
            throw ExportError(.invalid, "has no tensor \(name)", at: adapter.directory)
        }
        guard tensor.shape == shape else {
            throw ExportError(
                .invalid, "\(name) has shape \(tensor.shape), the model wants \(shape)", at: adapter.directory)
        }
    }

    /// How many weights the adapter changes.
    package var count: Int { sites.count + saved.count }

    package var changes: WeightExport.Changes {
        let parameters = Array(saved.values) + sites.values.map(\.site.weight)
        return WeightExport.Changes(
            isTransposed: Dictionary(
                parameters.map { ($0.name, $0.isTransposed) }, uniquingKeysWith: { first, _ in first }),
            values: values)
    }

    /// A changed weight, [out, in].
    private func values(_ name: String) throws -> [Float] {
        if saved[name] != nil { return adapter.tensors[Adapter.prefix + name]?.values ?? [] }
        guard let (site, tensors) = sites[name] else { throw ExportError(.invalid, "is not changed", at: name) }
        let (rows, columns) = (site.weight.shape[0], site.weight.shape[1])
        let graph = Graph()
        graph.activation = "f32"
        var inputs: [Value: [Float]] = [:]
        func input(_ name: String, _ shape: [Int], _ values: [Float]) -> Value {
            let value = graph.input(name, ValueType(shape))
            inputs[value] = values
            return value
        }
        let published = try model.values(of: site.weight)
        let weight = input("weight", site.weight.shape, published)
        let trained = tensors.map { tensor in
            let known = adapter.tensors["\(Adapter.prefix)\(site.name).\(tensor.name)"]?.values
            return input(tensor.name, tensor.shape, known ?? Adapter.rowLengths(published, width: columns))
        }
        let merged = try tuner.merge(
            graph, LinearSite(name: site.name, x: .none, y: .none, weight: weight, inWidth: columns, outWidth: rows),
            trained)
        let program = try Program(
            graph, outputs: [merged], device: model.device, arena: SharedArena(device: model.device))
        let bound = try inputs.mapValues { try model.device.upload($0) }
        try program.run { bound[$0] }
        return try program.read(merged, as: Float.self)
    }
}
