import Glibc
internal import Random
internal import Host

/// How the next token is chosen.
package struct Sampling: Sendable {
    /// 0 takes the likeliest.
    package var temperature = 0.0
    /// 0 = off.
    package var topK = 0
    /// 1 = off.
    package var topP = 1.0
    /// Factor that makes tokens of the text so far less likely (Keskar et al. 2019); 1 = off.
    package var repetitionPenalty = 1.0
    package var seed: UInt64 = 42
    package init() {}
}

/// Continues one sequence at a time. Prompts are read in chunks, and a sequence that begins like the last one goes on from
/// what the cache still holds of it.
package final class Generator {
    private let runner: PagedRunner
    private let model: Model
    private let blockSize = 32
    private var blocks = 0
    /// Tokens whose keys and values are in the cache.
    private var cached: [Int32] = []
    /// Tokens of a prompt that one step reads.
    private static let chunk = 512

    package init(_ model: Model) {
        self.model = model
        runner = PagedRunner(model)
    }

    package enum End: String, Sendable { case stop, length }

    package struct Outcome: Sendable {
        package var end = End.length
        package var promptTokens = 0
        package var newTokens = 0
        package var secondsToFirst = 0.0
        package var seconds = 0.0
    }

    /// - Parameters:
    ///   - onToken: Gets each new token; false stops.
    package func generate(
        _ prompt: [Int32], sampling: Sampling, maximumTokens: Int, stops: Set<Int32>, onToken: (Int32) throws -> Bool
    ) throws -> Outcome {
        guard !prompt.isEmpty else { throw ModelError(.invalid, "the prompt is empty; give at least one token", at: "generate") }
        let longest = model.shape.maximumPositions
        if longest > 0, prompt.count >= longest {
            throw ModelError(
                .invalid, "the prompt has \(prompt.count) tokens, the model reads at most \(longest); shorten it", at: "generate")
        }
        let room = longest > 0 ? min(prompt.count + maximumTokens, longest) : prompt.count + maximumTokens
        try reserve(room)
        var outcome = Outcome()
        outcome.promptTokens = prompt.count
        let start = Clock.now
        var tokens = prompt
        // At least the last token is read, for its logits.
        let shared = min(zip(cached, prompt).prefix { $0 == $1 }.count, prompt.count - 1)
        cached = Array(prompt[..<shared])
        while tokens.count < room {
            let logits = try read(tokens)
            let next = choose(logits, tokens, sampling, step: tokens.count - prompt.count)
            if outcome.newTokens == 0 { outcome.secondsToFirst = Clock.now - start }
            if stops.contains(next) {
                outcome.end = .stop
                break
            }
            tokens.append(next)
            outcome.newTokens += 1
            if try !onToken(next) {
                outcome.end = .stop
                break
            }
            if outcome.newTokens >= maximumTokens { break }
        }
        outcome.seconds = Clock.now - start
        return outcome
    }

    private func reserve(_ positions: Int) throws {
        let wanted = (positions + blockSize - 1) / blockSize + 1
        guard wanted > blocks else { return }
        blocks = max(wanted, min(2 * blocks, 1 << 20))
        try runner.reserve(blocks: blocks, blockSize: blockSize)
        cached = []
    }

    /// Reads what is not in the cache yet; the logits of the last token.
    private func read(_ tokens: [Int32]) throws -> UnsafeMutablePointer<Float> {
        var logits: UnsafeMutablePointer<Float>?
        while cached.count < tokens.count {
            let end = min(cached.count + Self.chunk, tokens.count)
            let rows = (cached.count..<end).map { Int32($0) }
            logits = try runner.run(
                .init(
                    ids: Array(tokens[cached.count..<end]), positions: rows, slots: rows, segments: [0, Int32(rows.count)],
                    context: [Int32(end)], blockTable: (0..<Int32(blocks)).map { $0 }, tableWidth: blocks,
                    logitRows: [Int32(rows.count - 1)]))
            cached = Array(tokens[..<end])
        }
        guard let logits else { throw ModelError(.invalid, "there was no token to read", at: "generate") }
        return logits
    }

    private func choose(_ logits: UnsafeMutablePointer<Float>, _ tokens: [Int32], _ sampling: Sampling, step: Int) -> Int32 {
        let count = model.shape.vocabulary
        if sampling.repetitionPenalty != 1 {
            let penalty = Float(sampling.repetitionPenalty)
            for id in Set(tokens) {
                logits[Int(id)] = logits[Int(id)] > 0 ? logits[Int(id)] / penalty : logits[Int(id)] * penalty
            }
        }
        guard sampling.temperature > 0 else {
            var best = 0
            for i in 1..<count where logits[i] > logits[best] { best = i }
            return Int32(best)
        }
        var order = Array(0..<count)
        let limit = sampling.topK > 0 ? min(sampling.topK, count) : count
        order.sort { logits[$0] != logits[$1] ? logits[$0] > logits[$1] : $0 < $1 }
        let top = logits[order[0]]
        var weights: [Double] = []
        for id in order.prefix(limit) { weights.append(exp(Double(logits[id] - top) / sampling.temperature)) }
        var total = weights.reduce(0, +)
        if sampling.topP < 1 {
            var sum = 0.0
            let kept = weights.firstIndex { weight in
                sum += weight
                return sum >= sampling.topP * total
            }
            weights = Array(weights.prefix((kept ?? weights.count - 1) + 1))
            total = weights.reduce(0, +)
        }
        let words = Philox.block(seed: sampling.seed, stream: 0, counter: UInt64(step))
        var left = Double(UInt64(words.0) << 21 ^ UInt64(words.1)) * 0x1p-53 * total
        for (i, weight) in weights.enumerated() {
            left -= weight
            if left < 0 { return Int32(order[i]) }
        }
        return Int32(order[weights.count - 1])
    }
}

/// Seconds of a clock that only goes forward.
package enum Clock {
    package static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
