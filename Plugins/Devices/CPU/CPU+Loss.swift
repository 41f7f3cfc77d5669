import CPUKernels
import PluginKit

/// What the products of a head round to: as told, or its own 16 bits, or nothing.
private func activation(_ step: ScheduledStep, _ head: Int) -> mk_activation {
    switch step.string("activation") {
    case "bf16": return MK_ACTIVATION_BF16
    case "f32": return MK_ACTIVATION_F32
    default: break
    }
    let layout = step.input(head)?.layout ?? ""
    return layout.isEmpty || layout == "f32" ? MK_ACTIVATION_F32 : MK_ACTIVATION_BF16
}

/// The form of a step whose hidden states are input `first`; the head, unless given, is filled in by the caller.
private func form(
    _ step: ScheduledStep, first: Int, head: UnsafePointer<mk_weight>?, bias: UnsafePointer<Float>? = nil
) -> mk_label_form {
    var form = mk_label_form()
    form.tokens = step.shape(first)[0]
    form.head = head
    form.bias = bias
    form.scale = Float(step.float("scale"))
    form.softcap = Float(step.float("softcap"))
    form.activation = activation(step, first + 1)
    return form
}

let lossBuilders: [String: KernelBuilder] = [
    "label_logprobs": KernelBuilder(
        scratch: { step, pool in
            var pool = pool
            return overForms(step, 1) { head in
                var form = form(step, first: 0, head: head)
                // Sizes alone count here.
                if step.bool("slopes") { form.slopes = UnsafeMutablePointer(bitPattern: 64) }
                return mk_label_logprobs_scratch_bytes(&pool, &form)
            }
        }) { step in
            let (hidden, head, labels) = (try step.place(input: 0), try step.place(input: 1), try step.place(input: 2))
            let bias = step.optionalPlace(input: 3)
            let outputs = try (0..<5).map { try step.place(output: $0) }
            let (rows, columns, tokens) = (step.shape(1)[0], step.shape(1)[1], step.shape(0)[0])
            let (wantsEntropy, wantsSlopes, scratch) = (step.bool("entropy"), step.bool("slopes"), step.scratchPlace)
            return { run in
                var weight = run.weight(head, rows: rows, columns: columns)
                withUnsafePointer(to: &weight) { weight in
                    var form = form(step, first: 0, head: weight, bias: run.floats(bias))
                    form.hits = run.floats(outputs[3])
                    if wantsSlopes { form.slopes = run.floats(outputs[4]) }
                    if !wantsEntropy { mk_fill(run.pool, run.floats(outputs[2]), 0, tokens) }
                    mk_label_logprobs(
                        run.pool, run.floats(hidden), run.ints(labels), run.floats(outputs[0]), run.floats(outputs[1]),
                        wantsEntropy ? run.floats(outputs[2]) : nil, &form, run.raw(scratch))
                }
            }
        },
    "label_logprobs_backward": KernelBuilder(
        scratch: { step, pool in
            var pool = pool
            return overForms(step, 2) { head in
                var form = form(step, first: 1, head: head)
                return mk_label_logprobs_backward_scratch_bytes(&pool, &form)
            }
        }) { step in
            let inputs = try (0..<5).map { try step.place(input: $0) }
            let optional = (5..<9).map { step.optionalPlace(input: $0) }
            let outputs = try (0..<3).map { try step.place(output: $0) }
            let (rows, columns) = (step.shape(2)[0], step.shape(2)[1])
            let (wantsHead, wantsBias) = (step.bool("head_gradient"), step.bool("bias_gradient"))
            let scratch = step.scratchPlace
            return { run in
                var weight = run.weight(inputs[2], rows: rows, columns: columns)
                withUnsafePointer(to: &weight) { weight in
                    var form = form(step, first: 1, head: weight, bias: run.floats(optional[0]))
                    var upstream = mk_label_upstream(
                        dlogp: run.floats(inputs[0]), dlse: run.floats(optional[1]),
                        dentropy: run.floats(optional[2]), entropy: run.floats(optional[3]))
                    mk_label_logprobs_backward(
                        run.pool, &upstream, run.floats(inputs[1]), run.ints(inputs[3]), run.floats(inputs[4]),
                        run.floats(outputs[0]), wantsHead ? run.floats(outputs[1]) : nil,
                        wantsBias ? run.floats(outputs[2]) : nil, false, &form, run.raw(scratch))
                }
            }
        },
]
