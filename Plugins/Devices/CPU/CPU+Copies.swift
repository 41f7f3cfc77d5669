import CPUKernels
import PluginAPI
import PluginKit

/// Row-major strides in elements.
private func compactStrides(_ shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    for i in shape.indices.dropLast().reversed() { strides[i] = strides[i + 1] * shape[i + 1] }
    return strides
}

/// A copy between strided views of 4-byte elements.
struct StridedCopy {
    let shape, from, to: [Int64]
    let fromOffset, toOffset: Int

    init(shape: [Int], from: [Int], fromOffset: Int = 0, to: [Int], toOffset: Int = 0) {
        self.shape = (shape.isEmpty ? [1] : shape).map(Int64.init)
        self.from = (shape.isEmpty ? [1] : from).map(Int64.init)
        self.to = (shape.isEmpty ? [1] : to).map(Int64.init)
        self.fromOffset = fromOffset
        self.toOffset = toOffset
    }

    /// `shape` with its axes in another order.
    init(permuting shape: [Int], _ order: [Int]) {
        let strides = compactStrides(shape)
        let permuted = order.map { shape[$0] }
        self.init(shape: permuted, from: order.map { strides[$0] }, to: compactStrides(permuted))
    }

    func run(_ run: Run, _ source: Place, _ target: Place) {
        mk_copy_nd(
            run.pool, run.raw(source) + 4 * fromOffset, MK_DTYPE_F32, from, run.raw(target) + 4 * toOffset,
            MK_DTYPE_F32, to,
            shape, shape.count)
    }
}

private func check(_ step: ScheduledStep) throws {
    for operand in step.outputs where [MT_BF16, MT_F16, MT_U8].contains(Int32(operand.type)) {
        throw PluginError(.unsupported, "\(step.op) moves 4-byte elements only", at: step.name)
    }
}

private func axis(_ step: ScheduledStep, rank: Int) -> Int {
    step.int("axis") < 0 ? step.int("axis") + rank : step.int("axis")
}

let copyBuilders: [String: KernelBuilder] = [
    "reshape": KernelBuilder { step in
        let (x, y) = (try step.place(input: 0), try step.place(output: 0))
        let count = step.outputs[0].count
        try check(step)
        return { run in run.raw(y).copyMemory(from: run.raw(x), byteCount: 4 * count) }
    },
    "transpose": KernelBuilder { step in
        let (x, y) = (try step.place(input: 0), try step.place(output: 0))
        try check(step)
        let copy = StridedCopy(permuting: step.shape(0), step.ints("permutation"))
        return { run in copy.run(run, x, y) }
    },
    "slice": KernelBuilder { step in
        let (x, y) = (try step.place(input: 0), try step.place(output: 0))
        let strides = compactStrides(step.shape(0))
        let shape = step.outputs[0].shape
        try check(step)
        let copy = StridedCopy(
            shape: shape, from: strides, fromOffset: step.int("start") * strides[axis(step, rank: shape.count)],
            to: compactStrides(shape))
        return { run in copy.run(run, x, y) }
    },
    "slice_gradient": KernelBuilder { step in
        let (x, y) = (try step.place(input: 0), try step.place(output: 0))
        let full = step.outputs[0].shape
        let strides = compactStrides(full)
        let count = step.outputs[0].count
        let copy = StridedCopy(
            shape: step.shape(0), from: compactStrides(step.shape(0)), to: strides,
            toOffset: step.int("start") * strides[axis(step, rank: full.count)])
        return { run in
            mk_fill(run.pool, run.floats(y), 0, count)
            copy.run(run, x, y)
        }
    },
    "concat": KernelBuilder { step in
        let y = try step.place(output: 0)
        let full = step.outputs[0].shape
        let strides = compactStrides(full)
        let along = axis(step, rank: full.count)
        try check(step)
        var start = 0
        let copies = try step.inputs.indices.map { i in
            let shape = step.shape(i)
            defer { start += shape[along] }
            return (
                try step.place(input: i),
                StridedCopy(shape: shape, from: compactStrides(shape), to: strides, toOffset: start * strides[along])
            )
        }
        return { run in for (x, copy) in copies { copy.run(run, x, y) } }
    },
    "broadcast": KernelBuilder { step in
        let (x, y) = (try step.place(input: 0), try step.place(output: 0))
        let shape = step.outputs[0].shape
        try check(step)
        let copy = StridedCopy(shape: shape, from: broadcastStrides(step.shape(0), shape), to: compactStrides(shape))
        return { run in copy.run(run, x, y) }
    },
]
