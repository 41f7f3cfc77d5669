import Glibc
import PluginKit

/// What a kernel reads and writes: f32 as arrays, outputs in the step's order.
struct Operands {
    let step: ScheduledStep
    let memories: [ReferenceMemory]

    func shape(_ input: Int) -> [Int] { step.inputs[input].shape }
    var shape: [Int] { step.outputs[0].shape }

    func floats(_ input: Int) -> [Float] { elements(step.inputs[input]) }
    func ints(_ input: Int) -> [Int] { (elements(step.inputs[input]) as [Int32]).map(Int.init) }
    func optional(_ input: Int) -> [Float]? { step.input(input).map { elements($0) } }

    private func elements<Element: BitwiseCopyable>(_ operand: Operand) -> [Element] {
        guard let slot = operand.slot else { return [] }
        return (0..<operand.count).map {
            memories[slot].bytes.load(fromByteOffset: operand.offset + 4 * $0, as: Element.self)
        }
    }

    func write<Element: BitwiseCopyable>(_ values: some Collection<Element>, output: Int = 0) {
        guard let slot = step.outputs[output].slot else { return }
        for (i, value) in values.enumerated() {
            memories[slot].bytes.storeBytes(
                of: value, toByteOffset: step.outputs[output].offset + 4 * i, as: Element.self)
        }
    }

    /// Calls `body` with each row of the last axis of an input; the results are the output.
    func mapRows(_ input: Int = 0, _ body: ([Float]) -> [Float]) {
        let (x, width) = (floats(input), shape(input).last ?? 1)
        guard width > 0 else { return }
        write(stride(from: 0, to: x.count, by: width).flatMap { body(Array(x[$0..<$0 + width])) })
    }

    /// For each element of `out` in row-major order, where its element stands in a value of `from`, stretched as NumPy does.
    static func positions(_ from: [Int], in out: [Int]) -> [Int] {
        var strides = [Int](repeating: 0, count: out.count)
        var stride = 1
        for i in 0..<from.count {
            strides[out.count - 1 - i] = from[from.count - 1 - i] == 1 ? 0 : stride
            stride *= from[from.count - 1 - i]
        }
        return walk(out, strides)
    }

    /// Σ index · stride of every index of `shape`, in row-major order.
    static func walk(_ shape: [Int], _ strides: [Int]) -> [Int] {
        zip(shape, strides).reduce([0]) { starts, axis in
            starts.flatMap { start in (0..<axis.0).map { start + $0 * axis.1 } }
        }
    }
}

/// Functions of up to three elements and the node's number, by op.
let functions: [String: @Sendable (Float, Float, Float, Float) -> Float] = [
    "add": { a, b, _, _ in a + b }, "sub": { a, b, _, _ in a - b }, "mul": { a, b, _, _ in a * b },
    "div": { a, b, _, _ in a / b }, "max": { a, b, _, _ in max(a, b) }, "min": { a, b, _, _ in min(a, b) },
    "less": { a, b, _, _ in a < b ? 1 : 0 }, "equal": { a, b, _, _ in a == b ? 1 : 0 },
    "where": { c, a, b, _ in c != 0 ? a : b }, "scale": { a, _, _, factor in a * factor },
    "add_scalar": { a, _, _, value in a + value }, "neg": { a, _, _, _ in -a }, "exp": { a, _, _, _ in exp(a) },
    "log": { a, _, _, _ in log(a) }, "sqrt": { a, _, _, _ in sqrt(a) }, "rsqrt": { a, _, _, _ in 1 / sqrt(a) },
    "square": { a, _, _, _ in a * a }, "tanh": { a, _, _, _ in tanh(a) },
    "sigmoid": { a, _, _, _ in 1 / (1 + exp(-a)) },
    "silu": { a, _, _, _ in a / (1 + exp(-a)) },
    "gelu": { a, _, _, _ in 0.5 * a * (1 + erf(a * Float(0.5).squareRoot())) },
    "relu": { a, _, _, _ in max(a, 0) }, "detach": { a, _, _, _ in a },
]

/// Kernels by op.
let kernels: [String: @Sendable (Operands) -> Void] = [
    // Several functions in one pass: instruction i writes operands[4 i] from up to three others.
    "elementwise": { o in
        let (names, registers) = (o.step.string("ops").split(separator: " "), o.step.ints("operands"))
        let values = o.step.floats("values")
        var bank = [[Float]](repeating: [], count: 32)
        for i in o.step.inputs.indices {
            let x = o.floats(i)
            bank[i] = Operands.positions(o.shape(i), in: o.shape).map { x[$0] }
        }
        for (i, name) in names.enumerated() {
            guard let function = functions[String(name)] else { continue }
            let r = Array(registers[4 * i..<4 * i + 4])
            let (a, b, c) = (bank[r[1]], bank[r[2]], bank[r[3]])
            bank[r[0]] = a.indices.map { function(a[$0], b[$0], c[$0], Float(values[i])) }
        }
        for (output, register) in o.step.ints("outputs").enumerated() { o.write(bank[register], output: output) }
    },
    "linear": { o in
        let (x, w, bias) = (o.floats(0), o.floats(1), o.optional(2))
        let (rows, inner, columns) = (o.shape(0)[0], o.shape(0)[1], o.shape(1)[0])
        o.write(
            (0..<rows * columns).map { at in
                let (row, column) = (at / columns * inner, at % columns * inner)
                return (0..<inner).reduce(bias?[at % columns] ?? 0) { $0 + x[row + $1] * w[column + $1] }
            })
    },
    "embedding": { o in
        let (table, rows, width) = (o.floats(0), o.shape(0)[0], o.shape(0)[1])
        o.write(o.ints(1).flatMap { id in (0..<width).map { id >= 0 && id < rows ? table[id * width + $0] : 0 } })
    },
    "rms_norm": { o in
        let (w, eps, offset) = (o.floats(1), Float(o.step.float("eps")), Float(o.step.float("offset")))
        o.mapRows { row in
            let inverse = 1 / sqrt(row.reduce(0) { $0 + $1 * $1 } / Float(row.count) + eps)
            return zip(row, w).map { $0 * inverse * (offset + $1) }
        }
    },
    "softmax": { o in
        o.mapRows { row in
            let top = row.max() ?? 0
            let powers = row.map { exp($0 - top) }
            let total = powers.reduce(0, +)
            return powers.map { $0 / total }
        }
    },
    "transpose": { o in
        let (x, order) = (o.floats(0), o.step.ints("permutation"))
        var strides = [Int](repeating: 1, count: order.count)
        for i in strides.indices.dropLast().reversed() { strides[i] = strides[i + 1] * o.shape(0)[i + 1] }
        o.write(Operands.walk(o.shape, order.map { strides[$0] }).map { x[$0] })
    },
    "sum": { o in
        let axes = o.step.ints("axes").map { $0 < 0 ? $0 + o.shape(0).count : $0 }
        let kept = o.shape(0).enumerated().map { axes.isEmpty || axes.contains($0) ? 1 : $1 }
        var sums = [Float](repeating: 0, count: o.step.outputs[0].count)
        for (value, at) in zip(o.floats(0), Operands.positions(kept, in: o.shape(0))) { sums[at] += value }
        o.write(sums)
    },
]
