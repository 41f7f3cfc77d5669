import CPUKernels
import PluginKit

/// Products of one x with several weights as one step: inputs x, then a weight and a bias (or none) for each output.
private struct LinearParts {
    private struct Part {
        let weight: Place
        let bias: Place?
        let y: Place
        let rows: Int
    }
    private let x: Place
    private let tokens, columns: Int
    private let parts: [Part]
    private let kinds: [mk_activation]
    private let scratch: Place

    init(_ step: ScheduledStep) throws {
        x = try step.place(input: 0)
        (tokens, columns) = (step.shape(0)[0], step.shape(0)[1])
        parts = try step.outputs.indices.map { part in
            Part(
                weight: try step.place(input: 1 + 2 * part), bias: step.optionalPlace(input: 2 + 2 * part),
                y: try step.place(output: part), rows: step.shape(1 + 2 * part)[0])
        }
        kinds = step.outputs.indices.map { activation(step, weight: 1 + 2 * $0) }
        scratch = step.scratchPlace
    }

    func multiply(_ run: Run) {
        withUnsafeTemporaryAllocation(of: mk_weight.self, capacity: parts.count) { weights in
            for (i, part) in parts.enumerated() {
                weights.initializeElement(at: i, to: run.weight(part.weight, rows: part.rows, columns: columns))
            }
            withUnsafeTemporaryAllocation(of: mk_linear_part.self, capacity: parts.count) { calls in
                for (i, part) in parts.enumerated() {
                    let call = mk_linear_part(
                        weight: weights.baseAddress.map { UnsafePointer($0 + i) }, bias: run.floats(part.bias),
                        y: run.floats(part.y), ldy: part.rows)
                    calls.initializeElement(at: i, to: call)
                }
                multiply(run, UnsafeBufferPointer(calls))
            }
        }
    }

    private func multiply(_ run: Run, _ calls: UnsafeBufferPointer<mk_linear_part>) {
        guard let first = calls.baseAddress else { return }
        // Parts that round x in different ways stay apart.
        let together = kinds.allSatisfy { $0 == kinds[0] } ? calls.count : 1
        for part in stride(from: 0, to: calls.count, by: together) {
            mk_linear_parts(
                run.pool, run.floats(x), columns, tokens, first + part, together, kinds[part], run.raw(scratch))
        }
    }
}

let linearPartsBuilders: [String: KernelBuilder] = [
    "linears": KernelBuilder(
        accepts: { ($0.shape(0).first ?? 0) <= Int(MK_LINEAR_FEW) },
        scratch: { step, pool in
            // In any of the forms that weights may come in; parts that share rounded values want less.
            step.outputs.indices.reduce(0) { sum, part in
                let kind = activation(step, weight: 1 + 2 * part)
                return sum
                    + overForms(step, 1 + 2 * part) {
                        mk_linear_scratch_bytes($0, step.shape(0).first ?? 0, kind, pool.threads)
                    }
            }
        }
    ) { step in
        let parts = try LinearParts(step)
        return { parts.multiply($0) }
    }
]
