import CPUKernels
import Glibc
import Testing

@Suite struct ReduceOpsTests {
    @Test(arguments: [(0, 5), (1, 1), (3, 17), (40, 1000), (2, 70_000)])
    func softmaxOfRowsAgreesWithDoublePrecision(rows: Int, width: Int) {
        var random = Seeded(state: 2)
        let x = random.floats(rows * width, in: -20...20)
        atEachLevel { _ in
            var p = x, l = x, lse = [Float](repeating: 0, count: rows)
            withPool(threads: 2) { pool in
                mk_softmax(pool, x, &p, rows, width)
                mk_log_softmax(pool, x, &l, rows, width)
                mk_logsumexp(pool, x, &lse, rows, width)
            }
            for row in 0..<rows {
                let part = x[row * width..<(row + 1) * width].map(Double.init), top = part.max() ?? 0
                let total = top + log(part.reduce(0) { $0 + exp($1 - top) })
                #expect(abs(Double(lse[row]) - total) < 2e-5)
                var worst = 0.0
                for (i, x) in part.enumerated() {
                    worst = max(
                        worst, abs(Double(p[row * width + i]) / exp(x - total) - 1),
                        abs(Double(l[row * width + i]) - (x - total)))
                }
                #expect(worst < 2e-5)
            }
        }
    }

    @Test(arguments: [(1, 0, 3), (1, 1, 1), (3, 50, 1), (2, 3000, 7), (1, 200_001, 1), (5, 9, 700)])
    func reductionsRunAlongTheMiddleAxis(outer: Int, n: Int, inner: Int) {
        var random = Seeded(state: 6)
        let x = random.floats(outer * n * inner)
        func column(_ o: Int, _ i: Int) -> [Double] { (0..<n).map { Double(x[(o * n + $0) * inner + i]) } }
        atEachLevel { _ in
            for threads in [1, 3] {
                for kind in [MK_REDUCE_SUM, MK_REDUCE_MEAN, MK_REDUCE_MAX] {
                    var y = [Float](repeating: 0, count: outer * inner)
                    withPool(threads: threads) { pool in
                        #expect(
                            withScratch(mk_reduce_scratch_bytes(outer, n, inner)) {
                                mk_reduce(pool, kind, x, &y, outer, n, inner, $0)
                            })
                    }
                    for o in 0..<outer {
                        for i in 0..<inner {
                            let values = column(o, i), got = Double(y[o * inner + i]), sum = values.reduce(0, +)
                            switch kind {
                            case MK_REDUCE_SUM: #expect(abs(got - sum) < 1e-5 * max(1, Double(n).squareRoot()))
                            case MK_REDUCE_MEAN: #expect(n == 0 ? got == 0 : abs(got - sum / Double(n)) < 1e-5)
                            default: #expect(got == values.max() ?? -.infinity)
                            }
                        }
                    }
                }
            }
        }
        guard n > 0 else { return }
        var running = x, indices = [Int32](repeating: -1, count: outer * inner)
        mk_cumsum(nil, x, &running, outer, n, inner, false)
        mk_argmax(nil, x, &indices, outer, n, inner)
        for o in 0..<outer {
            for i in 0..<inner {
                let values = column(o, i)
                #expect(abs(Double(running[(o * n + n - 1) * inner + i]) - values.reduce(0, +)) < 1e-2)
                #expect(Int(indices[o * inner + i]) == values.firstIndex(of: values.max() ?? 0))
            }
        }
    }

    @Test(arguments: [(3, 8, 2), (2, 500, 17), (4, 5, 5), (1, 1, 1)])
    func topkGivesTheLargestInOrderWithTiesByIndex(rows: Int, width: Int, k: Int) {
        var random = Seeded(state: 3)
        let x = random.floats(rows * width).map { ($0 * 10).rounded() }
        var values = [Float](repeating: 0, count: rows * k), indices = [Int32](repeating: 0, count: rows * k)
        mk_topk(nil, x, &values, &indices, rows, width, k)
        for row in 0..<rows {
            let order = (0..<width).sorted { (x[row * width + $0], -$0) > (x[row * width + $1], -$1) }
            #expect(indices[row * k..<(row + 1) * k].map(Int.init) == Array(order.prefix(k)))
            #expect(values[row * k..<(row + 1) * k].elementsEqual(order.prefix(k).map { x[row * width + $0] }))
        }
    }

    @Test func rowsAreGatheredAndAddedBack() {
        let ids: [Int32] = [3, -1, 0, 3, 9, 2]
        var random = Seeded(state: 3)
        let table = random.floats(4 * 300)
        var rows = [Float](repeating: 5, count: 6 * 300)
        mk_gather_rows(nil, table, MK_DTYPE_F32, 4, 300, ids, 6, &rows)
        for (t, id) in ids.enumerated() {
            let expected =
                (0..<4).contains(id)
                ? Array(table[Int(id) * 300..<Int(id + 1) * 300]) : [Float](repeating: 0, count: 300)
            #expect(Array(rows[t * 300..<(t + 1) * 300]) == expected)
        }
        let update = random.floats(6 * 300)
        var sums = table
        withPool(threads: 2) { mk_scatter_add_rows($0, update, ids, 6, 300, &sums, 4, true) }
        for c in 0..<300 {
            let third: Float = (table[900 + c] + update[c]) + update[900 + c]
            #expect(sums[900 + c] == third)
            #expect(sums[300 + c] == table[300 + c])
        }
    }

    @Test func copiesTransposeSliceAndConvert() {
        let a = 5, b = 70, c = 33
        let x = (0..<a * b * c).map(Float.init)
        for order in [[0, 1, 2], [0, 2, 1], [2, 1, 0], [1, 0, 2], [2, 0, 1]] {
            let shape = order.map { [a, b, c][$0] }
            let from = order.map { Int64([b * c, c, 1][$0]) }
            let to = [Int64(shape[1] * shape[2]), Int64(shape[2]), 1]
            var y = [Float](repeating: -1, count: x.count)
            withPool(threads: 2) {
                mk_copy_nd($0, x, MK_DTYPE_F32, from, &y, MK_DTYPE_F32, to, shape.map(Int64.init), 3)
            }
            for i in x.indices {
                let index = [i / (shape[1] * shape[2]), i / shape[2] % shape[1], i % shape[2]]
                #expect(y[i] == x[zip(index, from).reduce(0) { $0 + $1.0 * Int($1.1) }])
            }
        }
        let large: [Int32] = [16_777_217, -5, 2_000_000_001]
        var same = [Int32](repeating: 0, count: 3), strided = [Int32](repeating: 0, count: 6)
        mk_cast(nil, large, MK_DTYPE_I32, &same, MK_DTYPE_I32, 3)
        mk_copy_nd(nil, large, MK_DTYPE_I32, [1], &strided, MK_DTYPE_I32, [2], [3], 1)
        #expect(same == large && [strided[0], strided[2], strided[4]] == large)
        var halves = [UInt16](repeating: 0, count: 3)
        mk_cast(nil, [1, -2, 0.1] as [Float], MK_DTYPE_F32, &halves, MK_DTYPE_BF16, 3)
        #expect(halves == [1, -2, 0.1].map(mk_f32_to_bf16))
    }
}
