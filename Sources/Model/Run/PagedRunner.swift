internal import Graph
internal import PluginKit

/// Runs token rows of many sequences over a paged cache: what engines stand on. One run at a time.
package final class PagedRunner {
    /// One step's rows; see mt_batch in kinds/engine.h.
    package struct Rows {
        package var ids, positions, slots, segments, context, blockTable, logitRows: [Int32]
        package var tableWidth: Int
        package init(
            ids: [Int32], positions: [Int32], slots: [Int32], segments: [Int32], context: [Int32], blockTable: [Int32],
            tableWidth: Int, logitRows: [Int32]
        ) {
            self.ids = ids
            self.positions = positions
            self.slots = slots
            self.segments = segments
            self.context = context
            self.blockTable = blockTable
            self.tableWidth = tableWidth
            self.logitRows = logitRows
        }
    }

    package let model: Model
    private let arena: SharedArena
    private var caches: [(k: DeviceBuffer, v: DeviceBuffer)] = []
    private var blocks = 0
    private var blockSize = 0
    private var steps: [Shape: CompiledStep] = [:]
    /// bf16 unless the weights are f32, so that f32 models stay exact.
    private let cacheType: ElementType

    private struct Shape: Hashable {
        let tokens, sequences, tableWidth, logits: Int
    }

    package init(_ model: Model) {
        self.model = model
        arena = SharedArena(device: model.device)
        let embedding = model.files.checkpoint.tensors[model.shape.embedding]?.layout ?? "bf16"
        let dense = WeightStore.denseLayouts.contains(embedding) ? model.options.dense ?? embedding : embedding
        cacheType = dense == "f32" || model.options.activation == "f32" ? .f32 : .bf16
    }

    /// Cache bytes of one block over all layers.
    package func bytesPerBlock(_ blockSize: Int) -> Int {
        model.shape.attention.reduce(0) { $0 + $1.keyValueHeads * blockSize * ($1.keyWidth + $1.valueWidth) * cacheType.size }
    }

    /// Gives the model a cache of `blocks` blocks of `blockSize` positions, a multiple of 16.
    package func reserve(blocks: Int, blockSize: Int) throws {
        guard blocks > 0, blockSize > 0, blockSize % 16 == 0 else {
            throw ModelError(.invalid, "\(blocks) blocks of \(blockSize) positions: wanted at least one, of a multiple of 16", at: "cache")
        }
        caches = try model.shape.attention.map { layer in
            let positions = blocks * blockSize * layer.keyValueHeads * cacheType.size
            return (try model.device.allocate(positions * layer.keyWidth), try model.device.allocate(positions * layer.valueWidth))
        }
        self.blocks = blocks
        self.blockSize = blockSize
        steps = [:]
    }

    /// The logits [logitRows, vocabulary] of a step, valid until the next.
    package func run(_ rows: Rows) throws -> UnsafeMutablePointer<Float> {
        try check(rows)
        let shape = Shape(
            tokens: rows.ids.count, sequences: rows.context.count, tableWidth: rows.tableWidth, logits: rows.logitRows.count)
        let step = try steps[shape] ?? CompiledStep(self, shape)
        if steps.count > 64 { steps = [:] }
        steps[shape] = step
        return try step.run(rows)
    }

    private func check(_ rows: Rows) throws {
        let (tokens, sequences) = (rows.ids.count, rows.context.count)
        func refuse(_ what: String) -> ModelError { ModelError(.invalid, what, at: "batch") }
        guard tokens > 0, rows.positions.count == tokens, rows.slots.count == tokens, rows.segments.count == sequences + 1,
            rows.segments.first == 0, rows.segments.last == Int32(tokens),
            zip(rows.segments, rows.segments.dropFirst()).allSatisfy({ $0 <= $1 }),
            rows.blockTable.count == sequences * rows.tableWidth
        else { throw refuse("the counts of tokens, segments and tables do not fit together") }
        guard rows.ids.allSatisfy({ $0 >= 0 && Int($0) < model.shape.vocabulary }) else {
            throw refuse("a token id is not below the vocabulary's \(model.shape.vocabulary)")
        }
        guard rows.slots.allSatisfy({ Int($0) < blocks * blockSize }), rows.blockTable.allSatisfy({ $0 >= 0 && Int($0) < blocks }),
            rows.context.allSatisfy({ $0 >= 0 && Int($0) <= rows.tableWidth * blockSize }),
            rows.logitRows.allSatisfy({ $0 >= 0 && Int($0) < tokens })
        else { throw refuse("a slot, block, context or row lies outside the cache of \(blocks) blocks") }
    }

    /// A graph for one shape of step.
    private final class CompiledStep {
        private let program: Program
        private let logits: Value
        private let weights: WeightBinding
        private let buffers: [Value: DeviceBuffer]
        private let inputs: [(value: Value, rows: KeyPath<Rows, [Int32]>)]

        init(_ runner: PagedRunner, _ shape: Shape) throws {
            let model = runner.model
            let graph = model.makeGraph()
            func ints(_ name: String, _ dims: Int...) -> Value { graph.input(name, ValueType(dims, .i32)) }
            let sequence = SequenceInputs(graph, tokens: shape.tokens, segments: shape.sequences)
            let slots = ints("slots", shape.tokens)
            let context = ints("context", shape.sequences)
            let table = ints("block_table", shape.sequences, shape.tableWidth)
            let logitRows = ints("logit_rows", shape.logits)
            var buffers: [Value: DeviceBuffer] = [:]
            graph.attention = { [blocks = runner.blocks, blockSize = runner.blockSize, type = runner.cacheType, caches = runner.caches, unowned graph] given, attributes in
                guard case .int(let layer)? = attributes.first(where: { $0.0 == "layer" })?.1, caches.indices.contains(layer) else {
                    throw ModelError(.unsupported, "attention names no layer of the model's description", at: "attention")
                }
                func cache(_ name: String, _ like: Value, _ buffer: DeviceBuffer) -> Value {
                    let heads = graph.shape(like)
                    let value = graph.input("\(name)/\(layer)", ValueType([blocks, heads[1], blockSize, heads[2]], type))
                    buffers[value] = buffer
                    return value
                }
                let kept = attributes.filter { ["scale", "window", "softcap"].contains($0.0) }
                return try graph.emit(
                    "attention_paged",
                    [
                        given[0], given[1], given[2], cache("k_cache", given[1], caches[layer].k),
                        cache("v_cache", given[2], caches[layer].v), slots, sequence.segments, context, table,
                        given.count > 5 ? given[5] : .none,
                    ], kept + [("block_size", .int(blockSize))])[0]
            }
            let hidden = try model.family.build(
                in: graph, ids: sequence.ids, positions: sequence.positions, segments: sequence.segments)
            let wanted = try graph.emit("embedding", [hidden[0], logitRows])[0]
            logits = try model.head(graph, wanted)
            graph.settleLayouts()
            program = try Program(graph, outputs: [logits], device: model.device, arena: runner.arena)
            weights = try WeightBinding(graph, model.weights)
            inputs = [
                (sequence.ids, \.ids), (sequence.positions, \.positions), (sequence.segments, \.segments), (slots, \.slots),
                (context, \.context), (table, \.blockTable), (logitRows, \.logitRows),
            ]
            for (value, _) in inputs { buffers[value] = try model.device.allocate(max(4, graph.type(value).byteCount)) }
            self.buffers = buffers
        }

        func run(_ rows: Rows) throws -> UnsafeMutablePointer<Float> {
            for (value, path) in inputs { try buffers[value]?.write(rows[keyPath: path]) }
            try program.run { buffers[$0] ?? weights[$0] }
            guard let address = program.address(logits) else {
                throw ModelError(.unsupported, "the device's memory cannot be read in place", at: "logits")
            }
            return address.assumingMemoryBound(to: Float.self)
        }
    }
}
