import CPUKernels
import Glibc
import Testing

/// Runs a program over dense f32 inputs of one shape, and gives its output.
func runElementwise(
    _ code: [mk_ew_instruction], inputs: [[Float]], count: Int, threads: Int = 1
) -> [Float] {
    var output = [Float](repeating: 7, count: count)
    var copies = inputs
    let pointers = copies.indices.map { index in copies[index].withUnsafeMutableBufferPointer { $0.baseAddress } }
    let operands = pointers.enumerated().map { index, pointer in
        operand(pointer, reg: UInt8(index), strides: [1])
    }
    output.withUnsafeMutableBufferPointer { out in
        let outputs = [operand(out.baseAddress, reg: 31, strides: [1])]
        #expect(runProgram(code, operands, outputs, shape: [count], threads: threads))
    }
    return withExtendedLifetime(copies) { output }
}

func operand(
    _ data: UnsafeMutableRawPointer?, type: mk_dtype = MK_DTYPE_F32, reg: UInt8, strides: [Int64]
) -> mk_ew_operand {
    var result = mk_ew_operand()
    result.data = data
    result.type = type
    result.reg = reg
    withUnsafeMutableBytes(of: &result.strides) { bytes in
        for (index, stride) in strides.enumerated() {
            bytes.storeBytes(of: stride, toByteOffset: index * 8, as: Int64.self)
        }
    }
    return result
}

func runProgram(
    _ code: [mk_ew_instruction], _ inputs: [mk_ew_operand], _ outputs: [mk_ew_operand], shape: [Int], threads: Int = 1
) -> Bool {
    code.withUnsafeBufferPointer { code in
        inputs.withUnsafeBufferPointer { inputs in
            outputs.withUnsafeBufferPointer { outputs in
                var program = mk_ew_program()
                (program.code, program.code_count) = (code.baseAddress, code.count)
                (program.inputs, program.input_count) = (inputs.baseAddress, inputs.count)
                (program.outputs, program.output_count) = (outputs.baseAddress, outputs.count)
                program.rank = shape.count
                withUnsafeMutableBytes(of: &program.shape) { bytes in
                    for (index, extent) in shape.enumerated() {
                        bytes.storeBytes(of: Int64(extent), toByteOffset: index * 8, as: Int64.self)
                    }
                }
                return withPool(threads: threads) { mk_ew_run($0, &program) }
            }
        }
    }
}

func instruction(_ op: mk_ew_op, to: UInt8, _ a: UInt8 = 0, _ b: UInt8 = 0, _ c: UInt8 = 0, value: Float = 0)
    -> mk_ew_instruction
{
    mk_ew_instruction(op: UInt8(op.rawValue), to: to, a: a, b: b, c: c, value: value)
}

@Suite struct ElementwiseOpsTests {
    static let sigmoid: @Sendable (Double) -> Double = { 1 / (1 + exp(-$0)) }
    static let gelu: @Sendable (Double) -> Double = { 0.5 * $0 * erfc(-$0 / 2.0.squareRoot()) }

    struct Unary: Sendable, CustomTestStringConvertible {
        let op: mk_ew_op
        let name: String
        let range: ClosedRange<Float>
        /// Largest error, relative to the value (or absolute where the value is small).
        let bound: Double
        let reference: @Sendable (Double) -> Double
        var testDescription: String { name }
    }

    static let unary: [Unary] = [
        Unary(op: MK_EW_EXP, name: "exp", range: -87...88, bound: 2.4e-7, reference: { exp($0) }),
        Unary(op: MK_EW_LOG, name: "log", range: 1e-30...10, bound: 2.4e-7, reference: { log($0) }),
        Unary(op: MK_EW_TANH, name: "tanh", range: -10...10, bound: 1e-6, reference: { tanh($0) }),
        Unary(op: MK_EW_ERF, name: "erf", range: -5...5, bound: 1e-6, reference: { erf($0) }),
        Unary(op: MK_EW_SIGMOID, name: "sigmoid", range: -80...80, bound: 1e-6, reference: sigmoid),
        Unary(op: MK_EW_SILU, name: "silu", range: -80...80, bound: 1e-6, reference: { $0 * sigmoid($0) }),
        Unary(op: MK_EW_GELU, name: "gelu", range: -5...9, bound: 3e-6, reference: gelu),
        Unary(
            op: MK_EW_GELU_TANH, name: "gelu_tanh", range: -4...9, bound: 4e-6,
            reference: { $0 * sigmoid(2 * (2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0)) }),
        Unary(
            op: MK_EW_QUICK_GELU, name: "quick_gelu", range: -40...40, bound: 6e-6,
            reference: { $0 * sigmoid(1.702 * $0) }),
        Unary(op: MK_EW_SOFTPLUS, name: "softplus", range: -80...80, bound: 1e-6, reference: { log1p(exp($0)) }),
        Unary(
            op: MK_EW_LOG_SIGMOID, name: "log_sigmoid", range: -80...80, bound: 1e-6, reference: { -log1p(exp(-$0)) }),
        Unary(op: MK_EW_SIN, name: "sin", range: -100...100, bound: 1e-6, reference: { sin($0) }),
        Unary(op: MK_EW_COS, name: "cos", range: -100_000...100_000, bound: 1e-6, reference: { cos($0) }),
        Unary(op: MK_EW_SQRT, name: "sqrt", range: 0...1e9, bound: 1e-7, reference: { $0.squareRoot() }),
        Unary(op: MK_EW_RSQRT, name: "rsqrt", range: 1e-9...1e9, bound: 2e-7, reference: { 1 / $0.squareRoot() }),
        Unary(op: MK_EW_RECIPROCAL, name: "reciprocal", range: 0.01...9, bound: 1e-7, reference: { 1 / $0 }),
        Unary(op: MK_EW_FLOOR, name: "floor", range: -9...9, bound: 0, reference: { floor($0) }),
        Unary(op: MK_EW_RELU, name: "relu", range: -9...9, bound: 0, reference: { max($0, 0) }),
        Unary(op: MK_EW_ABS, name: "abs", range: -9...9, bound: 0, reference: { abs($0) }),
        Unary(op: MK_EW_SIGN, name: "sign", range: -9...9, bound: 0, reference: { $0 > 0 ? 1 : $0 < 0 ? -1 : 0 }),
        Unary(op: MK_EW_NEG, name: "neg", range: -9...9, bound: 0, reference: { -$0 }),
        Unary(op: MK_EW_SQUARE, name: "square", range: -9...9, bound: 1e-7, reference: { $0 * $0 }),
    ]

    @Test(arguments: unary) func unaryOpsAgreeWithDoublePrecision(_ op: Unary) {
        var random = Seeded(state: 1)
        let x = random.floats(4003, in: op.range)
        atEachLevel { level in
            let y = runElementwise([instruction(op.op, to: 31, 0)], inputs: [x], count: x.count)
            var worst = 0.0
            for (x, y) in zip(x, y) {
                let expected = op.reference(Double(x))
                worst = max(worst, abs(Double(y) - expected) / max(abs(expected), 1e-30))
            }
            // Near a zero of sin and cos the argument's own rounding shows; the bound is absolute there.
            if op.op == MK_EW_SIN || op.op == MK_EW_COS {
                worst = zip(x, y).map { abs(Double($1) - op.reference(Double($0))) }.max() ?? 0
            }
            #expect(worst <= op.bound, "\(String(cString: mk_level_name(level)))")
        }
    }

    @Test func infinitiesAndNaNsFollowTheMathematics() {
        let x: [Float] = [.infinity, -.infinity, .nan, 0]
        atEachLevel { _ in
            func run(_ op: mk_ew_op) -> [Float] { runElementwise([instruction(op, to: 31, 0)], inputs: [x], count: 4) }
            let (e, l, t) = (run(MK_EW_EXP), run(MK_EW_LOG), run(MK_EW_TANH))
            #expect(e[0] == .infinity && e[1] == 0 && e[2].isNaN && e[3] == 1)
            #expect(l[0] == .infinity && l[1].isNaN && l[2].isNaN && l[3] == -.infinity)
            #expect(t[0] == 1 && t[1] == -1 && t[2].isNaN && t[3] == 0)
            #expect(run(MK_EW_RELU)[2].isNaN && run(MK_EW_SIGMOID)[1] == 0 && run(MK_EW_SOFTPLUS)[1] == 0)
        }
    }

    @Test func derivativesMatchFiniteDifferences() {
        let x = stride(from: Float(-6), through: 6, by: 0.0137).map { $0 }
        let ones = [Float](repeating: 2, count: x.count)
        let cases: [(mk_ew_op, (Double) -> Double)] = [
            (MK_EW_SILU_GRADIENT, { $0 * Self.sigmoid($0) }), (MK_EW_GELU_GRADIENT, Self.gelu),
            (
                MK_EW_GELU_TANH_GRADIENT,
                { $0 * Self.sigmoid(2 * (2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0)) }
            ),
        ]
        for (op, f) in cases {
            let y = runElementwise([instruction(op, to: 31, 0, 1)], inputs: [x, ones], count: x.count)
            for (x, y) in zip(x, y) {
                let x = Double(x), slope = (f(x + 1e-5) - f(x - 1e-5)) / 2e-5
                #expect(abs(Double(y) - 2 * slope) < 2e-6)
            }
        }
    }

    @Test(arguments: [1, 7, 16, 63, 300, 513, 2000]) func broadcastingFollowsTheStrides(_ width: Int) {
        let rows = 37
        var random = Seeded(state: UInt64(width))
        var full = random.floats(rows * width), row = random.floats(width), column = random.floats(rows),
            scalar: [Float] = [3]
        let expected = (0..<rows * width).map { (full[$0] + row[$0 % width]) * column[$0 / width] - scalar[0] }
        let code = [
            instruction(MK_EW_ADD, to: 4, 0, 1), instruction(MK_EW_MUL, to: 4, 4, 2),
            instruction(MK_EW_SUB, to: 5, 4, 3),
        ]
        atEachLevel { _ in
            for threads in [1, 3] {
                var output = [Float](repeating: 0, count: rows * width)
                let inputs = [
                    operand(&full, reg: 0, strides: [Int64(width), 1]), operand(&row, reg: 1, strides: [0, 1]),
                    operand(&column, reg: 2, strides: [1, 0]), operand(&scalar, reg: 3, strides: [0, 0]),
                ]
                let outputs = [operand(&output, reg: 5, strides: [Int64(width), 1])]
                #expect(runProgram(code, inputs, outputs, shape: [rows, width], threads: threads))
                #expect(output == expected)
            }
        }
    }

    @Test func anOutputMayTakeAnInputsPlace() {
        var random = Seeded(state: 5)
        let a = random.floats(5000), b = random.floats(5000)
        var x = a, y = b
        // x = a + b, y = a * b: the second reads a after the first is known.
        let code = [instruction(MK_EW_ADD, to: 2, 0, 1), instruction(MK_EW_MUL, to: 3, 0, 1)]
        let inputs = [operand(&x, reg: 0, strides: [1]), operand(&y, reg: 1, strides: [1])]
        let outputs = [operand(&x, reg: 2, strides: [1]), operand(&y, reg: 3, strides: [1])]
        #expect(runProgram(code, inputs, outputs, shape: [5000], threads: 2))
        #expect(x == zip(a, b).map(+) && y == zip(a, b).map(*))
    }

    @Test func typesConvertOnTheWayInAndOut() {
        var ids: [Int32] = [-100, 3, 7, -100, 2],
            halves = [Float](arrayLiteral: 1, 2, 3, 4, 5).map { Float16($0).bitPattern }
        var output = [UInt16](repeating: 0, count: 5)
        let code = [
            instruction(MK_EW_CONSTANT, to: 2, value: -100), instruction(MK_EW_EQUAL, to: 3, 0, 2),
            instruction(MK_EW_CONSTANT, to: 4, value: 0), instruction(MK_EW_WHERE, to: 5, 3, 4, 1),
        ]
        let inputs = [
            operand(&ids, type: MK_DTYPE_I32, reg: 0, strides: [1]),
            operand(&halves, type: MK_DTYPE_F16, reg: 1, strides: [1]),
        ]
        let outputs = [operand(&output, type: MK_DTYPE_BF16, reg: 5, strides: [1])]
        #expect(runProgram(code, inputs, outputs, shape: [5]))
        #expect(output.map(mk_bf16_to_f32) == [0, 2, 3, 0, 5])
    }

    @Test func malformedProgramsAreRefused() {
        var x: [Float] = [1], y: [Float] = [5]
        let input = [operand(&x, reg: 0, strides: [1])], output = [operand(&y, reg: 1, strides: [1])]
        #expect(
            !runProgram([instruction(MK_EW_ADD, to: 1, 0, 2)], input, output, shape: [1]), "reads a register never set")
        #expect(!runProgram([instruction(MK_EW_COPY, to: 40, 0)], input, output, shape: [1]), "no such register")
        #expect(!runProgram([], input, output, shape: [1]), "output never set")
        #expect(y == [5])
    }
}
