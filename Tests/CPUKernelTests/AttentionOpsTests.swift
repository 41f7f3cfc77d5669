import CPUKernels
import Glibc
import Testing

/// A case of attention with its inputs, and the answers of double-precision loops.
struct AttentionCase: Sendable, CustomTestStringConvertible {
    var name: String
    var queryHeads = 6, kvHeads = 2, width = 64, valueWidth = 64
    var queries: [Int32] = [0, 5, 5, 70, 203, 203], keys: [Int32] = [0, 9, 12, 77, 210, 210]
    var scale: Float = 0.3, softcap: Float = 0
    var window: Int32 = 0
    var causal = true, hasSinks = false

    var testDescription: String { name }
    var queryTokens: Int { Int(queries.last ?? 0) }
    var keyTokens: Int { Int(keys.last ?? 0) }
    var inputs: (q: [Float], k: [Float], v: [Float], sinks: [Float]) {
        var random = Seeded(state: 17)
        return (
            random.floats(queryTokens * queryHeads * width), random.floats(keyTokens * kvHeads * width),
            random.floats(keyTokens * kvHeads * valueWidth), random.floats(queryHeads, in: -2...2)
        )
    }

    static let all = [
        AttentionCase(name: "grouped causal"),
        AttentionCase(name: "full, capped, odd widths", width: 37, valueWidth: 21, softcap: 2, causal: false),
        AttentionCase(
            name: "sinks, more queries than keys", keys: [0, 3, 12, 77, 210, 210], hasSinks: true),
        AttentionCase(name: "window", width: 16, valueWidth: 128, window: 17),
        AttentionCase(name: "one head a group", queryHeads: 3, kvHeads: 3, width: 80, valueWidth: 80),
        AttentionCase(name: "nothing", queries: [0, 0], keys: [0, 0]),
        AttentionCase(
            name: "one token", queryHeads: 1, kvHeads: 1, width: 8, valueWidth: 4, queries: [0, 1], keys: [0, 1]),
    ]

    /// Calls `body` with the shape as the kernels take it.
    func withShape<R>(_ precision: mk_precision, _ body: (inout mk_attention_shape) -> R) -> R {
        queries.withUnsafeBufferPointer { q in
            keys.withUnsafeBufferPointer { k in
                var shape = mk_attention_shape(
                    query_tokens: queryTokens, key_tokens: keyTokens, query_heads: queryHeads, kv_heads: kvHeads,
                    width: width, value_width: valueWidth, q_stride: 0, k_stride: 0, v_stride: 0,
                    q_segments: q.baseAddress, k_segments: k.baseAddress, segments: queries.count - 1,
                    scale: scale, softcap: softcap, window: window, causal: causal, precision: precision)
                return body(&shape)
            }
        }
    }

    /// Probabilities of query token i (of its segment) and head h, with its visible keys, and lse.
    func row(_ q: [Double], _ k: [Double], _ sinks: [Double], segment: Int, token: Int, head: Int)
        -> (keys: [Int], p: [Double], lse: Double, capSlope: [Double])
    {
        let (q0, q1, k0, k1) = (
            Int(queries[segment]), Int(queries[segment + 1]), Int(keys[segment]), Int(keys[segment + 1])
        )
        let position = token - q0 + (k1 - k0) - (q1 - q0), kvHead = head / (queryHeads / kvHeads)
        var visible: [Int] = [], scores: [Double] = [], slopes: [Double] = []
        for j in k0..<k1 where (!causal || j - k0 <= position) && (window == 0 || position - (j - k0) < Int(window)) {
            var s = 0.0
            for d in 0..<width {
                s += q[(token * queryHeads + head) * width + d] * k[(j * kvHeads + kvHead) * width + d]
            }
            s *= Double(scale)
            var slope = 1.0
            if softcap > 0 {
                let t = tanh(s / Double(softcap))
                (s, slope) = (Double(softcap) * t, 1 - t * t)
            }
            visible.append(j)
            scores.append(s)
            slopes.append(slope)
        }
        let all = scores + (hasSinks ? [sinks[head]] : [])
        guard let top = all.max() else { return ([], [], -.infinity, []) }
        let total = all.reduce(0) { $0 + exp($1 - top) }
        return (visible, scores.map { exp($0 - top) / total }, top + log(total), slopes)
    }

    func reference(_ q: [Double], _ k: [Double], _ v: [Double], _ sinks: [Double]) -> (out: [Double], lse: [Double]) {
        var out = [Double](repeating: 0, count: queryTokens * queryHeads * valueWidth)
        var lse = [Double](repeating: 0, count: queryTokens * queryHeads)
        for segment in 0..<queries.count - 1 {
            for token in Int(queries[segment])..<Int(queries[segment + 1]) {
                for head in 0..<queryHeads {
                    let row = row(q, k, sinks, segment: segment, token: token, head: head)
                    let at = token * queryHeads + head, kvHead = head / (queryHeads / kvHeads)
                    lse[at] = row.lse
                    for (j, p) in zip(row.keys, row.p) {
                        for c in 0..<valueWidth {
                            out[at * valueWidth + c] += p * v[(j * kvHeads + kvHead) * valueWidth + c]
                        }
                    }
                }
            }
        }
        return (out, lse)
    }
}

@Suite struct AttentionOpsTests {
    func run(_ c: AttentionCase, _ precision: mk_precision, threads: Int) -> (out: [Float], lse: [Float]) {
        let (q, k, v, sinks) = c.inputs
        var out = [Float](repeating: 9, count: c.queryTokens * c.queryHeads * c.valueWidth)
        var lse = [Float](repeating: 9, count: c.queryTokens * c.queryHeads)
        let kept = c.withShape(precision) { shape in
            withPool(threads: threads) { pool in
                withScratch(mk_attention_scratch_bytes(pool, &shape)) {
                    mk_attention(pool, q, k, v, c.hasSinks ? sinks : nil, &out, &lse, &shape, $0)
                }
            }
        }
        #expect(kept, "scratch was overrun")
        return (out, lse)
    }

    @Test(arguments: AttentionCase.all) func forwardAgreesWithDoublePrecision(_ c: AttentionCase) {
        let (q, k, v, sinks) = c.inputs
        let expected = c.reference(q.map(Double.init), k.map(Double.init), v.map(Double.init), sinks.map(Double.init))
        atEachLevel { level in
            for precision in [MK_PRECISION_F32, MK_PRECISION_BF16] {
                // bf16 keeps 8 bits of each factor: scores of |s| <= 3 move by about 1 % of their spread.
                let bound = precision == MK_PRECISION_BF16 && level == MK_LEVEL_AVX512_DOT ? 1e-2 : 2e-6
                let got = run(c, precision, threads: 2)
                for (got, expected) in zip(got.out, expected.out) { #expect(abs(Double(got) - expected) < bound) }
                for (got, expected) in zip(got.lse, expected.lse) {
                    #expect(Double(got) == expected || abs(Double(got) - expected) < bound)
                }
            }
        }
    }

    @Test(arguments: AttentionCase.all) func anyNumberOfThreadsGivesTheSameBits(_ c: AttentionCase) {
        for precision in [MK_PRECISION_F32, MK_PRECISION_BF16] {
            let results = [1, 2, 3].map { run(c, precision, threads: $0) }
            #expect(results[0] == results[1] && results[0] == results[2])
        }
    }

    struct Gradients: Equatable {
        var dq: [Float], dk: [Float], dv: [Float], dsinks: [Float]
    }

    func runBackward(_ c: AttentionCase, _ precision: mk_precision, dout: [Float], threads: Int) -> Gradients {
        let (q, k, v, sinks) = c.inputs
        let (out, lse) = run(c, precision, threads: threads)
        var result = Gradients(dq: q, dk: k, dv: v, dsinks: sinks)
        let kept = c.withShape(precision) { shape in
            withPool(threads: threads) { pool in
                withScratch(mk_attention_backward_scratch_bytes(pool, &shape)) {
                    mk_attention_backward(
                        pool, dout, q, k, v, c.hasSinks ? sinks : nil, out, lse, &result.dq, &result.dk, &result.dv,
                        &result.dsinks, &shape, $0)
                }
            }
        }
        #expect(kept, "scratch was overrun")
        return result
    }

    /// The gradients by the chain rule, row by row, in double precision.
    func referenceGradients(_ c: AttentionCase, dout: [Double]) -> (
        dq: [Double], dk: [Double], dv: [Double], dsinks: [Double]
    ) {
        let inputs = c.inputs
        let (q, k, v) = (inputs.q.map(Double.init), inputs.k.map(Double.init), inputs.v.map(Double.init))
        let sinks = inputs.sinks.map(Double.init), (width, valueWidth) = (c.width, c.valueWidth)
        var dq = q.map { _ in 0.0 }, dk = k.map { _ in 0.0 }, dv = v.map { _ in 0.0 }, dsinks = sinks.map { _ in 0.0 }
        for segment in 0..<c.queries.count - 1 {
            for token in Int(c.queries[segment])..<Int(c.queries[segment + 1]) {
                for head in 0..<c.queryHeads {
                    let row = c.row(q, k, sinks, segment: segment, token: token, head: head)
                    let at = token * c.queryHeads + head, kvHead = head / (c.queryHeads / c.kvHeads)
                    let dp = row.keys.map { j in
                        (0..<valueWidth).reduce(0.0) {
                            $0 + dout[at * valueWidth + $1] * v[(j * c.kvHeads + kvHead) * valueWidth + $1]
                        }
                    }
                    let delta = zip(row.p, dp).reduce(0.0) { $0 + $1.0 * $1.1 }
                    if c.hasSinks { dsinks[head] -= exp(sinks[head] - row.lse) * delta }
                    for (n, j) in row.keys.enumerated() {
                        let key = j * c.kvHeads + kvHead,
                            ds = row.p[n] * (dp[n] - delta) * row.capSlope[n] * Double(c.scale)
                        for e in 0..<width {
                            dq[at * width + e] += ds * k[key * width + e]
                            dk[key * width + e] += ds * q[at * width + e]
                        }
                        for e in 0..<valueWidth { dv[key * valueWidth + e] += row.p[n] * dout[at * valueWidth + e] }
                    }
                }
            }
        }
        return (dq, dk, dv, dsinks)
    }

    func outputGradient(_ c: AttentionCase) -> [Float] {
        var random = Seeded(state: 23)
        return random.floats(c.queryTokens * c.queryHeads * c.valueWidth)
    }

    @Test(arguments: AttentionCase.all) func backwardAgreesWithTheChainRule(_ c: AttentionCase) {
        let dout = outputGradient(c)
        let expected = referenceGradients(c, dout: dout.map(Double.init))
        atEachLevel { level in
            for precision in [MK_PRECISION_F32, MK_PRECISION_BF16] {
                let rounded = precision == MK_PRECISION_BF16 && level == MK_LEVEL_AVX512_DOT
                let got = runBackward(c, precision, dout: dout, threads: 2)
                for (got, expected) in [
                    (got.dq, expected.dq), (got.dk, expected.dk), (got.dv, expected.dv),
                    (c.hasSinks ? got.dsinks : [], c.hasSinks ? expected.dsinks : []),
                ] {
                    // Relative to the largest entry: each is a sum of many rounded products.
                    let size = max(1, expected.map { abs($0) }.max() ?? 0)
                    let worst = zip(got, expected).map { abs(Double($0) - $1) }.max() ?? 0
                    #expect(worst < (rounded ? 1.5e-2 : 1e-5) * size)
                }
            }
        }
    }

    @Test func gradientsMatchFiniteDifferencesOfTheReference() {
        let c = AttentionCase(
            name: "small", queryHeads: 2, kvHeads: 1, width: 5, valueWidth: 3, queries: [0, 3, 4], keys: [0, 4, 6],
            softcap: 3,
            window: 3, hasSinks: true)
        let (q, k, v, sinks) = c.inputs
        let dout = outputGradient(c), got = runBackward(c, MK_PRECISION_F32, dout: dout, threads: 1)
        let values = [q, k, v, sinks].map { $0.map(Double.init) }
        func loss(_ x: [[Double]]) -> Double {
            zip(c.reference(x[0], x[1], x[2], x[3]).out, dout).reduce(0) { $0 + $1.0 * Double($1.1) }
        }
        for (which, gradient) in [got.dq, got.dk, got.dv, got.dsinks].enumerated() {
            for i in gradient.indices {
                var (up, down) = (values, values)
                up[which][i] += 1e-5
                down[which][i] -= 1e-5
                #expect(abs(Double(gradient[i]) - (loss(up) - loss(down)) / 2e-5) < 1e-5)
            }
        }
    }

    @Test(arguments: AttentionCase.all) func gradientsAreTheSameBitsForAnyThreads(_ c: AttentionCase) {
        let dout = outputGradient(c)
        for precision in [MK_PRECISION_F32, MK_PRECISION_BF16] {
            let results = [1, 2, 3].map { runBackward(c, precision, dout: dout, threads: $0) }
            #expect(results[0] == results[1] && results[0] == results[2])
        }
    }
}
