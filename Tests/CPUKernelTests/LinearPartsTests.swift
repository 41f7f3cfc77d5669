import CPUKernels
import Testing

/// Several products of one x in one call.
@Suite struct LinearPartsTests {
    /// Two weights of a call: layouts and rows.
    struct Pair: CustomTestStringConvertible, Sendable {
        var first, second: mk_layout
        var columns = 256
        var testDescription: String { "layouts \(first.rawValue) and \(second.rawValue), \(columns) columns" }
    }

    static let pairs = [
        Pair(first: MK_LAYOUT_Q4_0, second: MK_LAYOUT_Q4_0, columns: 5 * 32),
        Pair(first: MK_LAYOUT_Q4_0, second: MK_LAYOUT_Q8_0, columns: 36 * 32),
        Pair(first: MK_LAYOUT_Q4_K, second: MK_LAYOUT_Q6_K, columns: 768),
        Pair(first: MK_LAYOUT_Q4_1, second: MK_LAYOUT_BF16),
        Pair(first: MK_LAYOUT_BF16, second: MK_LAYOUT_BF16, columns: 100),
        Pair(first: MK_LAYOUT_F32, second: MK_LAYOUT_F16),
        Pair(first: MK_LAYOUT_CODEBOOK4, second: MK_LAYOUT_CODEBOOK4),
    ]

    /// The weight in the form in which the device holds it.
    private func withHeld<Result>(_ weight: RandomWeight, _ body: (UnsafePointer<mk_weight>) throws -> Result) throws
        -> Result
    {
        try weight.withWeight { plain in
            guard mk_can_repack(plain) else { return try body(plain) }
            let bytes = mk_repacked_bytes(plain)
            let memory = try #require(mk_huge_alloc(bytes))
            defer { mk_huge_free(memory, bytes) }
            var repacked = withPool(threads: 2) { mk_repack($0, plain, memory) }
            return try body(&repacked)
        }
    }

    @Test(arguments: pairs) func partsGiveTheBitsOfEachProductByItself(pair: Pair) throws {
        let columns = pair.columns
        let (first, second) = (
            RandomWeight(pair.first, rows: 70, columns: columns, seed: 5),
            RandomWeight(pair.second, rows: 33, columns: columns, seed: 6)
        )
        var random = Seeded(state: 7)
        let bias = random.floats(70)
        try withHeld(first) { a in
            try withHeld(second) { b in
                for tokens in [1, 3, 8, 11, 16, 20] {
                    let x = random.floats(tokens * columns)
                    for activation in [MK_ACTIVATION_F32, MK_ACTIVATION_BF16, MK_ACTIVATION_INT8] {
                        let wanted = [
                            LinearTests.linear(a, x: x, tokens: tokens, bias: bias, activation, threads: 1),
                            LinearTests.linear(b, x: x, tokens: tokens, bias: nil, activation, threads: 1),
                        ]
                        for threads in [1, 2, 3] {
                            let found = both(a, b, x: x, tokens: tokens, bias: bias, activation, threads: threads)
                            #expect(
                                found == wanted,
                                "\(tokens) tokens, activation \(activation.rawValue), \(threads) threads")
                        }
                    }
                }
            }
        }
    }

    private func both(
        _ a: UnsafePointer<mk_weight>, _ b: UnsafePointer<mk_weight>, x: [Float], tokens: Int, bias: [Float],
        _ activation: mk_activation, threads: Int
    ) -> [[Float]] {
        let columns = a.pointee.columns
        var first = [Float](repeating: .nan, count: tokens * a.pointee.rows)
        var second = [Float](repeating: .nan, count: tokens * b.pointee.rows)
        bias.withUnsafeBufferPointer { bias in
            first.withUnsafeMutableBufferPointer { first in
                second.withUnsafeMutableBufferPointer { second in
                    let parts = [
                        mk_linear_part(weight: a, bias: bias.baseAddress, y: first.baseAddress, ldy: a.pointee.rows),
                        mk_linear_part(weight: b, bias: nil, y: second.baseAddress, ldy: b.pointee.rows),
                    ]
                    withPool(threads: threads) { pool in
                        let size = mk_linear_parts_scratch_bytes(parts, 2, tokens, activation, threads)
                        let intact = withScratch(size) {
                            mk_linear_parts(pool, x, columns, tokens, parts, 2, activation, $0)
                        }
                        #expect(intact)
                    }
                }
            }
        }
        return [first, second]
    }
}
