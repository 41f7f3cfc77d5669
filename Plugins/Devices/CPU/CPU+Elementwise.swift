import CPUKernels
import PluginAPI
import PluginKit

/// The elementwise machine's instruction for an op, and whether the op's operands come in the other order.
private let instructions: [String: (code: mk_ew_op, swapsOperands: Bool)] = [
    "detach": (MK_EW_COPY, false), "cast": (MK_EW_COPY, false), "neg": (MK_EW_NEG, false), "exp": (MK_EW_EXP, false),
    "log": (MK_EW_LOG, false), "sqrt": (MK_EW_SQRT, false), "rsqrt": (MK_EW_RSQRT, false),
    "reciprocal": (MK_EW_RECIPROCAL, false), "abs": (MK_EW_ABS, false), "sign": (MK_EW_SIGN, false),
    "square": (MK_EW_SQUARE, false), "tanh": (MK_EW_TANH, false), "sigmoid": (MK_EW_SIGMOID, false),
    "silu": (MK_EW_SILU, false), "gelu": (MK_EW_GELU, false), "gelu_tanh": (MK_EW_GELU_TANH, false),
    "quick_gelu": (MK_EW_QUICK_GELU, false), "relu": (MK_EW_RELU, false), "log_sigmoid": (MK_EW_LOG_SIGMOID, false),
    "softplus": (MK_EW_SOFTPLUS, false), "sin": (MK_EW_SIN, false), "cos": (MK_EW_COS, false),
    "erf": (MK_EW_ERF, false),
    "floor": (MK_EW_FLOOR, false), "scale": (MK_EW_SCALE, false), "add_scalar": (MK_EW_ADD_SCALAR, false),
    "add": (MK_EW_ADD, false), "sub": (MK_EW_SUB, false), "mul": (MK_EW_MUL, false), "div": (MK_EW_DIV, false),
    "pow": (MK_EW_POW, false), "min": (MK_EW_MIN, false), "max": (MK_EW_MAX, false), "less": (MK_EW_LESS, false),
    "equal": (MK_EW_EQUAL, false), "where": (MK_EW_WHERE, false), "silu_gradient": (MK_EW_SILU_GRADIENT, true),
    "gelu_gradient": (MK_EW_GELU_GRADIENT, true), "gelu_tanh_gradient": (MK_EW_GELU_TANH_GRADIENT, true),
]

/// A fused program, or one op by itself in the same form.
private struct ElementwiseStep {
    let code: [mk_ew_instruction]
    let outputRegisters: [Int]

    init(_ step: ScheduledStep) throws {
        let isProgram = step.op == "elementwise"
        let names = isProgram ? step.string("ops").split(separator: " ").map(String.init) : [step.op]
        let count = step.inputs.count
        let operands = isProgram ? step.ints("operands") : [count] + (0..<3).map { $0 < count ? $0 : 0 }
        let values = isProgram ? step.floats("values") : [step.float(step.op == "scale" ? "factor" : "value")]
        guard operands.count == 4 * names.count, values.count == names.count,
            operands.allSatisfy({ (0..<Int(MK_EW_REGISTERS)).contains($0) })
        else {
            throw PluginError(
                .invalid, "the program has \(names.count) ops and \(operands.count) operands", at: step.name)
        }
        let written = try names.enumerated().map { i, name in
            guard let (op, swaps) = instructions[name] else {
                throw PluginError(.unsupported, "no instruction computes \"\(name)\"", at: step.name)
            }
            var out = mk_ew_instruction()
            out.op = UInt8(op.rawValue)
            out.to = UInt8(operands[4 * i])
            out.a = UInt8(operands[4 * i + (swaps ? 2 : 1)])
            out.b = UInt8(operands[4 * i + (swaps ? 1 : 2)])
            out.c = UInt8(operands[4 * i + 3])
            out.value = Float(values[i])
            return out
        }
        (code, outputRegisters) = Self.packed(
            written, inputs: count, outputs: isProgram ? step.ints("outputs") : [count])
    }

    /// The program with as few registers as it can do with: a result takes one that nothing reads any more, so that what is
    /// in use stays in the first-level cache. Inputs keep theirs.
    private static func packed(
        _ code: [mk_ew_instruction], inputs: Int, outputs: [Int]
    ) -> (code: [mk_ew_instruction], outputs: [Int]) {
        var lastRead = [Int](repeating: -1, count: Int(MK_EW_REGISTERS))
        for (i, one) in code.enumerated() { for register in [one.a, one.b, one.c] { lastRead[Int(register)] = i } }
        for output in outputs where lastRead.indices.contains(output) { lastRead[output] = code.count }
        var place = Array(0..<Int(MK_EW_REGISTERS))
        var free: [Int] = []
        var next = inputs
        let moved = code.enumerated().map { i, one in
            var out = one
            (out.a, out.b, out.c) = (UInt8(place[Int(one.a)]), UInt8(place[Int(one.b)]), UInt8(place[Int(one.c)]))
            for register in Set([one.a, one.b, one.c].map(Int.init)).sorted()
            where register >= inputs && lastRead[register] == i {
                free.append(place[register])
            }
            let to = Int(one.to)
            if to >= inputs {
                place[to] = free.popLast() ?? next
                if place[to] == next { next += 1 }
                if lastRead[to] < i { free.append(place[to]) }
            }
            out.to = UInt8(place[to])
            return out
        }
        return (moved, outputs.map { place.indices.contains($0) ? place[$0] : $0 })
    }
}

/// The kernels' element type.
func elementType(_ type: UInt32) -> mk_dtype {
    switch Int32(type) {
    case MT_BF16: return MK_DTYPE_BF16
    case MT_F16: return MK_DTYPE_F16
    case MT_I32: return MK_DTYPE_I32
    case MT_U8: return MK_DTYPE_U8
    default: return MK_DTYPE_F32
    }
}

/// Strides of a value of `shape` when it is read at the places of `out`; 0 along what is stretched.
func broadcastStrides(_ shape: [Int], _ out: [Int]) -> [Int] {
    var strides = [Int](repeating: 0, count: out.count)
    var stride = 1
    for i in 0..<min(shape.count, out.count) {
        let size = shape[shape.count - 1 - i]
        strides[out.count - 1 - i] = size == 1 ? 0 : stride
        stride *= size
    }
    return strides
}

private func operand(_ value: Operand, _ shape: [Int], register: Int) -> mk_ew_operand {
    var out = mk_ew_operand()
    out.type = elementType(value.type)
    out.reg = UInt8(register)
    withUnsafeMutableBytes(of: &out.strides) { strides in
        for (i, stride) in broadcastStrides(value.shape, shape).enumerated() {
            strides.storeBytes(of: Int64(stride), toByteOffset: i * 8, as: Int64.self)
        }
    }
    return out
}

private let elementwise = KernelBuilder { step in
    let program = try ElementwiseStep(step)
    let shape = step.outputs.first?.shape ?? []
    let rank = max(1, shape.count)
    let inputs = step.inputs.enumerated().map { operand($1, shape, register: $0) }
    let outputs = zip(step.outputs, program.outputRegisters).map { operand($0, shape, register: $1) }
    let inputPlaces = try step.inputs.indices.map { try step.place(input: $0) }
    let outputPlaces = try step.outputs.indices.map { try step.place(output: $0) }
    var prepared = mk_ew_program()
    prepared.code_count = program.code.count
    prepared.input_count = inputs.count
    prepared.output_count = outputs.count
    prepared.rank = rank
    withUnsafeMutableBytes(of: &prepared.shape) { dims in
        for (i, size) in (shape.isEmpty ? [1] : shape).enumerated() {
            dims.storeBytes(of: Int64(size), toByteOffset: i * 8, as: Int64.self)
        }
    }
    let form = prepared
    return { run in
        var full = form
        withUnsafeTemporaryAllocation(of: mk_ew_operand.self, capacity: inputs.count + outputs.count) { operands in
            for (i, input) in inputs.enumerated() {
                operands[i] = input
                operands[i].data = run.raw(inputPlaces[i])
            }
            for (i, output) in outputs.enumerated() {
                operands[inputs.count + i] = output
                operands[inputs.count + i].data = run.raw(outputPlaces[i])
            }
            full.inputs = operands.baseAddress.map { UnsafePointer($0) }
            full.outputs = operands.baseAddress.map { UnsafePointer($0 + inputs.count) }
            program.code.withUnsafeBufferPointer { code in
                full.code = code.baseAddress
                _ = mk_ew_run(run.pool, &full)
            }
        }
    }
}

let elementwiseBuilders: [String: KernelBuilder] = Dictionary(
    uniqueKeysWithValues: (["elementwise"] + instructions.keys).map { ($0, elementwise) })
