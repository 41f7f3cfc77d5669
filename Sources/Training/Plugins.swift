import Graph
package import JSON
package import Model
internal import PluginAPI
internal import PluginKit

/// A tuner plugin with its settings.
package struct TunerHandle: @unchecked Sendable {
    private let table: UnsafePointer<mt_tuner_table>
    private let context: UnsafeMutableRawPointer?
    private let settings: String

    package init(id: String, settings: JSON, components: any ComponentSource) throws {
        let component = try components.component(kind: MT_KIND_TUNER, id: id)
        guard let table = component.table?.assumingMemoryBound(to: mt_tuner_table.self) else {
            throw TrainingError(.invalid, "has no table", at: "tuner \(id)")
        }
        self.table = table
        context = component.ctx
        self.settings = settings.text()
    }

    /// A tuner with the settings that an adapter_config.json holds.
    package init(id: String, adapterConfig: JSON, components: any ComponentSource) throws {
        let plain = try TunerHandle(id: id, settings: [:], components: components)
        let text = try collected { sink in
            try adapterConfig.text().lent { config in
                try checked { plain.table.pointee.read_config(plain.context, config, sink, $0) }
            }
        }
        try self.init(id: id, settings: try JSON(parsing: text), components: components)
    }

    /// A tensor trained at a site.
    package struct Tensor: Sendable {
        package let name: String
        package let shape: [Int]
        package let initial: String
        let group: String
        /// Whether it is trained, or keeps its first values.
        package let isTrained: Bool
        let join: Join?

        /// Another tensor of the site, times a factor, that is published behind it along an axis.
        struct Join {
            let tensor: String
            let axis: Int
            let factor: Double
        }

        init(_ json: JSON) {
            name = json["name"]?.string ?? ""
            shape = json["shape"]?.array?.compactMap(\.int) ?? []
            initial = json["init"]?.string ?? "zeros"
            group = json["group"]?.string ?? ""
            isTrained = json["trained"]?.bool ?? true
            join = json["join"].map {
                Join(tensor: $0["tensor"]?.string ?? "", axis: $0["axis"]?.int ?? 0, factor: $0["factor"]?.double ?? 1)
            }
        }
    }

    package func parameters(_ name: String, inWidth: Int, outWidth: Int) throws -> [Tensor] {
        var site = Self.site(inWidth: inWidth, outWidth: outWidth)
        let text = try collected { sink in
            try name.lent { name in
                site.name = name
                try settings.lent { settings in
                    try checked { table.pointee.parameters(context, settings, &site, sink, $0) }
                }
            }
        }
        return (try JSON(parsing: text).array ?? []).map(Tensor.init)
    }

    /// First values of the tensors of a site whose initialisation is "computed"; empty for the others.
    func initial(_ name: String, _ tensors: [Tensor], inWidth: Int, outWidth: Int, weight: [Float]) throws -> [[Float]]
    {
        guard table.pointee.struct_size >= UInt32(MemoryLayout<mt_tuner_table>.size),
            let initial = table.pointee.initial
        else {
            throw TrainingError(.unsupported, "this tuner computes no first values", at: name)
        }
        var site = Self.site(inWidth: inWidth, outWidth: outWidth)
        let memory = tensors.map { tensor in
            tensor.initial == "computed"
                ? UnsafeMutablePointer<Float>.allocate(capacity: tensor.shape.reduce(1, *)) : nil
        }
        defer { for part in memory { part?.deallocate() } }
        try name.lent { name in
            site.name = name
            try settings.lent { settings in
                try checked { initial(context, settings, &site, weight, memory, memory.count, $0) }
            }
        }
        return zip(tensors, memory).map { tensor, part in
            Array(UnsafeBufferPointer(start: part, count: part == nil ? 0 : tensor.shape.reduce(1, *)))
        }
    }

    private static func site(inWidth: Int, outWidth: Int) -> mt_site {
        var site = mt_site()
        site.struct_size = UInt32(MemoryLayout<mt_site>.size)
        site.in = Int64(inWidth)
        site.out = Int64(outWidth)
        return site
    }

    func apply(_ graph: Graph, _ site: LinearSite, _ trained: [Value], training: Bool) throws -> Value {
        try call(graph, site, trained) { settings, handle, site, list, out, error in
            table.pointee.apply(context, settings, handle, site, list, trained.count, training, out, error)
        }
    }

    /// The weight [out, in] of a site with the trained tensors worked in.
    package func merge(_ graph: Graph, _ site: LinearSite, _ trained: [Value]) throws -> Value {
        try call(graph, site, trained) { settings, handle, site, list, out, error in
            table.pointee.merge(context, settings, handle, site, list, trained.count, out, error)
        }
    }

    private typealias Call = (
        mt_str, OpaquePointer, UnsafePointer<mt_site>, [mt_value], UnsafeMutablePointer<mt_value>,
        UnsafeMutablePointer<mt_error>
    ) -> mt_status

    private func call(_ graph: Graph, _ given: LinearSite, _ trained: [Value], _ body: Call) throws -> Value {
        var site = Self.site(inWidth: given.inWidth, outWidth: given.outWidth)
        site.x = GraphService.value(given.x, of: graph)
        site.y = GraphService.value(given.y, of: graph)
        site.weight = GraphService.value(given.weight, of: graph)
        let list = trained.map { GraphService.value($0, of: graph) }
        var out = mt_value()
        try given.name.lent { name in
            site.name = name
            try settings.lent { settings in
                try checked { body(settings, GraphService.handle(graph), &site, list, &out, $0) }
            }
        }
        return try GraphService.value(out, in: graph)
    }

    /// adapter_config.json's text.
    package func adapterConfig() throws -> String {
        String(
            decoding: try collected { sink in
                try settings.lent { settings in try checked { table.pointee.write_config(context, settings, sink, $0) }
                }
            }, as: UTF8.self)
    }
}

/// An optimizer plugin with its settings.
package struct OptimizerHandle: @unchecked Sendable {
    private let table: UnsafePointer<mt_optimizer_table>
    private let context: UnsafeMutableRawPointer?
    private let settings: JSONObject

    package init(id: String, settings: JSON, components: any ComponentSource) throws {
        let component = try components.component(kind: MT_KIND_OPTIMIZER, id: id)
        guard let table = component.table?.assumingMemoryBound(to: mt_optimizer_table.self) else {
            throw TrainingError(.invalid, "has no table", at: "optimizer \(id)")
        }
        self.table = table
        context = component.ctx
        self.settings = settings.object ?? JSONObject()
    }

    /// The settings with which the plugin is asked about a parameter.
    private func settings(for parameter: String) -> String {
        var settings = settings
        settings["parameter"] = .string(parameter)
        return JSON.object(settings).text()
    }

    /// A state of a parameter.
    package struct State {
        package let name: String
        package let type: ValueType
        package let initial: Double
    }

    /// What it keeps for a parameter of a shape.
    package func states(_ parameter: String, _ shape: [Int]) throws -> [State] {
        let dims = shape.map(Int64.init)
        let text = try collected { sink in
            try settings(for: parameter).lent { settings in
                try checked { table.pointee.states(context, settings, dims, dims.count, sink, $0) }
            }
        }
        return try (try JSON(parsing: text).array ?? []).map { state in
            let name = state["name"]?.string ?? ""
            let element: ElementType
            switch state["type"]?.string ?? "f32" {
            case "f32": element = .f32
            case "u8": element = .u8
            case let other:
                throw TrainingError(.invalid, "state \(name) has type \"\(other)\", wanted f32 or u8", at: parameter)
            }
            return State(
                name: name, type: ValueType(state["shape"]?.array?.compactMap(\.int) ?? [], element),
                initial: state["init"]?.double ?? 0)
        }
    }

    /// Values of one element that an update reads.
    package struct Scalars {
        let learningRate, step, weightDecay: Value
        package init(learningRate: Value, step: Value, weightDecay: Value) {
            self.learningRate = learningRate
            self.step = step
            self.weightDecay = weightDecay
        }
    }

    /// Emits the new parameter and the new states.
    package func update(
        _ graph: Graph, name: String, parameter: Value, gradient: Value, scalars: Scalars, states: [Value]
    ) throws -> (parameter: Value, states: [Value]) {
        var update = mt_update()
        update.struct_size = UInt32(MemoryLayout<mt_update>.size)
        update.state_count = UInt32(states.count)
        update.graph = GraphService.handle(graph)
        update.parameter = GraphService.value(parameter, of: graph)
        update.gradient = GraphService.value(gradient, of: graph)
        update.learning_rate = GraphService.value(scalars.learningRate, of: graph)
        update.step = GraphService.value(scalars.step, of: graph)
        update.weight_decay = GraphService.value(scalars.weightDecay, of: graph)
        let given = states.map { GraphService.value($0, of: graph) }
        var out = mt_value()
        var newStates = [mt_value](repeating: mt_value(), count: states.count)
        try settings(for: name).lent { settings in
            try given.withUnsafeBufferPointer { list in
                update.settings = settings
                update.states = list.baseAddress
                try checked { table.pointee.update(context, &update, &out, &newStates, $0) }
            }
        }
        return (
            try GraphService.value(out, in: graph), try newStates.map { try GraphService.value($0, in: graph) }
        )
    }
}

/// An objective plugin with its settings.
package struct ObjectiveHandle: @unchecked Sendable {
    private let table: UnsafePointer<mt_alignment_table>
    private let context: UnsafeMutableRawPointer?
    private let settings: String
    /// Bits of kinds/alignment.h.
    package let needs: UInt32
    package var needsPairs: Bool { needs & MT_NEEDS_PAIRS != 0 }
    package var needsReference: Bool { needs & MT_NEEDS_REFERENCE != 0 }
    package var needsLabels: Bool { needs & MT_NEEDS_LABELS != 0 }
    package var needsMismatched: Bool { needs & MT_NEEDS_MISMATCHED != 0 }

    package init(id: String, settings: JSON, components: any ComponentSource) throws {
        let component = try components.component(kind: MT_KIND_ALIGNMENT, id: id)
        guard let table = component.table?.assumingMemoryBound(to: mt_alignment_table.self) else {
            throw TrainingError(.invalid, "has no table", at: "objective \(id)")
        }
        self.table = table
        context = component.ctx
        let text = settings.text()
        self.settings = text
        var needs: UInt32 = 0
        try text.lent { text in try checked { table.pointee.needs(component.ctx, text, &needs, $0) } }
        self.needs = needs
    }

    /// The values of a batch that objectives may read.
    package struct Inputs {
        package var logps, weights, sequences, normalizer, sequenceLogps, sequenceLengths: Value
        package var referenceSequenceLogps = Value.none
        package var labels = Value.none
        package var mismatchedLogps = Value.none
        package var mismatchedReferenceLogps = Value.none

        package init(
            logps: Value, weights: Value, sequences: Value, normalizer: Value, sequenceLogps: Value,
            sequenceLengths: Value
        ) {
            self.logps = logps
            self.weights = weights
            self.sequences = sequences
            self.normalizer = normalizer
            self.sequenceLogps = sequenceLogps
            self.sequenceLengths = sequenceLengths
        }
    }

    /// Emits the scalar loss and the metrics.
    package func loss(_ graph: Graph, _ inputs: Inputs) throws -> (
        loss: Value, metrics: [(name: String, sum: Value, count: Value)]
    ) {
        var objective = mt_objective()
        objective.struct_size = UInt32(MemoryLayout<mt_objective>.size)
        objective.graph = GraphService.handle(graph)
        func set(_ path: WritableKeyPath<mt_objective, mt_value>, _ value: Value) {
            objective[keyPath: path] = GraphService.value(value, of: graph)
        }
        set(\.logps, inputs.logps)
        set(\.weights, inputs.weights)
        set(\.sequences, inputs.sequences)
        set(\.normalizer, inputs.normalizer)
        set(\.sequence_logps, inputs.sequenceLogps)
        set(\.sequence_lengths, inputs.sequenceLengths)
        set(\.reference_sequence_logps, inputs.referenceSequenceLogps)
        set(\.labels, inputs.labels)
        set(\.mismatched_logps, inputs.mismatchedLogps)
        set(\.mismatched_reference_logps, inputs.mismatchedReferenceLogps)
        var out = mt_value()
        let receiver = Metrics(graph)
        try settings.lent { settings in
            objective.settings = settings
            try checked { table.pointee.loss(context, &objective, &out, $0) }
            guard let metrics = table.pointee.metrics else { return }
            try withExtendedLifetime(receiver) {
                try checked { error in
                    metrics(
                        context, &objective, Unmanaged.passUnretained(receiver).toOpaque(),
                        { receiver, name, sum, count, error in
                            guarded(error) {
                                let receiver = try Handle.context(receiver, as: Metrics.self)
                                receiver.values.append(
                                    (
                                        name.string, try GraphService.value(sum, in: receiver.graph),
                                        try GraphService.value(count, in: receiver.graph)
                                    ))
                            }
                        }, error)
                }
            }
        }
        return (try GraphService.value(out, in: graph), receiver.values)
    }

    private final class Metrics {
        let graph: Graph
        var values: [(name: String, sum: Value, count: Value)] = []
        init(_ graph: Graph) { self.graph = graph }
    }
}
