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
            for i in 0..<rows * k where indices[i] >= 0 && indices[i] < width { y[i / k * width + Int(indices[i])] += x[i] }
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
]
