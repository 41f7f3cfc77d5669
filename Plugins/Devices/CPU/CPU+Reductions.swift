import CPUKernels
import PluginKit

/// [outer, n, inner] of adjacent axes that are joined.
private struct Extents {
    let outer, n, inner: Int

    init(_ step: ScheduledStep) throws {
        let shape = step.shape(0)
        let given = step.ints("axes").map { $0 < 0 ? $0 + shape.count : $0 }.sorted()
        let axes = given.isEmpty ? Array(shape.indices) : given
        guard let first = axes.first, let last = axes.last else {
            (outer, n, inner) = (1, 1, 1)
            return
        }
        guard last - first + 1 == axes.count else {
            throw PluginError(.unsupported, "axes \(axes) are not adjacent; transpose first", at: step.name)
        }
        outer = shape[..<first].reduce(1, *)
        n = shape[first...last].reduce(1, *)
        inner = shape[(last + 1)...].reduce(1, *)
    }
}

private func reduction(_ kind: mk_reduction) -> KernelBuilder {
    KernelBuilder(
        scratch: { step, _ in (try? Extents(step)).map { mk_reduce_scratch_bytes($0.outer, $0.n, $0.inner) } ?? 0 }
    ) { step in
        let e = try Extents(step)
        let (x, y, scratch) = (try step.place(input: 0), try step.place(output: 0), step.scratchPlace)
        return { run in mk_reduce(run.pool, kind, run.floats(x), run.floats(y), e.outer, e.n, e.inner, run.raw(scratch)) }
    }
}

private func rowwise(
    _ call: @escaping @Sendable (UnsafePointer<mk_pool>, UnsafePointer<Float>, UnsafeMutablePointer<Float>, Int, Int) -> Void
) -> KernelBuilder {
    KernelBuilder { step in
        let (x, y) = (try step.place(input: 0), try step.place(output: 0))
        let width = step.shape(0).last ?? 1
        let count = width == 0 ? 0 : step.shape(0).reduce(1, *) / width
        return { run in call(run.pool, run.floats(x), run.floats(y), count, width) }
    }
}

let reduceBuilders: [String: KernelBuilder] = [
    "sum": reduction(MK_REDUCE_SUM), "mean": reduction(MK_REDUCE_MEAN), "reduce_max": reduction(MK_REDUCE_MAX),
    "softmax": rowwise { mk_softmax($0, $1, $2, $3, $4) },
    "log_softmax": rowwise { mk_log_softmax($0, $1, $2, $3, $4) },
    "logsumexp": rowwise { mk_logsumexp($0, $1, $2, $3, $4) },
    "cumsum": KernelBuilder { step in
        let (x, y, reverse) = (try step.place(input: 0), try step.place(output: 0), step.bool("reverse"))
        let width = step.shape(0).last ?? 1
        let count = width == 0 ? 0 : step.shape(0).reduce(1, *) / width
        return { run in mk_cumsum(run.pool, run.floats(x), run.floats(y), count, width, 1, reverse) }
    },
    "topk": KernelBuilder { step in
        let (x, values, indices) = (try step.place(input: 0), try step.place(output: 0), try step.place(output: 1))
        let (width, k) = (step.shape(0).last ?? 1, step.int("k"))
        let count = width == 0 ? 0 : step.shape(0).reduce(1, *) / width
        return { run in mk_topk(run.pool, run.floats(x), run.floats(values), run.ints(indices), count, width, k) }
    },
    "argmax": KernelBuilder { step in
        let (x, y) = (try step.place(input: 0), try step.place(output: 0))
        let width = step.shape(0).last ?? 1
        let count = width == 0 ? 0 : step.shape(0).reduce(1, *) / width
        return { run in mk_argmax(run.pool, run.floats(x), run.ints(y), count, width, 1) }
    },
    "softmax_gradient": KernelBuilder { step in
        let (dy, y, dx) = (try step.place(input: 0), try step.place(input: 1), try step.place(output: 0))
        let width = step.shape(0).last ?? 1
        let count = width == 0 ? 0 : step.shape(0).reduce(1, *) / width
        return { run in
            let (dy, y, dx) = (run.floats(dy), run.floats(y), run.floats(dx))
            parallelRows(run, count) { row in
                let at = row * width
                var dot: Float = 0
                for i in at..<at + width { dot += dy[i] * y[i] }
                for i in at..<at + width { dx[i] = (dy[i] - dot) * y[i] }
            }
        }
    },
    "sum_sequences": KernelBuilder { step in
        let (x, sequence, y) = (try step.place(input: 0), try step.place(input: 1), try step.place(output: 0))
        let (tokens, count) = (step.shape(0)[0], step.outputs[0].count)
        return { run in
            let (x, sequence, y) = (run.floats(x), run.ints(sequence), run.floats(y))
            y.update(repeating: 0, count: count)
            for t in 0..<tokens where sequence[t] >= 0 && sequence[t] < count { y[Int(sequence[t])] += x[t] }
        }
    },
    "gather_sequences": KernelBuilder { step in
        let (x, sequence, y) = (try step.place(input: 0), try step.place(input: 1), try step.place(output: 0))
        let (count, tokens) = (step.shape(0)[0], step.shape(1)[0])
        return { run in
            let (x, sequence, y) = (run.floats(x), run.ints(sequence), run.floats(y))
            for t in 0..<tokens { y[t] = sequence[t] >= 0 && sequence[t] < count ? x[Int(sequence[t])] : 0 }
        }
    },
]

/// Calls `body` for each row on the pool's threads.
func parallelRows(_ run: Run, _ count: Int, _ body: @escaping (Int) -> Void) {
    let box = RowBody(body)
    withExtendedLifetime(box) {
        mk_parallel(
            run.pool, count,
            { argument, index, _ in
                guard let argument else { return }
                Unmanaged<RowBody>.fromOpaque(argument).takeUnretainedValue().call(index)
            }, Unmanaged.passUnretained(box).toOpaque())
    }
}

private final class RowBody {
    let call: (Int) -> Void
    init(_ call: @escaping (Int) -> Void) { self.call = call }
}
