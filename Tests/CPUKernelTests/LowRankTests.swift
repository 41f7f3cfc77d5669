import CPUKernels
import Testing

/// Products with a weight that have one of low rank beside them.
@Suite struct LowRankTests {
    static func forward(
        _ weight: UnsafePointer<mk_weight>, x: [Float], tokens: Int, low: [Float], up: [Float], rank: Int,
        _ activation: mk_activation, threads: Int
    ) -> [Float] {
        var y = [Float](repeating: .nan, count: tokens * weight.pointee.rows)
        let columns = weight.pointee.columns, rows = weight.pointee.rows
        low.withUnsafeBufferPointer { low in
            up.withUnsafeBufferPointer { up in
                var beside = mk_low_rank(
                    rank: rank, low: low.baseAddress, up: up.baseAddress, is_along_columns: false)
                withPool(threads: threads) { pool in
                    #expect(
                        withScratch(mk_linear_low_rank_scratch_bytes(weight, tokens, activation, rank, threads)) {
                            mk_linear_low_rank(pool, x, columns, tokens, weight, nil, &beside, activation, &y, rows, $0)
                        })
                }
            }
        }
        return y
    }

    static func backward(
        _ weight: UnsafePointer<mk_weight>, dy: [Float], tokens: Int, low: [Float], down: [Float], rank: Int,
        _ activation: mk_activation, adding before: [Float], threads: Int
    ) -> [Float] {
        var dx = before
        let columns = weight.pointee.columns, rows = weight.pointee.rows
        low.withUnsafeBufferPointer { low in
            down.withUnsafeBufferPointer { down in
                var beside = mk_low_rank(
                    rank: rank, low: low.baseAddress, up: down.baseAddress, is_along_columns: true)
                withPool(threads: threads) { pool in
                    let bytes = mk_linear_backward_input_scratch_bytes(weight, tokens, activation, rank, threads)
                    #expect(
                        withScratch(bytes) {
                            mk_linear_backward_input(
                                pool, dy, rows, tokens, weight, &beside, activation, true, &dx, columns, $0)
                        })
                }
            }
        }
        return dx
    }

    @Test(arguments: [MK_LAYOUT_F32, MK_LAYOUT_BF16, MK_LAYOUT_Q4_0, MK_LAYOUT_Q6_K], [1, 5, 8, 40])
    func bothProductsEqualTheDoubleReference(layout: mk_layout, rank: Int) {
        let columns = mk_block_columns(layout) == 1 ? 1100 : 768
        let weight = RandomWeight(layout, rows: 37, columns: columns), (w, rows) = (weight.values, weight.rows)
        var random = Seeded(state: 21)
        let up = random.floats(rows * rank), down = random.floats(rank * columns)
        atEachLevel { level in
            for tokens in [1, 8, 26] {
                let (x, dy) = (random.floats(tokens * columns), random.floats(tokens * rows))
                let (low, before) = (random.floats(tokens * rank), random.floats(tokens * columns))
                for (activation, unit) in [(MK_ACTIVATION_F32, 0x1p-20), (MK_ACTIVATION_BF16, 0x1p-7)] {
                    weight.withWeight { pointer in
                        let comment: Comment = "level \(level.rawValue), \(tokens) tokens, \(activation.rawValue)"
                        let y = Self.forward(
                            pointer, x: x, tokens: tokens, low: low, up: up, rank: rank, activation, threads: 2)
                        LinearTests.check(
                            y, m: tokens, n: rows, k: columns + rank, unit: unit,
                            left: { $1 < columns ? x[$0 * columns + $1] : low[$0 * rank + $1 - columns] },
                            right: { $0 < columns ? w[$1 * columns + $0] : up[$1 * rank + $0 - columns] }, comment)
                        let dx = Self.backward(
                            pointer, dy: dy, tokens: tokens, low: low, down: down, rank: rank, activation,
                            adding: before, threads: 2)
                        let added = zip(dx, before).map { $0 - $1 }
                        LinearTests.check(
                            added, m: tokens, n: columns, k: rows + rank, unit: unit,
                            left: { $1 < rows ? dy[$0 * rows + $1] : low[$0 * rank + $1 - rows] },
                            right: { $0 < rows ? w[$0 * columns + $1] : down[($0 - rows) * columns + $1] }, comment)
                        guard tokens == 26 else { return }
                        for threads in [1, 3] {
                            #expect(
                                y
                                    == Self.forward(
                                        pointer, x: x, tokens: tokens, low: low, up: up, rank: rank, activation,
                                        threads: threads))
                        }
                    }
                }
            }
        }
    }
}
