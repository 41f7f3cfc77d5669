internal import Graph

/// A model's graph for one shape of step over a paged cache, ready to run.
final class CompiledStep {
    /// When it ran last, counted in runs.
    var lastRun = 0
    private let shape: StepShape
    private let program: Program
    private let logits: Value?
    private let inputs: Inputs
    /// What a run is given: caches, inputs and weights.
    private let bound: [DeviceBuffer]
    private let weights: WeightBinding
    /// The latest logits of a device whose memory the host does not reach.
    private var fetched: UnsafeMutableBufferPointer<Float>?

    private struct Inputs {
        let ids, positions, segments, lengths, slots, context, table, logitRows: DeviceBuffer
    }

    deinit { fetched?.deallocate() }

    init(_ model: Model, _ shape: StepShape, _ cache: PagedCache, _ arena: SharedArena) throws {
        self.shape = shape
        let graph = model.makeGraph()
        func ints(_ name: String, _ dims: Int...) -> Value { graph.input(name, ValueType(dims, .i32)) }
        let sequence = SequenceInputs(graph, tokens: shape.tokens, segments: shape.sequences)
        let slots = ints("slots", shape.tokens)
        let context = ints("context", shape.sequences)
        let table = ints("block_table", shape.sequences, shape.tableWidth)
        let logitRows = ints("logit_rows", max(1, shape.logits))
        var caches: [(value: Value, layer: Int, isKey: Bool)] = []
        let layers = model.shape.attention.count
        graph.attention = { [unowned graph] given, attributes in
            guard case .int(let layer)? = attributes.first(where: { $0.0 == "layer" })?.1, (0..<layers).contains(layer)
            else {
                throw ModelError(.unsupported, "attention names no layer of the model's description", at: "attention")
            }
            func stored(_ name: String, _ like: Value, isKey: Bool) -> Value {
                let heads = graph.shape(like)
                let type = ValueType([cache.blocks, heads[1], cache.blockSize, heads[2]], cache.type)
                let value = graph.input("\(name)/\(layer)", type)
                caches.append((value, layer, isKey))
                return value
            }
            let kept = attributes.filter { ["scale", "window", "softcap"].contains($0.0) }
            return try graph.emit(
                "attention_paged",
                [
                    given[0], given[1], given[2], stored("k_cache", given[1], isKey: true),
                    stored("v_cache", given[2], isKey: false), slots, sequence.segments, context, table,
                    given.count > 5 ? given[5] : .none,
                ], kept + [("block_size", .int(cache.blockSize))])[0]
        }
        let hidden = try model.family.build(in: graph, sequence)
        var output = hidden[0]
        if shape.logits > 0 {
            output = try model.head(graph, try graph.emit("embedding", [hidden[0], logitRows])[0])
        }
        logits = shape.logits > 0 ? output : nil
        graph.settleLayouts()
        let program = try Program(graph, outputs: [output], device: model.device, arena: arena)
        self.program = program
        weights = try WeightBinding(graph, model)
        let memory = try cache.layers(caches.first.map { program.device(reading: $0.value) } ?? model.device)
        var buffers: [Value: DeviceBuffer] = [:]
        for (value, layer, isKey) in caches { buffers[value] = isKey ? memory[layer].k : memory[layer].v }
        func room(_ value: Value) throws -> DeviceBuffer {
            let buffer = try program.device(reading: value).allocate(max(4, graph.type(value).byteCount))
            buffers[value] = buffer
            return buffer
        }
        inputs = Inputs(
            ids: try room(sequence.ids), positions: try room(sequence.positions), segments: try room(sequence.segments),
            lengths: try room(sequence.lengths), slots: try room(slots), context: try room(context),
            table: try room(table), logitRows: try room(logitRows))
        let (given, weights) = (buffers, weights)
        bound = try program.bind { given[$0] ?? weights[$0] }
    }

    func run(_ rows: StepRows) throws -> UnsafeMutablePointer<Float>? {
        try inputs.ids.write(UnsafeRawBufferPointer(rows.ids))
        try inputs.positions.write(UnsafeRawBufferPointer(rows.positions))
        try inputs.lengths.write(rows.tokenLengths())
        try inputs.slots.write(UnsafeRawBufferPointer(rows.slots))
        try inputs.logitRows.write(UnsafeRawBufferPointer(rows.logitRows))
        // Sequences that fill the shape up are empty.
        let missing = shape.sequences - rows.context.count
        try inputs.segments.write(Array(rows.segments) + [Int32](repeating: Int32(rows.ids.count), count: missing))
        try inputs.context.write(Array(rows.context) + [Int32](repeating: 0, count: missing))
        if rows.tableWidth == shape.tableWidth {
            try inputs.table.write(UnsafeRawBufferPointer(rows.blockTable))
        } else {
            var table = [Int32](repeating: 0, count: rows.context.count * shape.tableWidth)
            for s in rows.context.indices {
                for b in 0..<rows.tableWidth {
                    table[s * shape.tableWidth + b] = rows.blockTable[s * rows.tableWidth + b]
                }
            }
            try inputs.table.write(table)
        }
        try program.run(bound)
        guard let logits else { return nil }
        if let address = program.address(logits) { return address.assumingMemoryBound(to: Float.self) }
        // Memory that the host does not reach is read out.
        let values = try program.read(logits, as: Float.self)
        fetched?.deallocate()
        let copy = UnsafeMutableBufferPointer<Float>.allocate(capacity: max(1, values.count))
        _ = copy.update(from: values)
        fetched = copy
        return copy.baseAddress
    }
}
