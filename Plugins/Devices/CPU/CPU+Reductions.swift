import CPUKernels
import PluginKit

/// The axes of a reduction as [outer, n, inner], of which the middle one is joined.
private struct Extents {
    let outer, n, inner: Int
    /// The order in which the axes must stand first; nil when those that are joined are neighbours already.
    let order: [Int]?

    init(_ step: ScheduledStep) {
        let shape = step.shape(0)
        let given = step.ints("axes").map { $0 < 0 ? $0 + shape.count : $0 }
        let joined = Set(given.isEmpty ? Array(shape.indices) : given)
        // Axes of size 1 move nothing.
        let wide = joined.filter { shape[$0] != 1 }.sorted()
        let (first, last) = (wide.first ?? 0, wide.last ?? -1)
        if (first...max(first, last)).allSatisfy({ joined.contains($0) || shape.isEmpty || shape[$0] == 1 })
            || wide.isEmpty
        {
            order = nil
            outer = shape[..<first].reduce(1, *)
            n = wide.reduce(1) { $0 * shape[$1] }
            inner = shape[max(first, last + 1)...].reduce(1, *)
        } else {
            let kept = shape.indices.filter { !joined.contains($0) }
            order = kept + wide
            outer = kept.reduce(1) { $0 * shape[$1] }
            n = wide.reduce(1) { $0 * shape[$1] }
            inner = 1
        }
    }

    /// Bytes of the copy in another order.
    var copyBytes: Int { order == nil ? 0 : (4 * outer * n + 63) / 64 * 64 }
}

private func reduction(_ kind: mk_reduction) -> KernelBuilder {
    KernelBuilder(
        scratch: { step, _ in
            let e = Extents(step)
            return e.copyBytes + mk_reduce_scratch_bytes(e.outer, e.n, e.inner)
        }
    ) { step in
        let e = Extents(step)
        let (x, y, scratch) = (try step.place(input: 0), try step.place(output: 0), step.scratchPlace)
        let rest = Place(slot: scratch.slot, offset: scratch.offset + e.copyBytes)
        let copy = e.order.map { StridedCopy(permuting: step.shape(0), $0) }
        return { run in
            if let copy { copy.run(run, x, scratch) }
            let from = copy == nil ? x : scratch
            mk_reduce(run.pool, kind, run.floats(from), run.floats(y), e.outer, e.n, e.inner, run.raw(rest))
        }
    }
}

private func rowwise(
    _ call:
        @escaping @Sendable (UnsafePointer<mk_pool>, UnsafePointer<Float>, UnsafeMutablePointer<Float>, Int, Int) ->
        Void
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
    "logsumexp": KernelBuilder { step in
        let (x, y) = (try step.place(input: 0), try step.place(output: 0))
        let (count, width) = (step.outputs[0].count, step.shape(0).last ?? 1)
        return { run in
            if width == 0 { return mk_fill(run.pool, run.floats(y), -.infinity, count) }
            mk_logsumexp(run.pool, run.floats(x), run.floats(y), count, width)
        }
    },
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
