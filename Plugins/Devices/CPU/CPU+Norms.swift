import CPUKernels
import PluginKit

private func rows(_ shape: [Int]) -> (rows: Int, width: Int) {
    let width = shape.last ?? 1
    return (width == 0 ? 0 : shape.reduce(1, *) / width, width)
}

private func backwardScratch(_ step: ScheduledStep, _ pool: mk_pool) -> Int {
    let (count, width) = rows(step.shape(0))
    return mk_norm_scratch_bytes(count, width)
}

let normBuilders: [String: KernelBuilder] = [
    "rms_norm": KernelBuilder { step in
        let (x, w, y) = (try step.place(input: 0), try step.place(input: 1), try step.place(output: 0))
        let (count, width) = rows(step.shape(0))
        let (eps, offset) = (Float(step.float("eps")), Float(step.float("offset")))
        return { run in
            mk_rms_norm(run.pool, run.floats(x), nil, nil, run.floats(w), run.floats(y), count, width, eps, offset)
        }
    },
    "rms_norm_backward": KernelBuilder(scratch: backwardScratch) { step in
        let (dy, x, w) = (try step.place(input: 0), try step.place(input: 1), try step.place(input: 2))
        let (dx, dw) = (try step.place(output: 0), try step.place(output: 1))
        let (count, width) = rows(step.shape(0))
        let (eps, offset, scratch) = (Float(step.float("eps")), Float(step.float("offset")), step.scratchPlace)
        return { run in
            mk_rms_norm_backward(
                run.pool, run.floats(dy), run.floats(x), run.floats(w), run.floats(dx), run.floats(dw), count, width,
                eps,
                offset, run.raw(scratch))
        }
    },
    "layer_norm": KernelBuilder { step in
        let (x, w, y) = (try step.place(input: 0), try step.place(input: 1), try step.place(output: 0))
        let b = step.optionalPlace(input: 2)
        let (count, width) = rows(step.shape(0))
        let eps = Float(step.float("eps"))
        return { run in
            mk_layer_norm(run.pool, run.floats(x), run.floats(w), run.floats(b), run.floats(y), count, width, eps)
        }
    },
    "layer_norm_backward": KernelBuilder(scratch: backwardScratch) { step in
        let (dy, x, w) = (try step.place(input: 0), try step.place(input: 1), try step.place(input: 2))
        let (dx, dw, db) = (try step.place(output: 0), try step.place(output: 1), try step.place(output: 2))
        let (count, width) = rows(step.shape(0))
        let (eps, scratch) = (Float(step.float("eps")), step.scratchPlace)
        return { run in
            mk_layer_norm_backward(
                run.pool, run.floats(dy), run.floats(x), run.floats(w), run.floats(dx), run.floats(dw), run.floats(db),
                count,
                width, eps, run.raw(scratch))
        }
    },
    "rope": KernelBuilder { step in
        let (x, positions, frequencies) = (try step.place(input: 0), try step.place(input: 1), try step.place(input: 2))
        let y = try step.place(output: 0)
        let dims = step.shape(0)
        var shape = mk_rope_shape()
        shape.tokens = dims[0]
        shape.heads = dims[1]
        shape.width = dims[2]
        shape.pairs = step.shape(2).last ?? 0
        shape.frequency_stride = step.shape(2).count == 2 ? shape.pairs : 0
        shape.x_stride = dims[1] * dims[2]
        shape.y_stride = dims[1] * dims[2]
        shape.interleaved = step.bool("interleaved")
        shape.inverse = step.bool("inverse")
        shape.scale = Float(step.float("scale"))
        let form = shape
        let axes = step.ints("sections").enumerated().flatMap { [UInt8](repeating: UInt8($0), count: $1) }
        return { run in
            var shape = form
            axes.withUnsafeBufferPointer { axes in
                mk_rope(
                    run.pool, run.floats(x), run.ints(positions), axes.isEmpty ? nil : axes.baseAddress,
                    run.floats(frequencies), run.floats(y), &shape)
            }
        }
    },
]
