import PluginKit

/// Runs what the scheduler planned, and chooses the next tokens.
final class Runner {
    /// What a sequence got out of a step.
    enum Outcome {
        case token(Int32, logprob: Float, top: [(id: Int32, logprob: Float)])
        /// Its logits are no numbers.
        case broken
    }

    private let model: ModelRunner
    private let vocabulary: Int
    /// Seed of requests that bring none.
    private let ownSeed: UInt64
    private var batch = ModelBatch()

    init(_ model: ModelRunner, vocabulary: Int, ownSeed: UInt64) {
        self.model = model
        self.vocabulary = vocabulary
        self.ownSeed = ownSeed
    }

    /// Runs the tokens; the outcome of each sequence that has caught up, by position in the plan.
    func run(_ planned: [(sequence: GenerationSequence, tokens: Int)], blockSize: Int) throws -> [(
        index: Int, outcome: Outcome
    )] {
        fill(planned, blockSize)
        let logits = try model.run(batch)
        let ready = planned.indices.filter { planned[$0].tokens == planned[$0].sequence.left }
        guard let logits, !ready.isEmpty else { return [] }
        let results = Results(count: ready.count)
        let rows = Rows(base: logits, sequences: ready.map { planned[$0].sequence })
        let (vocabulary, seed) = (vocabulary, ownSeed)
        Host.parallel(ready.count) { row in
            let values = UnsafeMutableBufferPointer(start: rows.base + row * vocabulary, count: vocabulary)
            results.list[row] = Self.choose(values, rows.sequences[row], ownSeed: seed)
        }
        return zip(ready, results.list).map { ($0, $1) }
    }

    /// What the threads share: each touches its own row alone.
    private struct Rows: @unchecked Sendable {
        let base: UnsafeMutablePointer<Float>
        let sequences: [GenerationSequence]
    }

    private final class Results: @unchecked Sendable {
        let list: UnsafeMutableBufferPointer<Outcome>
        init(count: Int) {
            list = .allocate(capacity: count)
            list.initialize(repeating: .broken)
        }
        deinit {
            list.deinitialize()
            list.deallocate()
        }
    }

    private func fill(_ planned: [(sequence: GenerationSequence, tokens: Int)], _ blockSize: Int) {
        batch.ids.removeAll(keepingCapacity: true)
        batch.positions.removeAll(keepingCapacity: true)
        batch.slots.removeAll(keepingCapacity: true)
        batch.segments.removeAll(keepingCapacity: true)
        batch.context.removeAll(keepingCapacity: true)
        batch.blockTable.removeAll(keepingCapacity: true)
        batch.logitRows.removeAll(keepingCapacity: true)
        batch.lengths.removeAll(keepingCapacity: true)
        batch.segments.append(0)
        batch.tableWidth = planned.map { $0.sequence.blocks.count }.max() ?? 0
        for (sequence, tokens) in planned {
            let end = sequence.computed + tokens
            for position in sequence.computed..<end {
                batch.ids.append(sequence.tokens[position])
                batch.positions.append(Int32(position))
                batch.slots.append(
                    Int32((sequence.blocks[position / blockSize] ?? 0) * blockSize + position % blockSize))
            }
            batch.segments.append(Int32(batch.ids.count))
            batch.context.append(Int32(end))
            batch.lengths.append(Int32(sequence.length))
            // Blocks behind the window are not read, but a table has no holes.
            for block in sequence.blocks { batch.blockTable.append(Int32(block ?? 0)) }
            for _ in sequence.blocks.count..<batch.tableWidth { batch.blockTable.append(0) }
            if tokens == sequence.left { batch.logitRows.append(Int32(batch.ids.count - 1)) }
        }
    }

    private static func choose(
        _ logits: UnsafeMutableBufferPointer<Float>, _ sequence: GenerationSequence, ownSeed: UInt64
    ) -> Outcome {
        let settings = sequence.sampling
        let plain = UnsafeBufferPointer(logits)
        // Log-probabilities are the model's own, before penalties.
        var top: [(id: Int32, logprob: Float)] = []
        var sum = 0.0
        var untouched: [Float]?
        if let count = settings.logprobs {
            sum = Sampler.logSum(plain)
            top = Sampler.top(plain, count).map { ($0, Float(Double(plain[Int($0)]) - sum)) }
            untouched = Array(plain)
        }
        Sampler.adjust(logits, settings, text: sequence.tokens, counts: sequence.counts)
        let token: Int32?
        if settings.temperature == 0 {
            token = Sampler.likeliest(plain)
        } else {
            let (list, total) = Sampler.candidates(plain, settings)
            // A stream's element is found by its number: what else runs in the step has no say in it.
            let words = try? Host.random(
                seed: settings.seed ?? ownSeed, stream: settings.seed == nil ? sequence.id : 0,
                counter: UInt64(sequence.generatedCount))
            token = words.flatMap { words in
                let number = Double(UInt64(words.0) << 21 ^ UInt64(words.1) >> 11) * 0x1p-53
                return Sampler.draw(list, total: total, number)
            }
        }
        guard let token else { return .broken }
        return .token(token, logprob: untouched.map { Float(Double($0[Int(token)]) - sum) } ?? 0, top: top)
    }
}
