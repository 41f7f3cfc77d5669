import CPUKernels
import PluginKit

/// What the factors are rounded to, from the stacked weight's layout.
private func activation(_ step: ScheduledStep, backward: Bool = false) -> mk_activation {
    switch step.input(2)?.layout ?? "" {
    case "", "f32": return MK_ACTIVATION_F32
    case "bf16", "f16": return MK_ACTIVATION_BF16
    default: return backward ? MK_ACTIVATION_BF16 : MK_ACTIVATION_INT8
    }
}

/// The rows' routing without its experts, and the stacked weight of the step in its layout without its memory.
private func sizes(_ step: ScheduledStep, repacked: Bool) -> (mk_routing, mk_weight) {
    var routing = mk_routing()
    routing.rows = step.shape(0)[0]
    routing.experts = step.shape(2)[0]
    let (rows, columns) = (step.shape(2)[0] * step.shape(2)[1], step.shape(2)[2])
    var weight =
        CPULayout(step.input(2)?.layout ?? "")?.describe(rows: rows, columns: columns, nil)
        ?? CPUWeight.plain(UnsafeRawPointer(bitPattern: 64).unsafelyUnwrapped, rows: rows, columns: columns)
    weight.repacked = repacked && mk_can_repack(&weight)
    return (routing, weight)
}

/// The larger scratch of the two forms that the weight may come in.
private func scratch(
    _ step: ScheduledStep, _ size: (UnsafePointer<mk_routing>, UnsafePointer<mk_weight>) -> Int
) -> Int {
    [false, true].map { repacked in
        var (routing, weight) = sizes(step, repacked: repacked)
        return size(&routing, &weight)
    }.max() ?? 0
}

/// Rows through experts of their own, and their gradients.
let expertBuilders: [String: KernelBuilder] = [
    "expert_linear": KernelBuilder(
        scratch: { step, pool in
            let kind = activation(step)
            return scratch(step) { mk_expert_linear_scratch_bytes($0, $1, kind, pool.threads) }
        }) { step in
            let (x, expert, w) = (try step.place(input: 0), try step.place(input: 1), try step.place(input: 2))
            let (y, scratch, kind) = (try step.place(output: 0), step.scratchPlace, activation(step))
            let (routing, shape) = (sizes(step, repacked: false).0, step.shape(2))
            return { run in
                var routing = routing
                routing.expert = UnsafePointer(run.ints(expert))
                var weight = run.stackedWeight(w, experts: shape[0], rows: shape[1], columns: shape[2])
                mk_expert_linear(
                    run.pool, run.floats(x), shape[2], &routing, &weight, nil, kind, run.floats(y), shape[1],
                    run.raw(scratch))
            }
        },
    "expert_linear_backward_input": KernelBuilder(
        scratch: { step, pool in
            let kind = activation(step, backward: true)
            return scratch(step) { mk_expert_linear_backward_input_scratch_bytes($0, $1, kind, pool.threads) }
        }) { step in
            let (dy, expert, w) = (try step.place(input: 0), try step.place(input: 1), try step.place(input: 2))
            let (dx, scratch, kind) = (try step.place(output: 0), step.scratchPlace, activation(step, backward: true))
            let (routing, shape) = (sizes(step, repacked: false).0, step.shape(2))
            return { run in
                var routing = routing
                routing.expert = UnsafePointer(run.ints(expert))
                var weight = run.stackedWeight(w, experts: shape[0], rows: shape[1], columns: shape[2])
                mk_expert_linear_backward_input(
                    run.pool, run.floats(dy), shape[1], &routing, &weight, kind, run.floats(dx), shape[2],
                    run.raw(scratch))
            }
        },
    "expert_outer": KernelBuilder(
        scratch: { step, pool in
            var routing = outerRouting(step)
            return mk_expert_outer_scratch_bytes(
                &routing, step.shape(0)[1], step.shape(1)[1], MK_ACTIVATION_F32, pool.threads)
        }) { step in
            let (dy, x, expert) = (try step.place(input: 0), try step.place(input: 1), try step.place(input: 2))
            let (dw, scratch, routing) = (try step.place(output: 0), step.scratchPlace, outerRouting(step))
            let (n, k) = (step.shape(0)[1], step.shape(1)[1])
            return { run in
                var routing = routing
                routing.expert = UnsafePointer(run.ints(expert))
                mk_expert_outer(
                    run.pool, run.floats(dy), n, n, run.floats(x), k, k, &routing, 0, MK_ACTIVATION_F32, run.floats(dw),
                    run.raw(scratch))
            }
        },
]

private func outerRouting(_ step: ScheduledStep) -> mk_routing {
    var routing = mk_routing()
    routing.rows = step.shape(0)[0]
    routing.experts = step.int("experts")
    return routing
}
