import CPUKernels
import Testing

/// A weight of random bits in some layout, with the f32 values that the library reads from it.
struct RandomWeight {
    var layout: mk_layout
    var rows, columns: Int
    var bits: UInt8 = 0
    var bytes: [UInt8]
    var scales: [Float] = []
    var zeros: [Float] = []
    var group = 0
    static let codebook: [Float] = (0..<16).map { Float($0 * $0) / 100 - 1 }

    init(_ layout: mk_layout, rows: Int, columns: Int, bits: UInt8 = 0, group: Int = 32, seed: UInt64 = 3) {
        var random = Seeded(state: seed)
        (self.layout, self.rows, self.columns, self.bits) = (layout, rows, columns, bits)
        bytes = []
        switch layout {
        case MK_LAYOUT_F32:
            for value in random.floats(rows * columns) { withUnsafeBytes(of: value) { bytes += $0 } }
        case MK_LAYOUT_F16:
            for value in random.floats(rows * columns) { withUnsafeBytes(of: mk_f32_to_f16(value)) { bytes += $0 } }
        case MK_LAYOUT_BF16:
            for value in random.floats(rows * columns) { withUnsafeBytes(of: mk_f32_to_bf16(value)) { bytes += $0 } }
        default:
            bytes = random.bytes(rows * mk_row_bytes(layout, bits, columns))
            setHalves(&random)
        }
        if layout == MK_LAYOUT_AFFINE || layout == MK_LAYOUT_CODEBOOK4 || layout == MK_LAYOUT_FP8_E4M3 {
            self.group = group
            let count = rows * ((columns + group - 1) / group)
            scales = random.floats(count, in: 0.01...0.02)
            zeros = random.floats(count, in: 0...15)
            for i in bytes.indices where layout == MK_LAYOUT_FP8_E4M3 && bytes[i] & 0x7f == 0x7f { bytes[i] = 0 }
        }
    }

    /// Where the f16 scales of a block stand: random bits there would be infinities.
    private mutating func setHalves(_ random: inout Seeded) {
        let places: [UInt32: (Int, [Int])] = [
            MK_LAYOUT_Q4_0.rawValue: (18, [0]), MK_LAYOUT_Q4_1.rawValue: (20, [0, 2]),
            MK_LAYOUT_Q5_0.rawValue: (22, [0]),
            MK_LAYOUT_Q5_1.rawValue: (24, [0, 2]), MK_LAYOUT_Q8_0.rawValue: (34, [0]),
            MK_LAYOUT_Q2_K.rawValue: (84, [80, 82]),
            MK_LAYOUT_Q3_K.rawValue: (110, [108]), MK_LAYOUT_Q4_K.rawValue: (144, [0, 2]),
            MK_LAYOUT_Q5_K.rawValue: (176, [0, 2]),
            MK_LAYOUT_Q6_K.rawValue: (210, [208]), MK_LAYOUT_IQ4_NL.rawValue: (18, [0]),
            MK_LAYOUT_IQ4_XS.rawValue: (136, [0]),
        ]
        if layout == MK_LAYOUT_MXFP4 {
            for i in stride(from: 0, to: bytes.count, by: 17) { bytes[i] = UInt8.random(in: 118...122, using: &random) }
        }
        guard let (size, offsets) = places[layout.rawValue] else { return }
        for block in stride(from: 0, to: bytes.count, by: size) {
            for offset in offsets {
                let bits = mk_f32_to_f16(Float.random(in: -0.05...0.05, using: &random))
                bytes[block + offset] = UInt8(truncatingIfNeeded: bits)
                bytes[block + offset + 1] = UInt8(bits >> 8)
            }
        }
    }

    func withWeight<Result>(_ body: (UnsafePointer<mk_weight>) throws -> Result) rethrows -> Result {
        try bytes.withUnsafeBytes { bytes in
            try scales.withUnsafeBufferPointer { scales in
                try zeros.withUnsafeBufferPointer { zeros in
                    try Self.codebook.withUnsafeBufferPointer { codebook in
                        var weight = mk_weight(
                            layout: layout, repacked: false, bits: bits, scale_type: MK_SCALE_F32, rows: rows,
                            columns: columns,
                            row_bytes: mk_row_bytes(layout, bits, columns), data: bytes.baseAddress,
                            scales: scales.baseAddress,
                            zeros: zeros.baseAddress, group: group, group_rows: 1, codebook: codebook.baseAddress)
                        return try body(&weight)
                    }
                }
            }
        }
    }

    var values: [Float] {
        var values = [Float](repeating: .nan, count: rows * columns)
        withWeight { mk_dequantize_rows($0, 0, rows, &values, columns) }
        return values
    }
}

@Suite struct LinearTests {
    static let layouts: [(mk_layout, UInt8)] =
        (0..<MK_LAYOUT_COUNT.rawValue).map { (mk_layout($0), 0) }.filter { $0.0 != MK_LAYOUT_AFFINE }
        + [2, 3, 4, 5, 6, 8].map { (MK_LAYOUT_AFFINE, $0) }

    static func linear(
        _ weight: UnsafePointer<mk_weight>, x: [Float], tokens: Int, bias: [Float]?, _ activation: mk_activation,
        threads: Int = 2
    ) -> [Float] {
        let (rows, columns) = (weight.pointee.rows, weight.pointee.columns)
        var y = [Float](repeating: .nan, count: tokens * rows)
        withPool(threads: threads) { pool in
            let intact = withScratch(mk_linear_scratch_bytes(weight, tokens, activation, threads)) { scratch in
                if let bias {
                    mk_linear(pool, x, columns, tokens, weight, bias, activation, &y, rows, scratch)
                } else {
                    mk_linear(pool, x, columns, tokens, weight, nil, activation, &y, rows, scratch)
                }
            }
            #expect(intact)
        }
        return y
    }

    static func backward(
        _ weight: UnsafePointer<mk_weight>, dy: [Float], tokens: Int, _ activation: mk_activation, threads: Int = 2
    ) -> [Float] {
        let (rows, columns) = (weight.pointee.rows, weight.pointee.columns)
        var dx = [Float](repeating: .nan, count: tokens * columns)
        withPool(threads: threads) { pool in
            let intact = withScratch(mk_linear_backward_input_scratch_bytes(weight, tokens, activation, 0, threads)) {
                mk_linear_backward_input(pool, dy, rows, tokens, weight, nil, activation, false, &dx, columns, $0)
            }
            #expect(intact)
        }
        return dx
    }

    /// Compares with a double product of `left` [m, k] and `right` (element at (k, j)), allowing `unit` of the absolute sum.
    static func check(
        _ found: [Float], m: Int, n: Int, k: Int, unit: Double, bias: [Float]? = nil, left: (Int, Int) -> Float,
        right: (Int, Int) -> Float, _ comment: Comment
    ) {
        for i in 0..<m {
            for j in 0..<n {
                var sum = Double(bias?[j] ?? 0), size = abs(sum)
                for s in 0..<k {
                    let product = Double(left(i, s)) * Double(right(s, j))
                    sum += product
                    size += abs(product)
                }
                guard abs(Double(found[i * n + j]) - sum) <= unit * size + 1e-30 else {
                    Issue.record("\(comment): [\(i), \(j)] is \(found[i * n + j]), wanted \(sum)")
                    return
                }
            }
        }
    }

    @Test(arguments: layouts) func forwardAndBackwardEqualTheDoubleReference(layout: mk_layout, bits: UInt8) {
        let block = mk_block_columns(layout)
        let columns = block == 1 ? 70 : block * (block == 256 ? 3 : 5)
        let weight = RandomWeight(layout, rows: 37, columns: columns, bits: bits), w = weight.values
        var random = Seeded(state: 11)
        let bias = random.floats(weight.rows)
        atEachLevel { level in
            for tokens in [0, 1, 3, 8, 16, 26] {
                let x = random.floats(tokens * columns), dy = random.floats(tokens * weight.rows)
                for (activation, unit) in [(MK_ACTIVATION_F32, 0x1p-21), (MK_ACTIVATION_BF16, 0x1p-7)] {
                    weight.withWeight { pointer in
                        let comment: Comment =
                            "level \(level.rawValue), \(tokens) tokens, activation \(activation.rawValue)"
                        Self.check(
                            Self.linear(pointer, x: x, tokens: tokens, bias: bias, activation), m: tokens,
                            n: weight.rows, k: columns,
                            unit: unit, bias: bias, left: { x[$0 * columns + $1] }, right: { w[$1 * columns + $0] },
                            comment)
                        Self.check(
                            Self.backward(pointer, dy: dy, tokens: tokens, activation), m: tokens, n: columns,
                            k: weight.rows,
                            unit: unit, left: { dy[$0 * weight.rows + $1] }, right: { w[$0 * columns + $1] }, comment)
                    }
                }
            }
        }
    }

    /// Groups of 64 and more have a kernel of their own for few tokens.
    @Test(arguments: [64, 128, 1000]) func codebookRowsOfAnyGroupEqualTheDoubleReference(group: Int) {
        let weight = RandomWeight(MK_LAYOUT_CODEBOOK4, rows: 21, columns: 320, group: group), w = weight.values
        var random = Seeded(state: 12)
        for tokens in [1, 2, 3, 4, 7, 16] {
            let x = random.floats(tokens * 320)
            for (activation, unit) in [
                (MK_ACTIVATION_F32, 0x1p-21), (MK_ACTIVATION_BF16, 0x1p-7), (MK_ACTIVATION_INT8, 0x1p-7),
            ] {
                let y = weight.withWeight { Self.linear($0, x: x, tokens: tokens, bias: nil, activation) }
                Self.check(
                    y, m: tokens, n: 21, k: 320, unit: unit, left: { x[$0 * 320 + $1] }, right: { w[$1 * 320 + $0] },
                    "\(tokens) tokens, groups of \(group)")
            }
        }
    }

    /// Plain weights have no integer products.
    @Test(arguments: layouts) func layoutsWithoutIntegerProductsRoundToBF16(layout: mk_layout, bits: UInt8) {
        let weight = RandomWeight(layout, rows: 21, columns: max(mk_block_columns(layout), 64), bits: bits)
        var random = Seeded(state: 13)
        for tokens in [1, 20] {
            let x = random.floats(tokens * weight.columns)
            weight.withWeight { pointer in
                #expect(!mk_int8_supported(pointer))
                let asked = Self.linear(pointer, x: x, tokens: tokens, bias: nil, MK_ACTIVATION_INT8)
                #expect(asked == Self.linear(pointer, x: x, tokens: tokens, bias: nil, MK_ACTIVATION_BF16))
            }
        }
    }

    @Test(arguments: [MK_LAYOUT_BF16, MK_LAYOUT_Q4_0, MK_LAYOUT_Q6_K]) func anyNumberOfThreadsGivesTheSameBits(
        layout: mk_layout
    ) {
        let weight = RandomWeight(layout, rows: 300, columns: 768)
        var random = Seeded(state: 5)
        for tokens in [1, 40] {
            let x = random.floats(tokens * 768)
            weight.withWeight { pointer in
                let one = Self.linear(pointer, x: x, tokens: tokens, bias: nil, MK_ACTIVATION_BF16, threads: 1)
                for threads in [2, 3, 4] {
                    #expect(
                        Self.linear(pointer, x: x, tokens: tokens, bias: nil, MK_ACTIVATION_BF16, threads: threads)
                            == one)
                }
            }
        }
    }

    /// Computed here from the bit stream, not by the library.
    @Test(arguments: [2, 3, 4, 5, 6, 8]) func affineCodesAreALittleEndianBitStream(bits: Int) {
        for (columns, group) in [(70, 32), (64, 64), (50, 12)] {
            var weight = RandomWeight(MK_LAYOUT_AFFINE, rows: 3, columns: columns, bits: UInt8(bits))
            weight.group = group
            let groups = (columns + group - 1) / group, rowBytes = (columns * bits + 7) / 8
            var random = Seeded(state: 9)
            weight.scales = random.floats(3 * groups)
            weight.zeros = random.floats(3 * groups, in: 0...9)
            atEachLevel { level in
                let found = weight.values
                for row in 0..<3 {
                    for column in 0..<columns {
                        let code = (0..<bits).reduce(0) { sum, i in
                            let bit = column * bits + i
                            return sum | Int(weight.bytes[row * rowBytes + bit / 8] >> (bit % 8) & 1) << i
                        }
                        let at = row * groups + column / group
                        #expect(
                            found[row * columns + column] == (Float(code) - weight.zeros[at]) * weight.scales[at],
                            "level \(level.rawValue)")
                    }
                }
            }
        }
    }

    @Test func codebookCodesHaveTheEvenColumnInTheHighNibble() {
        let weight = RandomWeight(MK_LAYOUT_CODEBOOK4, rows: 2, columns: 96)
        atEachLevel { _ in
            let found = weight.values
            for i in 0..<192 {
                let byte = weight.bytes[i / 2], code = i % 2 == 0 ? byte >> 4 : byte & 15
                #expect(found[i] == RandomWeight.codebook[Int(code)] * weight.scales[i / 32])
            }
        }
    }

    /// OCP 8-bit floating point: 4 exponent bits with bias 7, 3 mantissa bits, no infinities.
    @Test func eightBitFloatsFollowTheirFormat() {
        var weight = RandomWeight(MK_LAYOUT_FP8_E4M3, rows: 1, columns: 256)
        weight.bytes = (0...255).map { UInt8($0) }
        weight.scales = [Float](repeating: 1, count: 8)
        atEachLevel { _ in
            for (code, value) in weight.values.enumerated() {
                let exponent = (code >> 3) & 15, mantissa = Float(code & 7) / 8, sign: Float = code & 0x80 == 0 ? 1 : -1
                if code & 0x7f == 0x7f {
                    #expect(value.isNaN)
                } else {
                    let size =
                        exponent == 0
                        ? mantissa * 0x1p-6
                        : (1 + mantissa) * Float(sign: .plus, exponent: exponent - 7, significand: 1)
                    #expect(value == sign * size)
                }
            }
        }
    }

    @Test func embeddingReadsTheNamedRowsAndZeroesOthers() {
        let table = RandomWeight(MK_LAYOUT_Q4_K, rows: 5, columns: 256), values = table.values
        var found = [Float](repeating: .nan, count: 4 * 256)
        table.withWeight { mk_embedding(nil, $0, [4, -1, 0, 5], 4, &found, 256) }
        #expect(Array(found[..<256]) == Array(values[(4 * 256)...]))
        #expect(found[256..<512].allSatisfy { $0 == 0 } && found[768...].allSatisfy { $0 == 0 })
        #expect(Array(found[512..<768]) == Array(values[..<256]))
    }
}
