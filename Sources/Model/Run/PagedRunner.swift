internal import Graph
internal import PluginAPI
internal import PluginKit

/// Runs token rows of many sequences over a paged cache: what engines stand on. One run at a time.
final class PagedRunner {
    /// Sizes of a block of the cache are multiples of this.
    static let blockMultiple = 16

    let model: Model
    private let arena: SharedArena
    private var caches: [(k: DeviceBuffer, v: DeviceBuffer)] = []
    private var blocks = 0
    private var blockSize = 0
    private var steps: [StepShape: CompiledStep] = [:]
    private var runs = 0
    /// bf16 unless the weights are f32, so that f32 models stay exact.
    private let cacheType: ElementType
    /// Compiled steps that are kept.
    private static let kept = 96

    init(_ model: Model) {
        self.model = model
        arena = SharedArena(device: model.device)
        let embedding = model.files.checkpoint.tensors[model.shape.embedding]?.layout ?? "bf16"
        let dense = WeightStore.denseLayouts.contains(embedding) ? model.options.dense ?? embedding : embedding
        cacheType = dense == "f32" || model.options.activation == "f32" ? .f32 : .bf16
    }

    /// Cache bytes of one position over all layers.
    var bytesPerPosition: Int {
        model.shape.attention.reduce(0) { $0 + $1.keyValueHeads * ($1.keyWidth + $1.valueWidth) * cacheType.size }
    }

    /// The longest of the layers' attention windows; 0 when one of them sees all positions.
    func window() throws -> Int {
        let graph = model.makeGraph()
        var windows: [Int] = []
        graph.attention = { [unowned graph] given, attributes in
            if case .int(let window)? = attributes.first(where: { $0.0 == "window" })?.1 {
                windows.append(window)
            } else {
                windows.append(0)
            }
            // The node itself is the plain one.
            let hook = graph.attention
            graph.attention = nil
            defer { graph.attention = hook }
            return try graph.emit("attention", given, attributes)[0]
        }
        let inputs = SequenceInputs(graph, tokens: 1, segments: 1)
        _ = try model.family.build(in: graph, inputs)
        return windows.contains(0) ? 0 : windows.max() ?? 0
    }

    /// Gives the model a cache of `blocks` blocks of `blockSize` positions.
    func reserve(blocks: Int, blockSize: Int) throws {
        guard blocks > 0, blockSize > 0, blockSize % Self.blockMultiple == 0, blocks <= Int(Int32.max) / blockSize
        else {
            throw ModelError(
                .invalid,
                "\(blocks) blocks of \(blockSize) positions: wanted at least one, of a multiple of \(Self.blockMultiple)",
                at: "cache")
        }
        caches = []
        self.blocks = blocks
        self.blockSize = blockSize
        steps = [:]
    }

    /// The cache on the device that attention runs on; that is known once the first step is planned.
    private func layers(on device: Device) throws -> [(k: DeviceBuffer, v: DeviceBuffer)] {
        if caches.isEmpty {
            caches = try model.shape.attention.map { layer in
                let positions = blocks * blockSize * layer.keyValueHeads * cacheType.size
                return (
                    try device.allocate(positions * layer.keyWidth), try device.allocate(positions * layer.valueWidth)
                )
            }
        }
        return caches
    }

    /// The logits [logit rows, vocabulary] of a step, valid until the next; nil when none are wanted.
    func run(_ rows: StepRows) throws -> UnsafeMutablePointer<Float>? {
        try rows.check(vocabulary: model.shape.vocabulary, blocks: blocks, blockSize: blockSize)
        let shape = StepShape(rows)
        let step = try steps[shape] ?? compile(shape)
        runs += 1
        step.lastRun = runs
        return try step.run(rows)
    }

    private func compile(_ shape: StepShape) throws -> CompiledStep {
        if steps.count >= Self.kept, let oldest = steps.min(by: { $0.value.lastRun < $1.value.lastRun })?.key {
            steps[oldest] = nil
        }
        let cache = PagedCache(blocks: blocks, blockSize: blockSize, type: cacheType, layers: layers)
        let step = try CompiledStep(model, shape, cache, arena)
        steps[shape] = step
        return step
    }
}

/// A cache's memory by layer: [blocks, heads, block size, width], in the form of the device's choice.
struct PagedCache {
    let blocks, blockSize: Int
    let type: ElementType
    let layers: (Device) throws -> [(k: DeviceBuffer, v: DeviceBuffer)]
}

/// What a compiled step is made for. Sequences and tables are rounded up, so that steps share one; tokens and logits are not:
/// each row of theirs is work.
struct StepShape: Hashable {
    let tokens, sequences, tableWidth, logits: Int

    init(_ rows: StepRows) {
        func rounded(_ count: Int) -> Int { count <= 1 ? 1 : 1 << (Int.bitWidth - (count - 1).leadingZeroBitCount) }
        tokens = rows.ids.count
        sequences = rounded(rows.context.count)
        tableWidth = max(8, rounded(rows.tableWidth))
        logits = rows.logitRows.count
    }
}

/// One step's rows, borrowed; see mt_batch in kinds/engine.h.
struct StepRows {
    typealias Numbers = UnsafeBufferPointer<Int32>
    let ids, positions, slots, segments, context, blockTable, logitRows: Numbers
    /// How long each sequence is as far as it is known.
    let lengths: Numbers
    let tableWidth: Int

    init(_ batch: mt_batch) throws {
        let (tokens, sequences, width) = (
            Int(batch.token_count), Int(batch.sequence_count), Int(batch.block_table_width)
        )
        func part(_ name: String, _ base: UnsafePointer<Int32>?, _ count: Int) throws -> Numbers {
            guard base != nil || count == 0 else {
                throw ModelError(.invalid, "\(name) is NULL, wanted \(count) numbers", at: "batch")
            }
            return Numbers(start: base, count: count)
        }
        // No cache has 2^31 slots, so neither has a table or a list of rows.
        let (cells, overflow) = sequences.multipliedReportingOverflow(by: width)
        guard !overflow, cells <= Int(Int32.max), batch.logit_count <= UInt64(tokens) else {
            throw ModelError(
                .invalid, "a table of \(sequences) x \(width), or \(batch.logit_count) logit rows, is too large",
                at: "batch")
        }
        ids = try part("ids", batch.ids, tokens)
        positions = try part("positions", batch.positions, tokens)
        slots = try part("slots", batch.slots, tokens)
        segments = try part("segments", batch.segments, sequences + 1)
        context = try part("context", batch.context, sequences)
        lengths = batch.lengths == nil ? context : try part("lengths", batch.lengths, sequences)
        blockTable = try part("block_table", batch.block_table, cells)
        logitRows = try part("logit_rows", batch.logit_rows, Int(batch.logit_count))
        tableWidth = width
    }

    /// `lengths`, for each token.
    func tokenLengths() -> [Int32] {
        lengths.indices.flatMap { [Int32](repeating: lengths[$0], count: Int(segments[$0 + 1] - segments[$0])) }
    }

    func check(vocabulary: Int, blocks: Int, blockSize: Int) throws {
        func refuse(_ what: String) -> ModelError { ModelError(.invalid, what, at: "batch") }
        guard !ids.isEmpty, !context.isEmpty, segments.first == 0, segments.last == Int32(ids.count),
            zip(segments, segments.dropFirst()).allSatisfy({ $0 <= $1 })
        else { throw refuse("the segments do not divide the \(ids.count) tokens") }
        guard ids.allSatisfy({ $0 >= 0 && Int($0) < vocabulary }) else {
            throw refuse("a token id is not below the vocabulary's \(vocabulary)")
        }
        guard positions.allSatisfy({ $0 >= 0 }), slots.allSatisfy({ $0 >= -1 && Int($0) < blocks * blockSize }),
            blockTable.allSatisfy({ $0 >= 0 && Int($0) < blocks }),
            context.allSatisfy({ $0 >= 0 && Int($0) <= tableWidth * blockSize }),
            logitRows.allSatisfy({ $0 >= 0 && Int($0) < ids.count }), lengths.allSatisfy({ $0 > 0 })
        else { throw refuse("a position, slot, block, context or row lies outside the cache of \(blocks) blocks") }
        for s in context.indices where segments[s + 1] - segments[s] > context[s] {
            throw refuse("sequence \(s) has more rows than its context of \(context[s])")
        }
    }
}
