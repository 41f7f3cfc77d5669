import CPUKernels
import PluginKit

let rowBuilders: [String: KernelBuilder] = [
    "embedding": KernelBuilder { step in
        let (table, ids, y) = (try step.place(input: 0), try step.place(input: 1), try step.place(output: 0))
        let (rows, width, tokens) = (step.shape(0)[0], step.shape(0)[1], step.shape(1)[0])
        return { run in
            var weight = run.weight(table, rows: rows, columns: width)
            mk_embedding(run.pool, &weight, run.ints(ids), tokens, run.floats(y), width)
        }
    },
    "scatter_add_rows": KernelBuilder { step in
        let (x, ids, y) = (try step.place(input: 0), try step.place(input: 1), try step.place(output: 0))
        let (tokens, width, rows) = (step.shape(0)[0], step.shape(0)[1], step.int("rows"))
        return { run in
            mk_scatter_add_rows(run.pool, run.floats(x), run.ints(ids), tokens, width, run.floats(y), rows, false)
        }
    },
    "scatter_columns": KernelBuilder { step in
        let (x, indices, y) = (try step.place(input: 0), try step.place(input: 1), try step.place(output: 0))
        let (k, width) = (step.shape(0).last ?? 1, step.int("width"))
        let rows = k == 0 ? 0 : step.shape(0).reduce(1, *) / k
        return { run in
            let (x, indices, y) = (run.floats(x), run.ints(indices), run.floats(y))
            y.update(repeating: 0, count: rows * width)
            for i in 0..<rows * k where indices[i] >= 0 && indices[i] < width {
                y[i / k * width + Int(indices[i])] += x[i]
            }
        }
    },
    "gather_columns": KernelBuilder { step in
        let (x, indices, y) = (try step.place(input: 0), try step.place(input: 1), try step.place(output: 0))
        let (k, width) = (step.shape(1).last ?? 1, step.shape(0).last ?? 1)
        let rows = k == 0 ? 0 : step.shape(1).reduce(1, *) / k
        return { run in
            let (x, indices, y) = (run.floats(x), run.ints(indices), run.floats(y))
            for i in 0..<rows * k {
                y[i] = indices[i] >= 0 && indices[i] < width ? x[i / k * width + Int(indices[i])] : 0
            }
        }
    },
    "dropout": KernelBuilder { step in
        let (x, seed, y) = (try step.place(input: 0), try step.place(input: 1), try step.place(output: 0))
        let (count, p, stream) = (
            step.outputs[0].count, Float(step.float("p")), UInt32(truncatingIfNeeded: step.int("stream"))
        )
        return { run in
            let words = run.raw(seed).assumingMemoryBound(to: UInt32.self)
            mk_dropout(run.pool, run.floats(x), run.floats(y), count, p, words, stream)
        }
    },
    "uniform": KernelBuilder { step in
        let (seed, y) = (try step.place(input: 0), try step.place(output: 0))
        let (count, stream) = (step.outputs[0].count, UInt32(truncatingIfNeeded: step.int("stream")))
        return { run in
            mk_uniform(run.pool, run.floats(y), count, run.raw(seed).assumingMemoryBound(to: UInt32.self), stream)
        }
    },
    "quantize_blocks": KernelBuilder { step in
        let (x, values) = (try step.place(input: 0), try step.place(input: 1))
        let (codes, scales) = (try step.place(output: 0), try step.place(output: 1))
        let (count, block) = (step.shape(0).reduce(1, *), step.int("block"))
        return { run in
            mk_quantize_blocks(
                run.pool, run.floats(x), run.floats(values), count, block, run.bytes(codes), run.floats(scales))
        }
    },
    "dequantize_blocks": KernelBuilder { step in
        let (codes, scales, values) = (try step.place(input: 0), try step.place(input: 1), try step.place(input: 2))
        let (y, count, block) = (try step.place(output: 0), step.shape(0).reduce(1, *), step.int("block"))
        return { run in
            mk_dequantize_blocks(
                run.pool, run.bytes(codes), run.floats(scales), run.floats(values), count, block, run.floats(y))
        }
    },
    "unfold": KernelBuilder { step in
        let (x, y, form) = (try step.place(input: 0), try step.place(output: 0), patches(step, step.shape(0)))
        return { run in
            var form = form
            mk_unfold(run.pool, run.floats(x), run.floats(y), &form)
        }
    },
    "fold": KernelBuilder { step in
        let (x, y, form) = (try step.place(input: 0), try step.place(output: 0), patches(step, step.ints("shape")))
        return { run in
            var form = form
            mk_fold(run.pool, run.floats(x), run.floats(y), &form)
        }
    },
]

/// The geometry of patches of [channels, length] or [channels, height, width].
private func patches(_ step: ScheduledStep, _ shape: [Int]) -> mk_patches {
    func pair(_ name: String, _ fallback: Int) -> (Int, Int) {
        let given = step.ints(name)
        return (given.first ?? fallback, given.count > 1 ? given[1] : fallback)
    }
    var form = mk_patches()
    form.channels = shape[0]
    form.height = shape[1]
    form.width = shape.count > 2 ? shape[2] : 1
    form.kernel = pair("kernel", 1)
    form.stride = pair("stride", 1)
    form.padding = pair("padding", 0)
    form.dilation = pair("dilation", 1)
    return form
}
