import CPUKernels
import PluginKit

/// The geometry of attention whose q is input `first` of the step; segments are filled in when it runs.
private func attentionShape(_ step: ScheduledStep, from first: Int) -> mk_attention_shape {
    let (q, k, v) = (step.shape(first), step.shape(first + 1), step.shape(first + 2))
    var shape = mk_attention_shape()
    shape.query_tokens = q[0]
    shape.key_tokens = k[0]
    shape.query_heads = q[1]
    shape.kv_heads = k[1]
    shape.width = q[2]
    shape.value_width = v[2]
    shape.segments = max(0, step.shape(first + 3)[0] - 1)
    shape.scale = Float(step.float("scale"))
    shape.softcap = Float(step.float("softcap"))
    shape.window = Int32(step.int("window"))
    shape.causal = step.bool("causal")
    shape.precision = step.string("activation") == "bf16" ? MK_PRECISION_BF16 : MK_PRECISION_F32
    return shape
}

let attentionBuilders: [String: KernelBuilder] = [
    "attention": KernelBuilder(
        scratch: { step, pool in
            var (shape, pool) = (attentionShape(step, from: 0), pool)
            return mk_attention_scratch_bytes(&pool, &shape)
        }) { step in
            let inputs = try (0..<5).map { try step.place(input: $0) }
            let sinks = step.optionalPlace(input: 5)
            let (out, lse) = (try step.place(output: 0), try step.place(output: 1))
            let (form, scratch) = (attentionShape(step, from: 0), step.scratchPlace)
            return { run in
                var shape = form
                shape.q_segments = UnsafePointer(run.ints(inputs[3]))
                shape.k_segments = UnsafePointer(run.ints(inputs[4]))
                mk_attention(
                    run.pool, run.floats(inputs[0]), run.floats(inputs[1]), run.floats(inputs[2]), run.floats(sinks),
                    run.floats(out), run.floats(lse), &shape, run.raw(scratch))
            }
        },
    "attention_backward": KernelBuilder(
        scratch: { step, pool in
            var (shape, pool) = (attentionShape(step, from: 1), pool)
            return mk_attention_backward_scratch_bytes(&pool, &shape)
        }) { step in
            let inputs = try (0..<6).map { try step.place(input: $0) }
            let sinks = step.optionalPlace(input: 8)
            let (out, lse) = (try step.place(input: 6), try step.place(input: 7))
            let gradients = try (0..<4).map { try step.place(output: $0) }
            let (form, scratch) = (attentionShape(step, from: 1), step.scratchPlace)
            return { run in
                var shape = form
                shape.q_segments = UnsafePointer(run.ints(inputs[4]))
                shape.k_segments = UnsafePointer(run.ints(inputs[5]))
                mk_attention_backward(
                    run.pool, run.floats(inputs[0]), run.floats(inputs[1]), run.floats(inputs[2]),
                    run.floats(inputs[3]),
                    run.floats(sinks), run.floats(out), run.floats(lse), run.floats(gradients[0]),
                    run.floats(gradients[1]),
                    run.floats(gradients[2]), sinks == nil ? nil : run.floats(gradients[3]), &shape, run.raw(scratch))
            }
        },
    "attention_paged": KernelBuilder(
        scratch: { step, pool in
            var (shape, pool) = (pagedShape(step), pool)
            return mk_attention_paged_scratch_bytes(&pool, &shape)
        }) { step in
            let inputs = try (0..<9).map { try step.place(input: $0) }
            let sinks = step.optionalPlace(input: 9)
            let out = try step.place(output: 0)
            let (form, scratch) = (pagedShape(step), step.scratchPlace)
            return { run in
                var shape = form
                shape.slots = UnsafePointer(run.ints(inputs[5]))
                shape.q_segments = UnsafePointer(run.ints(inputs[6]))
                shape.context = UnsafePointer(run.ints(inputs[7]))
                shape.block_table = UnsafePointer(run.ints(inputs[8]))
                // The runner checks slots and tables before it calls; a refusal leaves the output as zeros.
                let isDone = mk_attention_paged(
                    run.pool, run.floats(inputs[0]), run.floats(inputs[1]), run.floats(inputs[2]), run.raw(inputs[3]),
                    run.raw(inputs[4]), run.floats(sinks), run.floats(out), &shape, run.raw(scratch))
                if !isDone {
                    mk_fill(run.pool, run.floats(out), 0, shape.tokens * shape.query_heads * shape.value_width)
                }
            }
        },
]

/// The geometry of attention over a paged cache; the cache is [blocks, kv heads, block size, width].
private func pagedShape(_ step: ScheduledStep) -> mk_paged_shape {
    let (q, k, v, cache) = (step.shape(0), step.shape(1), step.shape(2), step.shape(3))
    var shape = mk_paged_shape()
    shape.tokens = q[0]
    shape.query_heads = q[1]
    shape.kv_heads = k[1]
    shape.width = q[2]
    shape.value_width = v[2]
    shape.segments = max(0, step.shape(6)[0] - 1)
    shape.table_stride = step.shape(8)[1]
    shape.blocks = cache[0]
    shape.block_size = step.int("block_size")
    shape.cache_type = step.input(3).map { elementType($0.type) } ?? MK_DTYPE_F32
    shape.scale = Float(step.float("scale"))
    shape.softcap = Float(step.float("softcap"))
    shape.window = Int32(step.int("window"))
    shape.precision = shape.cache_type == MK_DTYPE_BF16 ? MK_PRECISION_BF16 : MK_PRECISION_F32
    return shape
}
