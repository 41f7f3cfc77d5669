import CPUKernels
import Glibc
import Testing

@Suite struct LossOpsTests {
    static let width = 24, vocabulary = 2100, tokens = 9
    static let labels: [Int32] = [5, -100, 2099, 0, 7, -100, 2048, 1, 2099]

    func withForm<R>(_ head: [Float], _ bias: [Float], softcap: Float, tokens: Int, _ body: (inout mk_label_form) -> R)
        -> R
    {
        head.withUnsafeBufferPointer { head in
            bias.withUnsafeBufferPointer { bias in
                var weight = mk_weight()
                (weight.layout, weight.rows, weight.columns) = (MK_LAYOUT_F32, Self.vocabulary, Self.width)
                weight.row_bytes = Self.width * 4
                weight.data = UnsafeRawPointer(head.baseAddress)
                return withUnsafePointer(to: &weight) { weight in
                    var form = mk_label_form(
                        tokens: tokens, head: weight, bias: bias.baseAddress, scale: 0.7, softcap: softcap,
                        activation: MK_ACTIVATION_F32, hits: nil, slopes: nil)
                    return body(&form)
                }
            }
        }
    }

    func logits(_ hidden: [Double], _ head: [Double], _ bias: [Double], softcap: Double, token: Int) -> [Double] {
        (0..<Self.vocabulary).map { word in
            var s = bias[word]
            for i in 0..<Self.width { s += 0.7 * hidden[token * Self.width + i] * head[word * Self.width + i] }
            return softcap > 0 ? softcap * tanh(s / softcap) : s
        }
    }

    @Test(arguments: [Float(0), 3]) func labelLogprobsAgreeWithTheFullSoftmax(_ softcap: Float) {
        var random = Seeded(state: 41)
        let hidden = random.floats(Self.tokens * Self.width), head = random.floats(Self.vocabulary * Self.width)
        let bias = random.floats(Self.vocabulary)
        let (h64, w64, b64) = (hidden.map(Double.init), head.map(Double.init), bias.map(Double.init))
        atEachLevel { _ in
            for threads in [1, 2] {
                var logp = [Float](repeating: 9, count: Self.tokens), lse = logp, entropy = logp
                withForm(head, bias, softcap: softcap, tokens: Self.tokens) { form in
                    withPool(threads: threads) { pool in
                        #expect(
                            withScratch(mk_label_logprobs_scratch_bytes(pool, &form)) {
                                mk_label_logprobs(pool, hidden, Self.labels, &logp, &lse, &entropy, &form, $0)
                            })
                    }
                }
                for (t, label) in Self.labels.enumerated() {
                    guard label >= 0 else {
                        #expect(logp[t] == 0 && lse[t] == 0 && entropy[t] == 0)
                        continue
                    }
                    let row = logits(h64, w64, b64, softcap: Double(softcap), token: t), top = row.max() ?? 0
                    let total = top + log(row.reduce(0) { $0 + exp($1 - top) })
                    #expect(
                        abs(Double(lse[t]) - total) < 1e-5 && abs(Double(logp[t]) - (row[Int(label)] - total)) < 1e-5)
                    #expect(abs(Double(entropy[t]) - (total - row.reduce(0) { $0 + exp($1 - total) * $1 })) < 1e-4)
                }
            }
        }
    }

    @Test(arguments: [Float(0), 3]) func labelLogprobGradientsMatchTheFormula(_ softcap: Float) {
        var random = Seeded(state: 43)
        let hidden = random.floats(Self.tokens * Self.width), head = random.floats(Self.vocabulary * Self.width)
        let bias = random.floats(Self.vocabulary), (h64, w64) = (hidden.map(Double.init), head.map(Double.init))
        let (dlogp, dlse, dentropy) = (
            random.floats(Self.tokens), random.floats(Self.tokens), random.floats(Self.tokens)
        )
        var dh = h64.map { _ in 0.0 }, dw = w64.map { _ in 1.0 }, db = bias.map { _ in 1.0 }
        for (t, label) in Self.labels.enumerated() where label >= 0 {
            let row = logits(h64, w64, bias.map(Double.init), softcap: Double(softcap), token: t)
            let total = log(row.reduce(0) { $0 + exp($1) })
            let entropy = total - row.reduce(0) { $0 + exp($1 - total) * $1 }
            for (word, s) in row.enumerated() {
                let slope = softcap > 0 ? 1 - (s / Double(softcap)) * (s / Double(softcap)) : 1, p = exp(s - total)
                let shaped = Double(dlogp[t]) * ((word == Int(label) ? 1 : 0) - p) + Double(dlse[t]) * p
                let g = (shaped - Double(dentropy[t]) * p * (s - total + entropy)) * slope
                db[word] += g
                for i in 0..<Self.width {
                    dh[t * Self.width + i] += g * 0.7 * w64[word * Self.width + i]
                    dw[word * Self.width + i] += g * 0.7 * h64[t * Self.width + i]
                }
            }
        }
        atEachLevel { _ in
            let results = [1, 3].map { threads -> [Float] in
                var logp = [Float](repeating: 9, count: Self.tokens), lse = logp, entropy = logp, dhidden = hidden
                var dhead = [Float](repeating: 1, count: head.count), dbias = [Float](repeating: 1, count: bias.count)
                withForm(head, bias, softcap: softcap, tokens: Self.tokens) { form in
                    withPool(threads: threads) { pool in
                        _ = withScratch(mk_label_logprobs_scratch_bytes(pool, &form)) {
                            mk_label_logprobs(pool, hidden, Self.labels, &logp, &lse, &entropy, &form, $0)
                        }
                        #expect(
                            withScratch(mk_label_logprobs_backward_scratch_bytes(pool, &form)) { scratch in
                                dlogp.withUnsafeBufferPointer { dlogp in
                                    dlse.withUnsafeBufferPointer { dlse in
                                        dentropy.withUnsafeBufferPointer { dentropy in
                                            entropy.withUnsafeBufferPointer { entropy in
                                                var upstream = mk_label_upstream(
                                                    dlogp: dlogp.baseAddress, dlse: dlse.baseAddress,
                                                    dentropy: dentropy.baseAddress, entropy: entropy.baseAddress)
                                                mk_label_logprobs_backward(
                                                    pool, &upstream, hidden, Self.labels, lse, &dhidden, &dhead, &dbias,
                                                    true, &form, scratch)
                                            }
                                        }
                                    }
                                }
                            })
                    }
                }
                #expect(zip(dhidden, dh).allSatisfy { abs(Double($0) - $1) < 1e-4 })
                #expect(zip(dhead, dw).allSatisfy { abs(Double($0) - $1) < 1e-5 })
                #expect(zip(dbias, db).allSatisfy { abs(Double($0) - $1) < 1e-5 })
                return dhidden + dhead + dbias
            }
            #expect(results[0] == results[1])
        }
    }

    /// Over two tiles of words, the label in either of them, and one token that is all but sure of its label.
    @Test(arguments: [Float(0), 3]) func slopesAreTheGradientsOfLogProbabilities(_ softcap: Float) {
        var random = Seeded(state: 47)
        let head = random.floats(Self.vocabulary * Self.width), bias = random.floats(Self.vocabulary)
        var hidden = random.floats(Self.tokens * Self.width)
        for i in 0..<Self.width { hidden[i] = 4 * head[Int(Self.labels[0]) * Self.width + i] }
        let (h64, w64, b64) = (hidden.map(Double.init), head.map(Double.init), bias.map(Double.init))
        var wanted = h64.map { _ in 0.0 }
        for (t, label) in Self.labels.enumerated() where label >= 0 {
            let row = logits(h64, w64, b64, softcap: Double(softcap), token: t), top = row.max() ?? 0
            let total = top + log(row.reduce(0) { $0 + exp($1 - top) })
            for (word, s) in row.enumerated() {
                let slope = softcap > 0 ? 1 - (s / Double(softcap)) * (s / Double(softcap)) : 1
                let g = ((word == Int(label) ? 1 : 0) - exp(s - total)) * slope * 0.7
                for i in 0..<Self.width { wanted[t * Self.width + i] += g * w64[word * Self.width + i] }
            }
        }
        atEachLevel { _ in
            let results = [1, 3].map { threads -> [Float] in
                var logp = [Float](repeating: 9, count: Self.tokens), lse = logp, slopes = hidden
                withForm(head, bias, softcap: softcap, tokens: Self.tokens) { form in
                    slopes.withUnsafeMutableBufferPointer { slopes in
                        form.slopes = slopes.baseAddress
                        withPool(threads: threads) { pool in
                            #expect(
                                withScratch(mk_label_logprobs_scratch_bytes(pool, &form)) {
                                    mk_label_logprobs(pool, hidden, Self.labels, &logp, &lse, nil, &form, $0)
                                })
                        }
                    }
                }
                #expect(zip(slopes, wanted).allSatisfy { abs(Double($0) - $1) < 1e-5 })
                return slopes
            }
            #expect(results[0] == results[1])
        }
    }

    // Random123's known-answer test kat_vectors: philox4x32 10 with counter and key of zeros gives 6627e8d5 e169c58d bc57ac4c 9b00dbd8.
    @Test func dropoutFollowsPhilox() {
        let x = [Float](repeating: 1, count: 1000), seed: [UInt32] = [0, 0]
        let words: [UInt32] = [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        for p in [Float(0.3), 0.45, 0.65, 0.8] {
            atEachLevel { _ in
                var y = x
                withPool(threads: 2) { mk_dropout($0, x, &y, 1000, p, seed, 0) }
                for i in 0..<4 { #expect((y[i] == 0) == (Double(words[i]) < Double(p) * 4294967296)) }
                #expect(y.allSatisfy { $0 == 0 || abs($0 - 1 / (1 - p)) < 1e-6 })
                let dropped = Float(y.filter { $0 == 0 }.count) / 1000
                #expect(abs(dropped - p) < 0.06)
            }
        }
        // The last elements of a call go one at a time: both ways must agree.
        var whole = x, part = x
        mk_dropout(nil, x, &whole, 128, 0.5, [5, 6], 3)
        mk_dropout(nil, x, &part, 127, 0.5, [5, 6], 3)
        #expect(whole[0..<127] == part[0..<127])
        var small = x, other = x
        mk_dropout(nil, x, &small, 3, 0.5, seed, 0)
        mk_dropout(nil, x, &other, 1000, 0.5, seed, 0)
        #expect(small[0..<3] == other[0..<3], "the mask depends on the place alone")
    }

    @Test(arguments: [(3, 1), (1, 2), (2, 3)]) func unfoldAndFoldAreAdjoint(stride: Int, dilation: Int) {
        var form = mk_patches()
        (form.channels, form.height, form.width) = (3, 11, 8)
        (form.kernel, form.stride, form.padding, form.dilation) = ((3, 2), (stride, 2), (2, 1), (dilation, 1))
        let (rows, columns) = (mk_patch_count(&form, 0), mk_patch_count(&form, 1))
        var random = Seeded(state: 3)
        let x = random.floats(3 * 11 * 8), dy = random.floats(rows * columns * 18)
        var patches = dy, dx = x
        withPool(threads: 2) { pool in
            mk_unfold(pool, x, &patches, &form)
            mk_fold(pool, dy, &dx, &form)
        }
        let (p, c, i, j) = (columns + 1, 2, 1, 1)
        let y = stride + i * dilation - 2, at = 1 * 2 + j - 1
        let inside = y >= 0 && y < 11
        #expect(patches[p * 18 + c * 6 + i * 2 + j] == (inside ? x[(c * 11 + y) * 8 + at] : 0))
        let left = zip(patches, dy).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
        let right = zip(x, dx).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
        #expect(abs(left - right) < 1e-4)
    }
}
