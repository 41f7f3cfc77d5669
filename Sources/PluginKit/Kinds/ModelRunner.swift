public import JSON
import PluginAPI

/// One step's rows over a paged cache; see mt_batch in kinds/engine.h.
public struct ModelBatch: Sendable {
    public var ids: [Int32] = []
    public var positions: [Int32] = []
    public var slots: [Int32] = []
    /// Cumulative rows, one more than sequences.
    public var segments: [Int32] = [0]
    public var context: [Int32] = []
    /// How long each sequence is as far as it is known.
    public var lengths: [Int32] = []
    /// [sequences, tableWidth].
    public var blockTable: [Int32] = []
    public var tableWidth = 0
    public var logitRows: [Int32] = []

    public init() {}
}

/// A model that the host runs for an engine: the service martlet.model-runner/1.
public final class ModelRunner: @unchecked Sendable {
    private let service: UnsafePointer<mt_model_runner>
    private let handle: OpaquePointer
    /// The document of `describe` in kinds/engine.h.
    public let description: JSON

    /// - Parameter options: The document of the engine's `load`.
    public init(options: JSON) throws {
        guard let service = Host.service(MT_SERVICE_MODEL, as: mt_model_runner.self) else {
            throw PluginError(.unsupported, "this host runs no models for engines: it has no \(MT_SERVICE_MODEL)")
        }
        self.service = service
        let context = service.pointee.ctx
        var opened: OpaquePointer?
        try options.text().lent { text in try checked { service.pointee.open(context, text, &opened, $0) } }
        guard let opened else { throw PluginError(.error, "the host opened no model") }
        handle = opened
        do {
            let text = try collected { sink in try checked { service.pointee.describe(context, opened, sink, $0) } }
            description = try JSON(parsing: text)
        } catch {
            service.pointee.close(context, opened)
            throw error
        }
    }

    deinit { service.pointee.close(service.pointee.ctx, handle) }

    /// Gives the model a cache.
    public func reserve(blocks: Int, blockSize: Int) throws {
        try checked { service.pointee.reserve(service.pointee.ctx, handle, UInt32(blocks), UInt32(blockSize), $0) }
    }

    /// Runs a step.
    /// - Returns: Logits [logitRows, vocabulary], the caller's to change, valid until the next run; nil when none were wanted.
    public func run(_ batch: ModelBatch) throws -> UnsafeMutablePointer<Float>? {
        var logits: UnsafeMutablePointer<Float>?
        var raw = mt_batch()
        raw.struct_size = UInt32(MemoryLayout<mt_batch>.size)
        raw.token_count = UInt32(batch.ids.count)
        raw.sequence_count = UInt32(batch.context.count)
        raw.block_table_width = UInt32(batch.tableWidth)
        raw.logit_count = UInt64(batch.logitRows.count)
        // One memory for all of them, in the struct's order.
        let parts = [
            batch.ids, batch.positions, batch.slots, batch.segments, batch.context, batch.blockTable, batch.logitRows,
            batch.lengths,
        ]
        try parts.flatMap { $0 }.withUnsafeBufferPointer { flat in
            var next = flat.baseAddress
            func part(_ index: Int) -> UnsafePointer<Int32>? {
                defer { next = next.map { $0 + parts[index].count } }
                return next
            }
            (raw.ids, raw.positions, raw.slots, raw.segments) = (part(0), part(1), part(2), part(3))
            (raw.context, raw.block_table, raw.logit_rows) = (part(4), part(5), part(6))
            if !batch.lengths.isEmpty { raw.lengths = part(7) }
            try checked { service.pointee.run(service.pointee.ctx, handle, &raw, &logits, $0) }
        }
        return logits
    }
}
