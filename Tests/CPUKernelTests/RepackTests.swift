import CPUKernels
import Testing

@Suite(.enabled(if: mk_current_level() == MK_LEVEL_AVX512_DOT, "no VNNI on this processor")) struct RepackTests {
    struct Form: CustomTestStringConvertible, Sendable {
        var layout: mk_layout
        var bits: UInt8 = 0
        var group = 32
        var testDescription: String { "layout \(layout.rawValue), \(bits) bits, groups of \(group)" }
        func weight(rows: Int, columns: Int) -> RandomWeight {
            RandomWeight(layout, rows: rows, columns: columns, bits: bits, group: group)
        }
    }

    static let forms =
        [
            MK_LAYOUT_Q4_0, MK_LAYOUT_Q4_1, MK_LAYOUT_Q5_0, MK_LAYOUT_Q5_1, MK_LAYOUT_Q8_0, MK_LAYOUT_Q2_K,
            MK_LAYOUT_Q3_K,
            MK_LAYOUT_Q4_K, MK_LAYOUT_Q5_K, MK_LAYOUT_Q6_K, MK_LAYOUT_IQ4_NL, MK_LAYOUT_IQ4_XS, MK_LAYOUT_MXFP4,
        ].map { Form(layout: $0) }
        + [(4, 32), (4, 128), (4, 5000), (8, 64), (8, 128)].map {
            Form(layout: MK_LAYOUT_AFFINE, bits: $0.0, group: $0.1)
        }

    static func withRepacked<Result>(_ weight: RandomWeight, _ body: (UnsafePointer<mk_weight>) -> Result) throws
        -> Result
    {
        try weight.withWeight { plain in
            try #require(mk_can_repack(plain))
            let bytes = mk_repacked_bytes(plain)
            let memory = try #require(mk_huge_alloc(bytes))
            defer { mk_huge_free(memory, bytes) }
            var repacked = withPool(threads: 2) { mk_repack($0, plain, memory) }
            return body(&repacked)
        }
    }

    static func shapes(_ layout: mk_layout) -> [(Int, Int)] {
        let block = mk_block_columns(layout)
        return block == 32 ? [(37, 32), (16, 5 * 32), (70, 20 * 32)] : [(37, 256), (70, 768)]
    }

    @Test(arguments: forms) func repackedRowsKeepTheirValues(form: Form) throws {
        for (rows, columns) in Self.shapes(form.layout) {
            let weight = form.weight(rows: rows, columns: columns), expected = weight.values
            var found = [Float](repeating: .nan, count: rows * columns)
            try Self.withRepacked(weight) { mk_dequantize_rows($0, 0, rows, &found, columns) }
            #expect(found == expected)
        }
    }

    @Test(arguments: forms) func repackedWeightsMultiplyLikePlainOnes(form: Form) throws {
        for (rows, columns) in Self.shapes(form.layout) {
            let weight = form.weight(rows: rows, columns: columns), w = weight.values
            var random = Seeded(state: 2)
            for tokens in [1, 5, 20] {
                let x = random.floats(tokens * columns), dy = random.floats(tokens * rows)
                try Self.withRepacked(weight) { pointer in
                    for level in [MK_LEVEL_PORTABLE, MK_LEVEL_AVX2, MK_LEVEL_AVX512, MK_LEVEL_AVX512_DOT] {
                        mk_limit_level(level)
                        defer { mk_limit_level(MK_LEVEL_AVX512_DOT) }
                        for (activation, unit) in [(MK_ACTIVATION_F32, 0x1p-21), (MK_ACTIVATION_BF16, 0x1p-7)] {
                            LinearTests.check(
                                LinearTests.linear(pointer, x: x, tokens: tokens, bias: nil, activation), m: tokens,
                                n: rows, k: columns,
                                unit: unit, left: { x[$0 * columns + $1] }, right: { w[$1 * columns + $0] },
                                "forward at \(level.rawValue)")
                            LinearTests.check(
                                LinearTests.backward(pointer, dy: dy, tokens: tokens, activation), m: tokens,
                                n: columns, k: rows,
                                unit: unit, left: { dy[$0 * rows + $1] }, right: { w[$0 * columns + $1] },
                                "backward at \(level.rawValue)")
                        }
                    }
                }
            }
        }
    }

    @Test(arguments: forms) func integerActivationsStayWithinTheStatedBound(form: Form) throws {
        for (rows, columns) in Self.shapes(form.layout) {
            let weight = form.weight(rows: rows, columns: columns), w = weight.values
            var random = Seeded(state: 4)
            let bias = random.floats(rows)
            for tokens in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 17, 50] {
                let x = random.floats(tokens * columns, in: -3...3)
                try Self.expectWithinBound(weight, w, x, tokens: tokens, bias: bias)
            }
        }
    }

    /// Activations whose rounding errors add up instead of averaging out, and such as leave their block nothing but zeros.
    @Test(arguments: forms) func theBoundHoldsForActivationsThatAreChosenAgainstIt(form: Form) throws {
        let (rows, columns) = (37, 768)
        let weight = form.weight(rows: rows, columns: columns), w = weight.values
        let bias = [Float](repeating: 0, count: rows)
        var random = Seeded(state: 14)
        // Halfway between two codes, to the side on which the row's weight makes the error grow, in blocks of scale 1.
        func halfway(_ row: Int) -> [Float] {
            (0..<columns).map { $0 % 32 == 0 ? 127 : (w[row * columns + $0] < 0 ? -3.4995 : 3.4995) }
        }
        // One huge activation in each block; what stands beside it is rounded to zero.
        func outliers(_ size: Float) -> [Float] {
            random.floats(columns).enumerated().map { $0 % 32 == 7 ? size : $1 }
        }
        // Every block of another size, from next to nothing up.
        let sizes = random.floats(columns).enumerated().map { i, x in
            x * Float(sign: .plus, exponent: i / 32 * 8 - 110, significand: 1)
        }
        let zeros = [Float](repeating: 0, count: columns)
        let lines = [halfway(0), halfway(rows - 1), outliers(1e4), outliers(-3e8), sizes, zeros]
        for tokens in [1, lines.count, 18] {
            let x = (0..<tokens).flatMap { lines[(tokens == 1 ? 0 : $0) % lines.count] }
            try Self.expectWithinBound(weight, w, x, tokens: tokens, bias: bias)
        }
        for line in lines { try Self.expectWithinBound(weight, w, line, tokens: 1, bias: bias) }
    }

    /// |y - x wᵀ - bias| <= sum over blocks of 32 of max|x| / 254 * sum|w|, and what sums in f32 cost.
    private static func expectWithinBound(
        _ weight: RandomWeight, _ w: [Float], _ x: [Float], tokens: Int, bias: [Float],
        location: SourceLocation = #_sourceLocation
    ) throws {
        let (rows, columns) = (weight.rows, weight.columns)
        let y = try withRepacked(weight) { pointer in
            #expect(mk_int8_supported(pointer))
            return LinearTests.linear(pointer, x: x, tokens: tokens, bias: bias, MK_ACTIVATION_INT8)
        }
        for t in 0..<tokens {
            for row in 0..<rows {
                var sum = Double(bias[row]), bound = 1e-5 * abs(sum)
                for block in stride(from: 0, to: columns, by: 32) {
                    var size = 0.0, most = 0.0
                    for c in block..<block + 32 {
                        let (left, right) = (Double(x[t * columns + c]), Double(w[row * columns + c]))
                        sum += left * right
                        size += abs(right)
                        most = max(most, abs(left))
                        bound += 1e-5 * abs(left * right)
                    }
                    bound += most / 254 * size
                }
                guard abs(Double(y[t * rows + row]) - sum) <= bound else {
                    Issue.record(
                        "\(tokens) tokens [\(t), \(row)] is \(y[t * rows + row]), wanted \(sum) within \(bound)",
                        sourceLocation: location)
                    return
                }
            }
        }
    }

    /// The bound above is wide; rounding errors average out, so the norm of the error is held much closer.
    @Test(arguments: forms) func integerActivationsCostLessThanOnePercent(form: Form) throws {
        let (rows, columns, tokens) = (64, 768, 9)
        let weight = form.weight(rows: rows, columns: columns), w = weight.values
        var random = Seeded(state: 6)
        let x = random.floats(tokens * columns)
        let y = try Self.withRepacked(weight) {
            LinearTests.linear($0, x: x, tokens: tokens, bias: nil, MK_ACTIVATION_INT8)
        }
        var error = 0.0, size = 0.0
        for t in 0..<tokens {
            for row in 0..<rows {
                let sum = (0..<columns).reduce(0.0) { $0 + Double(x[t * columns + $1]) * Double(w[row * columns + $1]) }
                error += (Double(y[t * rows + row]) - sum) * (Double(y[t * rows + row]) - sum)
                size += sum * sum
            }
        }
        #expect((error / size).squareRoot() < 0.01)
    }

    @Test func integerProductsDoNotDependOnThreads() throws {
        var random = Seeded(state: 8)
        for tokens in [1, 30] {
            let x = random.floats(tokens * 512)
            try Self.withRepacked(RandomWeight(MK_LAYOUT_Q4_K, rows: 200, columns: 512)) { pointer in
                let one = LinearTests.linear(pointer, x: x, tokens: tokens, bias: nil, MK_ACTIVATION_INT8, threads: 1)
                #expect(
                    LinearTests.linear(pointer, x: x, tokens: tokens, bias: nil, MK_ACTIVATION_INT8, threads: 3) == one)
            }
        }
    }

    @Test func activationsThatAreNotNumbersDoNotBecomeNumbers() throws {
        var x = [Float](repeating: 1, count: 64)
        x[3] = .nan
        x[40] = .infinity
        for tokens in [1, 7] {
            let rows = (0..<tokens).flatMap { _ in x }
            let y = try Self.withRepacked(RandomWeight(MK_LAYOUT_Q8_0, rows: 16, columns: 64)) {
                LinearTests.linear($0, x: rows, tokens: tokens, bias: nil, MK_ACTIVATION_INT8)
            }
            #expect(y.allSatisfy { $0.isNaN })
        }
    }
}
