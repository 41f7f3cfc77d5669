import CPUKernels
import Testing

@Suite struct ExpertTests {
    static let experts: [Int32] = [2, 0, 2, 2, -1, 0, 3, 2, 2, 2, 2, 2, 2, 2, 9]
    static let (count, n, k) = (4, 32, 64)

    static func routed<Result>(_ body: (UnsafePointer<mk_routing>) -> Result) -> Result {
        experts.withUnsafeBufferPointer {
            var routing = mk_routing(rows: experts.count, experts: count, expert: $0.baseAddress)
            return body(&routing)
        }
    }

    @Test(arguments: [MK_LAYOUT_F32, MK_LAYOUT_Q4_0, MK_LAYOUT_CODEBOOK4]) func eachRowMeetsItsExpert(layout: mk_layout)
    {
        let weight = RandomWeight(layout, rows: Self.count * Self.n, columns: Self.k), w = weight.values
        var random = Seeded(state: 1)
        let rows = Self.experts.count
        let x = random.floats(rows * Self.k), dy = random.floats(rows * Self.n),
            bias = random.floats(Self.count * Self.n)
        var y = [Float](repeating: .nan, count: rows * Self.n), dx = [Float](repeating: .nan, count: rows * Self.k)
        weight.withWeight { pointer in
            Self.routed { routing in
                withPool(threads: 2) { pool in
                    let forward = withScratch(mk_expert_linear_scratch_bytes(routing, pointer, MK_ACTIVATION_F32, 2)) {
                        mk_expert_linear(pool, x, Self.k, routing, pointer, bias, MK_ACTIVATION_F32, &y, Self.n, $0)
                    }
                    let backward = withScratch(
                        mk_expert_linear_backward_input_scratch_bytes(routing, pointer, MK_ACTIVATION_F32, 2)
                    ) {
                        mk_expert_linear_backward_input(
                            pool, dy, Self.n, routing, pointer, MK_ACTIVATION_F32, &dx, Self.k, $0)
                    }
                    #expect(forward && backward)
                }
            }
        }
        for (row, expert) in Self.experts.enumerated() {
            let live = expert >= 0 && expert < Self.count, e = live ? Int(expert) : 0
            for j in 0..<Self.n {
                let sum = (0..<Self.k).reduce(Double(bias[e * Self.n + j])) {
                    $0 + Double(x[row * Self.k + $1]) * Double(w[(e * Self.n + j) * Self.k + $1])
                }
                #expect(abs(Double(y[row * Self.n + j]) - (live ? sum : 0)) < 1e-4)
            }
            for i in 0..<Self.k {
                let sum = (0..<Self.n).reduce(0.0) {
                    $0 + Double(dy[row * Self.n + $1]) * Double(w[(e * Self.n + $1) * Self.k + i])
                }
                #expect(abs(Double(dx[row * Self.k + i]) - (live ? sum : 0)) < 1e-4)
            }
        }
    }

    @Test func outerProductsSumOverTheExpertsRows() {
        var random = Seeded(state: 1)
        let rows = Self.experts.count
        let x = random.floats(rows * Self.k), dy = random.floats(rows * Self.n)
        var dw = [Float](repeating: 1, count: Self.count * Self.n * Self.k)
        Self.routed { routing in
            let intact = withScratch(mk_expert_outer_scratch_bytes(routing, Self.n, Self.k, MK_ACTIVATION_F32, 1)) {
                mk_expert_outer(nil, dy, Self.n, Self.n, x, Self.k, Self.k, routing, 0.5, MK_ACTIVATION_F32, &dw, $0)
            }
            #expect(intact)
        }
        for e in 0..<Self.count {
            for j in 0..<Self.n {
                for i in 0..<Self.k {
                    let sum = (0..<rows).filter { Self.experts[$0] == e }.reduce(0.5) {
                        $0 + Double(dy[$1 * Self.n + j]) * Double(x[$1 * Self.k + i])
                    }
                    #expect(abs(Double(dw[(e * Self.n + j) * Self.k + i]) - sum) < 1e-4)
                }
            }
        }
    }

    @Test(.enabled(if: mk_current_level() == MK_LEVEL_AVX512_DOT)) func repackedExpertsGiveWhatPlainOnesGive() throws {
        let weight = RandomWeight(MK_LAYOUT_Q4_K, rows: Self.count * Self.n, columns: 256)
        var random = Seeded(state: 1)
        let rows = Self.experts.count, x = random.floats(rows * 256)
        func run(_ pointer: UnsafePointer<mk_weight>) -> [Float] {
            var y = [Float](repeating: .nan, count: rows * Self.n)
            Self.routed { routing in
                let intact = withScratch(mk_expert_linear_scratch_bytes(routing, pointer, MK_ACTIVATION_INT8, 1)) {
                    mk_expert_linear(nil, x, 256, routing, pointer, nil, MK_ACTIVATION_INT8, &y, Self.n, $0)
                }
                #expect(intact)
            }
            return y
        }
        let plain = weight.withWeight(run), repacked = try RepackTests.withRepacked(weight, run)
        for (a, b) in zip(plain, repacked) { #expect(abs(a - b) < 0.03 * (plain.map(abs).max() ?? 0)) }
    }
}
