import JSON
import PluginAPI
import PluginKit

/// The service martlet.model-runner/1 of the checker: a model whose next token follows from all tokens before it, read back from
/// the cache by the engine's own block table. An engine that mixes up slots, blocks, positions or sequences gets another text.
final class SuiteRunner: @unchecked Sendable {
    static let vocabulary = 29
    /// Token 0 ends a text.
    static let end: Int32 = 0

    /// The token that follows `tokens`.
    static func next(_ tokens: some Sequence<Int32>) -> Int32 {
        var sum: UInt64 = 17
        for (position, token) in tokens.enumerated() {
            sum = (sum &* 31 &+ UInt64(UInt32(bitPattern: token)) &* 7 &+ UInt64(position)) % 1_000_003
        }
        return Int32(sum % UInt64(vocabulary))
    }

    /// The tokens that follow a prompt, up to the end token or `limit`.
    static func text(after prompt: [Int32], limit: Int) -> (tokens: [Int32], isEnded: Bool) {
        var all = prompt
        for _ in 0..<limit {
            let token = next(all)
            if token == end { return (Array(all[prompt.count...]), true) }
            all.append(token)
        }
        return (Array(all[prompt.count...]), false)
    }

    private var slots: [(token: Int32, position: Int32)] = []
    private var blockSize = 0
    private let storage = UnsafeMutablePointer<Float>.allocate(capacity: 4096 * vocabulary)

    deinit { storage.deallocate() }

    private func reserve(blocks: Int, blockSize: Int) throws {
        guard 1...1 << 20 ~= blocks, 1...4096 ~= blockSize else {
            throw PluginError(.invalid, "\(blocks) blocks of \(blockSize) positions are asked for", at: "reserve")
        }
        slots = Array(repeating: (-1, -1), count: blocks * blockSize)
        self.blockSize = blockSize
    }

    private func run(_ batch: mt_batch) throws -> UnsafeMutablePointer<Float> {
        func wrong(_ message: String) -> PluginError { PluginError(.invalid, message, at: "batch") }
        let (rows, sequences) = (Int(batch.token_count), Int(batch.sequence_count))
        let (width, wanted) = (Int(batch.block_table_width), Int(clamping: batch.logit_count))
        guard blockSize > 0 else { throw wrong("run comes before reserve") }
        guard rows > 0, wanted <= min(rows, 4096) else { throw wrong("\(wanted) logits of \(rows) rows are asked for") }
        guard batch.segments[0] == 0, batch.segments[sequences] == batch.token_count else {
            throw wrong("segments do not cover the \(rows) rows")
        }
        for row in 0..<rows where batch.slots[row] >= 0 {
            guard slots.indices.contains(Int(batch.slots[row])) else {
                throw wrong("slot \(batch.slots[row]) lies outside the \(slots.count) that were reserved")
            }
            slots[Int(batch.slots[row])] = (batch.ids[row], batch.positions[row])
        }
        var texts: [[Int32]] = []
        for sequence in 0..<sequences {
            let context = Int(batch.context[sequence])
            guard context <= width * blockSize else { throw wrong("a context of \(context) lies outside its blocks") }
            texts.append(
                try (0..<context).map { position in
                    let block = Int(batch.block_table[sequence * width + position / blockSize])
                    let slot = slots[block * blockSize + position % blockSize]
                    guard slot.position == position else {
                        throw wrong("sequence \(sequence) finds position \(slot.position) where \(position) should be")
                    }
                    return slot.token
                })
        }
        for i in 0..<wanted {
            let row = Int(batch.logit_rows[i])
            guard let sequence = (0..<sequences).first(where: { row < Int(batch.segments[$0 + 1]) }) else {
                throw wrong("logits of row \(row) of \(rows) are asked for")
            }
            let after = texts[sequence].prefix(Int(batch.positions[row]) + 1)
            for token in 0..<Self.vocabulary { storage[i * Self.vocabulary + token] = 0 }
            storage[i * Self.vocabulary + Int(Self.next(after))] = 5
        }
        return storage
    }

    nonisolated(unsafe) static let table: UnsafePointer<mt_model_runner> = {
        let table = UnsafeMutablePointer<mt_model_runner>.allocate(capacity: 1)
        table.initialize(to: mt_model_runner())
        table.pointee.struct_size = UInt32(MemoryLayout<mt_model_runner>.size)
        table.pointee.open = { _, _, out, error in guarded(error) { out?.pointee = Handle.make(SuiteRunner()) } }
        table.pointee.close = { _, runner in Handle.release(runner, as: SuiteRunner.self) }
        table.pointee.describe = { _, _, out, error in
            guarded(error) {
                let description: JSON = [
                    "vocab_size": .int(Int64(vocabulary)), "max_positions": 0, "layers": 1, "block_multiple": 1,
                    "cache_bytes_per_position": 8, "window": 0, "end_ids": [.int(Int64(end))],
                    "memory_bytes": 1_000_000_000, "memory_free_bytes": 1_000_000_000,
                ]
                try out.put(description.text())
            }
        }
        table.pointee.reserve = { _, runner, blocks, size, error in
            guarded(error) {
                try Handle.object(runner, as: SuiteRunner.self).reserve(blocks: Int(blocks), blockSize: Int(size))
            }
        }
        table.pointee.run = { _, runner, batch, logits, error in
            guarded(error) {
                guard let batch else { throw PluginError(.invalid, "the batch is NULL") }
                logits?.pointee = try Handle.object(runner, as: SuiteRunner.self).run(batch.pointee)
            }
        }
        return UnsafePointer(table)
    }()
}
