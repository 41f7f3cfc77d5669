import CPUKernels
import PluginKit

/// What a product's factors are rounded to, from the step's attribute and the weight's layout.
func activation(_ step: ScheduledStep, weight index: Int, backward: Bool = false) -> mk_activation {
    let layout = step.input(index)?.layout ?? ""
    switch step.string("activation") {
    case "f32": return MK_ACTIVATION_F32
    case "bf16": return MK_ACTIVATION_BF16
    case "int8" where !backward: return MK_ACTIVATION_INT8
    default:
        if layout.isEmpty || layout == "f32" { return MK_ACTIVATION_F32 }
        return backward || layout == "bf16" || layout == "f16" || step.string("activation") == "float"
            ? MK_ACTIVATION_BF16 : MK_ACTIVATION_INT8
    }
}

/// The largest scratch over the forms that a weight may come in: as imported, or plain.
func overForms(_ step: ScheduledStep, _ index: Int, _ size: (UnsafePointer<mk_weight>) -> Int) -> Int {
    guard let operand = step.input(index), operand.shape.count >= 2 else { return 0 }
    let (rows, columns) = (operand.shape[operand.shape.count - 2], operand.shape[operand.shape.count - 1])
    var weight = CPUWeight.plain(UnsafeRawPointer(bitPattern: 64).unsafelyUnwrapped, rows: rows, columns: columns)
    var most = size(&weight)
    if let layout = CPULayout(operand.layout) {
        weight = layout.describe(rows: rows, columns: columns, UnsafeRawPointer(bitPattern: 64))
        most = max(most, size(&weight))
        if mk_can_repack(&weight) {
            weight.repacked = true
            most = max(most, size(&weight))
        }
    }
    return most
}

let productBuilders: [String: KernelBuilder] = [
    "linear": KernelBuilder(
        scratch: { step, pool in
            let kind = activation(step, weight: 1)
            return overForms(step, 1) { mk_linear_scratch_bytes($0, step.shape(0).first ?? 0, kind, pool.threads) }
        }) { step in
            let (x, w, y) = (try step.place(input: 0), try step.place(input: 1), try step.place(output: 0))
            let bias = step.optionalPlace(input: 2)
            let (tokens, columns, rows) = (step.shape(0)[0], step.shape(0)[1], step.shape(1)[0])
            let (kind, scratch) = (activation(step, weight: 1), step.scratchPlace)
            return { run in
                var weight = run.weight(w, rows: rows, columns: columns)
                mk_linear(
                    run.pool, run.floats(x), columns, tokens, &weight, run.floats(bias), kind, run.floats(y), rows,
                    run.raw(scratch))
            }
        },
    "linear_backward_input": KernelBuilder(
        scratch: { step, pool in
            let kind = activation(step, weight: 1, backward: true)
            return overForms(step, 1) {
                mk_linear_backward_input_scratch_bytes($0, step.shape(0).first ?? 0, kind, 0, pool.threads)
            }
        }) { step in
            let (dy, w, dx) = (try step.place(input: 0), try step.place(input: 1), try step.place(output: 0))
            let (tokens, rows, columns) = (step.shape(0)[0], step.shape(1)[0], step.shape(1)[1])
            let (kind, scratch) = (activation(step, weight: 1, backward: true), step.scratchPlace)
            return { run in
                var weight = run.weight(w, rows: rows, columns: columns)
                mk_linear_backward_input(
                    run.pool, run.floats(dy), rows, tokens, &weight, nil, kind, false, run.floats(dx), columns,
                    run.raw(scratch))
            }
        },
    "low_rank_linear": KernelBuilder(
        scratch: { step, pool in
            let (kind, tokens, rank) = (activation(step, weight: 1), step.shape(0).first ?? 0, step.shape(2).last ?? 0)
            return overForms(step, 1) { mk_linear_low_rank_scratch_bytes($0, tokens, kind, rank, pool.threads) }
        }) { step in
            let (x, w, y) = (try step.place(input: 0), try step.place(input: 1), try step.place(output: 0))
            let (low, up, bias) = (try step.place(input: 2), try step.place(input: 3), step.optionalPlace(input: 4))
            let (tokens, columns, rows, rank) = (step.shape(0)[0], step.shape(0)[1], step.shape(1)[0], step.shape(2)[1])
            let (kind, scratch) = (activation(step, weight: 1), step.scratchPlace)
            return { run in
                var weight = run.weight(w, rows: rows, columns: columns)
                var beside = mk_low_rank(rank: rank, low: run.floats(low), up: run.floats(up), is_along_columns: false)
                mk_linear_low_rank(
                    run.pool, run.floats(x), columns, tokens, &weight, run.floats(bias), &beside, kind, run.floats(y),
                    rows, run.raw(scratch))
            }
        },
    "low_rank_linear_backward_input": KernelBuilder(
        scratch: { step, pool in
            let kind = activation(step, weight: 1, backward: true)
            let (tokens, rank) = (step.shape(0).first ?? 0, step.shape(2).last ?? 0)
            return overForms(step, 1) { mk_linear_backward_input_scratch_bytes($0, tokens, kind, rank, pool.threads) }
        }) { step in
            let (dy, w, dx) = (try step.place(input: 0), try step.place(input: 1), try step.place(output: 0))
            let (low, down) = (try step.place(input: 2), try step.place(input: 3))
            let (tokens, rows, columns, rank) = (step.shape(0)[0], step.shape(1)[0], step.shape(1)[1], step.shape(2)[1])
            let (kind, scratch) = (activation(step, weight: 1, backward: true), step.scratchPlace)
            return { run in
                var weight = run.weight(w, rows: rows, columns: columns)
                var beside = mk_low_rank(rank: rank, low: run.floats(low), up: run.floats(down), is_along_columns: true)
                mk_linear_backward_input(
                    run.pool, run.floats(dy), rows, tokens, &weight, &beside, kind, false, run.floats(dx), columns,
                    run.raw(scratch))
            }
        },
    "matmul": KernelBuilder(
        scratch: { step, pool in
            var gemm = matmul(step)
            return batches(step) == 1
                ? mk_gemm_scratch_bytes(&gemm, pool.threads) : mk_gemm_batched_scratch_bytes(&gemm, pool.threads)
        }) { step in
            let (a, b, c) = (try step.place(input: 0), try step.place(input: 1), try step.place(output: 0))
            let (shape, count, scratch) = (matmul(step), batches(step), step.scratchPlace)
            return { run in
                var gemm = shape
                gemm.a = UnsafePointer(run.floats(a))
                gemm.b = UnsafePointer(run.floats(b))
                gemm.c = run.floats(c)
                if count == 1 {
                    mk_gemm_f32(run.pool, &gemm, run.raw(scratch))
                } else {
                    mk_gemm_batched(
                        run.pool, &gemm, count, gemm.m * gemm.k, gemm.k * gemm.n, gemm.m * gemm.n, run.raw(scratch))
                }
            }
        },
]

private func batches(_ step: ScheduledStep) -> Int { step.shape(0).dropLast(2).reduce(1, *) }

private func matmul(_ step: ScheduledStep) -> mk_gemm {
    let (a, out) = (step.shape(0), step.outputs[0].shape)
    let (ta, tb) = (step.bool("transpose_a"), step.bool("transpose_b"))
    var gemm = mk_gemm()
    gemm.transpose_a = ta
    gemm.transpose_b = tb
    gemm.m = out[out.count - 2]
    gemm.n = out[out.count - 1]
    gemm.k = a[a.count - (ta ? 2 : 1)]
    gemm.alpha = 1
    gemm.lda = ta ? gemm.m : gemm.k
    gemm.ldb = tb ? gemm.k : gemm.n
    gemm.ldc = gemm.n
    gemm.factors = step.string("activation") == "bf16" ? MK_ACTIVATION_BF16 : MK_ACTIVATION_F32
    return gemm
}
