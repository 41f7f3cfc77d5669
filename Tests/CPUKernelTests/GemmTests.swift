import CPUKernels
import Testing

@Suite struct GemmTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var m, n, k: Int
        var transposeA = false
        var transposeB = false
        var alpha: Float = 1
        var beta: Float = 0
        var testDescription: String { "\(m)x\(n)x\(k) \(transposeA ? "t" : "n")\(transposeB ? "t" : "n")" }
    }

    static let cases: [Case] = {
        var cases: [Case] = []
        let sizes = [
            (1, 1, 1), (0, 3, 2), (3, 0, 2), (3, 4, 0), (13, 33, 7), (12, 32, 64), (5, 17, 259), (29, 70, 521),
            (100, 1, 9), (130, 8, 70), (41, 16, 300), (97, 11, 64),
        ]
        for (m, n, k) in sizes {
            for flags in 0..<4 {
                cases.append(Case(m: m, n: n, k: k, transposeA: flags & 1 != 0, transposeB: flags & 2 != 0))
            }
            cases.append(Case(m: m, n: n, k: k, alpha: 0.5, beta: -2))
        }
        cases.append(Case(m: 1030, n: 40, k: 20, transposeA: true))
        // Few columns, as they lie and turned round.
        cases.append(Case(m: 61, n: 5, k: 90, transposeB: true, alpha: 0.5, beta: -2))
        cases.append(Case(m: 61, n: 5, k: 90, transposeA: true, alpha: 0.5, beta: -2))
        return cases
    }()

    /// C and its scratch check for a case, from operands with strides beyond their widths.
    static func run(_ item: Case, factors: mk_activation, threads: Int = 2, seed: UInt64 = 1) -> (
        c: [Float], intact: Bool
    ) {
        var random = Seeded(state: seed)
        let (aRows, aColumns) = item.transposeA ? (item.k, item.m) : (item.m, item.k)
        let (bRows, bColumns) = item.transposeB ? (item.n, item.k) : (item.k, item.n)
        let (lda, ldb, ldc) = (aColumns + 3, bColumns + 1, item.n + 2)
        let a = random.floats(aRows * lda + 1), b = random.floats(bRows * ldb + 1)
        var c = random.floats(item.m * ldc + 1)
        var intact = true
        a.withUnsafeBufferPointer { a in
            b.withUnsafeBufferPointer { b in
                c.withUnsafeMutableBufferPointer { c in
                    var gemm = mk_gemm(
                        transpose_a: item.transposeA, transpose_b: item.transposeB, m: item.m, n: item.n, k: item.k,
                        alpha: item.alpha, a: a.baseAddress, lda: lda, b: b.baseAddress, ldb: ldb, beta: item.beta,
                        c: c.baseAddress, ldc: ldc, factors: factors)
                    withPool(threads: threads) { pool in
                        intact = withScratch(mk_gemm_scratch_bytes(&gemm, threads)) { mk_gemm_f32(pool, &gemm, $0) }
                    }
                }
            }
        }
        return (c, intact)
    }

    /// The same in double, with the sum of absolute products that bounds the error.
    static func reference(_ item: Case, seed: UInt64 = 1) -> (c: [Double], size: [Double]) {
        var random = Seeded(state: seed)
        let (aRows, aColumns) = item.transposeA ? (item.k, item.m) : (item.m, item.k)
        let (bRows, bColumns) = item.transposeB ? (item.n, item.k) : (item.k, item.n)
        let (lda, ldb, ldc) = (aColumns + 3, bColumns + 1, item.n + 2)
        let a = random.floats(aRows * lda + 1), b = random.floats(bRows * ldb + 1)
        var c = random.floats(item.m * ldc + 1).map(Double.init)
        var size = c.map(abs)
        for i in 0..<item.m {
            for j in 0..<item.n {
                var sum = 0.0, magnitude = 0.0
                for k in 0..<item.k {
                    let left = Double(item.transposeA ? a[k * lda + i] : a[i * lda + k])
                    let right = Double(item.transposeB ? b[j * ldb + k] : b[k * ldb + j])
                    sum += left * right
                    magnitude += abs(left * right)
                }
                c[i * ldc + j] = Double(item.alpha) * sum + Double(item.beta) * c[i * ldc + j]
                size[i * ldc + j] += magnitude
            }
        }
        return (c, size)
    }

    @Test(arguments: cases) func productsEqualTheDoubleReference(item: Case) {
        let expected = Self.reference(item)
        atEachLevel { level in
            for (factors, unit) in [(MK_ACTIVATION_F32, 0x1p-22), (MK_ACTIVATION_BF16, 0x1p-7)] {
                let found = Self.run(item, factors: factors)
                #expect(found.intact)
                for i in expected.c.indices where abs(Double(found.c[i]) - expected.c[i]) > unit * expected.size[i] {
                    Issue.record("level \(level.rawValue), element \(i): \(found.c[i]), wanted \(expected.c[i])")
                    break
                }
            }
        }
    }

    @Test(arguments: [1, 2, 3, 5]) func anyNumberOfThreadsGivesTheSameBits(threads: Int) {
        let item = Case(m: 130, n: 300, k: 600, transposeB: true)
        #expect(
            Self.run(item, factors: MK_ACTIVATION_F32, threads: threads).c
                == Self.run(item, factors: MK_ACTIVATION_F32, threads: 1).c)
        for transposeA in [false, true] {
            let few = Case(m: 130, n: 8, k: 600, transposeA: transposeA)
            #expect(
                Self.run(few, factors: MK_ACTIVATION_BF16, threads: threads).c
                    == Self.run(few, factors: MK_ACTIVATION_BF16, threads: 1).c)
        }
    }

    @Test func batchesEqualSingleProducts() {
        var random = Seeded(state: 7)
        let (m, n, k, count) = (9, 21, 14, 5)
        let a = random.floats(m * k * count), b = random.floats(k * n * count)
        var together = [Float](repeating: .nan, count: m * n * count), apart = together
        a.withUnsafeBufferPointer { a in
            b.withUnsafeBufferPointer { b in
                func gemm(_ index: Int, _ c: UnsafeMutablePointer<Float>) -> mk_gemm {
                    mk_gemm(
                        transpose_a: false, transpose_b: false, m: m, n: n, k: k, alpha: 1,
                        a: a.baseAddress! + index * m * k, lda: k, b: b.baseAddress! + index * k * n, ldb: n, beta: 0,
                        c: c + index * m * n, ldc: n, factors: MK_ACTIVATION_F32)
                }
                together.withUnsafeMutableBufferPointer { c in
                    var first = gemm(0, c.baseAddress!)
                    withPool(threads: 3) { pool in
                        let intact = withScratch(mk_gemm_batched_scratch_bytes(&first, 3)) {
                            mk_gemm_batched(pool, &first, count, m * k, k * n, m * n, $0)
                        }
                        #expect(intact)
                    }
                }
                apart.withUnsafeMutableBufferPointer { c in
                    for i in 0..<count {
                        var one = gemm(i, c.baseAddress!)
                        #expect(withScratch(mk_gemm_scratch_bytes(&one, 1)) { mk_gemm_f32(nil, &one, $0) })
                    }
                }
            }
        }
        #expect(together == apart)
    }
}
