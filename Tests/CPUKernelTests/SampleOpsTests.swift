import CPUKernels
import Glibc
import Testing

@Suite struct SampleOpsTests {
    static func sampling(temperature: Float = 1) -> mk_sampling {
        var s = mk_sampling()
        (s.temperature, s.top_p, s.repetition_penalty, s.seed) = (temperature, 1, 1, (7, 9))
        return s
    }

    func draw(_ logits: [Float], _ samplings: [mk_sampling], threads: Int = 1) -> [Int32] {
        let vocabulary = logits.count / samplings.count
        var tokens = [Int32](repeating: -9, count: samplings.count)
        withPool(threads: threads) { pool in
            #expect(
                withScratch(mk_sample_scratch_bytes(pool, vocabulary)) {
                    mk_sample(pool, logits, samplings.count, vocabulary, samplings, &tokens, nil, 0, nil, nil, $0)
                })
        }
        return tokens
    }

    /// How often each token comes in `count` draws at successive positions.
    func frequencies(_ logits: [Float], _ s: mk_sampling, count: Int = 20_000) -> [Double] {
        let rows = (0..<count).map { position in
            var row = s
            row.position = UInt64(position)
            return row
        }
        var all: [Float] = []
        for _ in 0..<count { all += logits }
        return draw(all, rows, threads: 2).reduce(into: [Double](repeating: 0, count: logits.count)) {
            $0[Int($1)] += 1 / Double(count)
        }
    }

    static let logits: [Float] = [0.5, 2, -1, 1.5, 0, 2, -3, 1]

    /// The distribution by the definitions, on doubles: temperature, then top-k, top-p, min-p.
    func expected(_ logits: [Float], temperature: Double, topK: Int, topP: Double, minP: Double) -> [Double] {
        var p = logits.map { exp(Double($0) / temperature) }
        let order = p.indices.sorted { (p[$0], -$0) > (p[$1], -$1) }
        if topK > 0 { for i in order.dropFirst(topK) { p[i] = 0 } }
        let total = p.reduce(0, +)
        var sum = 0.0
        for i in order {
            if sum >= topP * total { p[i] = 0 }
            sum += p[i]
        }
        let top = p.max() ?? 0
        p = p.map { $0 < minP * top ? 0 : $0 }
        let rest = p.reduce(0, +)
        return p.map { $0 / rest }
    }

    @Test(arguments: [(0, 1.0, 0.0), (3, 1.0, 0.0), (0, 0.7, 0.0), (5, 0.8, 0.0), (0, 1.0, 0.3), (0, 0.9, 0.25)])
    func drawsFollowTheDistribution(topK: Int, topP: Double, minP: Double) {
        var s = Self.sampling(temperature: 0.8)
        (s.top_k, s.top_p, s.min_p) = (Int32(topK), Float(topP), Float(minP))
        let got = frequencies(Self.logits, s)
        for (got, expected) in zip(got, expected(Self.logits, temperature: 0.8, topK: topK, topP: topP, minP: minP)) {
            // Four standard deviations of a frequency over 20 000 draws.
            #expect(abs(got - expected) <= 4 * (expected * (1 - expected) / 20_000).squareRoot())
        }
    }

    @Test func greedyTakesTheFirstLargestAndMasksAndPenaltiesComeFirst() {
        var s = Self.sampling(temperature: 0)
        #expect(draw(Self.logits, [s]) == [1])
        let allowed: [UInt32] = [0b1000_0101]
        allowed.withUnsafeBufferPointer {
            s.allowed = $0.baseAddress
            #expect(draw(Self.logits, [s]) == [7])
        }
        s.allowed = nil
        let tokens: [Int32] = [1, 5, 3], counts: [Int32] = [2, 0, 0]
        tokens.withUnsafeBufferPointer { tokens in
            counts.withUnsafeBufferPointer { counts in
                (s.tokens, s.counts, s.token_count) = (tokens.baseAddress, counts.baseAddress, 3)
                (s.presence_penalty, s.frequency_penalty) = (0.1, 0.2)
                #expect(draw(Self.logits, [s]) == [5], "2 - 0.1 - 2 * 0.2 < 2")
                (s.repetition_penalty, s.presence_penalty, s.frequency_penalty) = (2.5, 0, 0)
                #expect(draw(Self.logits, [s]) == [7], "2 / 2.5 and 1.5 / 2.5 < 1")
            }
        }
        let none: [UInt32] = [0]
        none.withUnsafeBufferPointer {
            s.token_count = 0
            s.allowed = $0.baseAddress
            #expect(draw(Self.logits, [s]) == [-1])
        }
    }

    @Test func logprobsAreOfTheLogitsAsGiven() {
        let s = Self.sampling(temperature: 0), total = log(Self.logits.reduce(0.0) { $0 + exp(Double($1)) })
        var token: Int32 = 0, top = [Int32](repeating: 0, count: 3), logprob: Float = 0,
            logprobs = [Float](repeating: 0, count: 3)
        _ = withScratch(mk_sample_scratch_bytes(nil, 8)) {
            mk_sample(nil, Self.logits, 1, 8, [s], &token, &logprob, 3, &top, &logprobs, $0)
        }
        #expect(top == [1, 5, 3] && token == 1)
        #expect(abs(Double(logprob) - (2 - total)) < 1e-6 && abs(Double(logprobs[2]) - (1.5 - total)) < 1e-6)
    }

    @Test func aLargeVocabularyIsSampledTheSameForAnyThreads() {
        var random = Seeded(state: 3)
        let vocabulary = 30_011, rows = 5
        let logits = random.floats(vocabulary * rows, in: -8...8)
        let samplings = (0..<rows).map { row in
            var s = Self.sampling()
            (s.top_p, s.top_k, s.position) = (row % 2 == 0 ? 0.95 : 1, row < 2 ? 50 : 0, UInt64(row))
            return s
        }
        #expect(draw(logits, samplings, threads: 1) == draw(logits, samplings, threads: 3))
    }
}
