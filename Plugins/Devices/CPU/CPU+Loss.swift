import CPUKernels
import PluginKit

/// Log-probabilities of labels in chunks of tokens: logits of a chunk live in scratch, and nothing of [T, V] does.
private struct LogitChunks {
    let tokens, width, vocabulary, chunk: Int
    let scale, softcap: Float
    let activation: mk_activation
    let hidden, head, labels: Place
    let bias: Place?
    let scratch: Place

    /// Bytes of logits that a chunk may take.
    private static let budget = 32 << 20

    static func chunk(tokens: Int, vocabulary: Int) -> Int {
        min(max(16, budget / max(1, 4 * vocabulary)), max(1, tokens))
    }

    /// - Parameters:
    ///   - first: Which input is the hidden states; head and labels follow.
    ///   - bias: Which input is the bias.
    init(_ step: ScheduledStep, first: Int, bias: Int) throws {
        tokens = step.shape(first)[0]
        width = step.shape(first)[1]
        vocabulary = step.shape(first + 1)[0]
        chunk = Self.chunk(tokens: tokens, vocabulary: vocabulary)
        scale = Float(step.float("scale"))
        softcap = Float(step.float("softcap"))
        activation = headActivation(step, first + 1)
        hidden = try step.place(input: first)
        head = try step.place(input: first + 1)
        labels = try step.place(input: first + 2)
        self.bias = step.optionalPlace(input: bias)
        scratch = step.scratchPlace
    }

    /// Bytes of a chunk's logits, rounded to the kernels' alignment.
    var logitBytes: Int { (chunk * vocabulary * 4 + 63) / 64 * 64 }

    /// Calls `body` with each chunk's first token, its number of tokens and its capped logits.
    func forEach(_ run: Run, _ body: (Int, Int, UnsafeMutablePointer<Float>) -> Void) {
        var weight = run.weight(head, rows: vocabulary, columns: width)
        let logits = run.floats(scratch)
        for first in stride(from: 0, to: tokens, by: chunk) {
            let count = min(chunk, tokens - first)
            mk_linear(
                run.pool, run.floats(hidden) + first * width, width, count, &weight, nil, activation, logits, vocabulary,
                run.raw(scratch) + logitBytes)
            Elementwise.logits(run, logits, count, vocabulary, scale: scale, bias: run.floats(bias), softcap: softcap)
            body(first, count, logits)
        }
    }
}

private func headActivation(_ step: ScheduledStep, _ head: Int) -> mk_activation {
    let layout = step.input(head)?.layout ?? ""
    return layout.isEmpty || layout == "f32" ? MK_ACTIVATION_F32 : MK_ACTIVATION_BF16
}

private func scratch(_ step: ScheduledStep, _ pool: mk_pool, first: Int, backward: Bool) -> Int {
    guard let vocabulary = step.shape(first + 1).first, let tokens = step.shape(first).first else { return 0 }
    let chunk = LogitChunks.chunk(tokens: tokens, vocabulary: vocabulary)
    let logits = (chunk * vocabulary * 4 + 63) / 64 * 64
    let kind = headActivation(step, first + 1)
    let products = overForms(step, first + 1) { weight in
        let forward = mk_linear_scratch_bytes(weight, chunk, kind, pool.threads)
        return backward ? max(forward, mk_linear_backward_input_scratch_bytes(weight, chunk, kind, pool.threads)) : forward
    }
    var outer = 0
    if backward, step.bool("head_gradient") {
        var gemm = headGradient(rows: vocabulary, width: step.shape(first)[1], tokens: chunk)
        outer = mk_gemm_scratch_bytes(&gemm, pool.threads)
    }
    return logits + max(products, outer) + 64
}

/// dhead += dlogitsᵀ hidden.
private func headGradient(rows: Int, width: Int, tokens: Int) -> mk_gemm {
    var gemm = mk_gemm()
    gemm.transpose_a = true
    gemm.m = rows
    gemm.n = width
    gemm.k = tokens
    gemm.alpha = 1
    gemm.beta = 1
    gemm.lda = rows
    gemm.ldb = width
    gemm.ldc = width
    gemm.factors = MK_ACTIVATION_F32
    return gemm
}

let lossBuilders: [String: KernelBuilder] = [
    "label_logprobs": KernelBuilder(scratch: { scratch($0, $1, first: 0, backward: false) }) { step in
        let chunks = try LogitChunks(step, first: 0, bias: 3)
        let outputs = try (0..<3).map { try step.place(output: $0) }
        let wantsEntropy = step.bool("entropy")
        return { run in
            let (logp, lse, entropy) = (run.floats(outputs[0]), run.floats(outputs[1]), run.floats(outputs[2]))
            let labels = run.ints(chunks.labels)
            let vocabulary = chunks.vocabulary
            chunks.forEach(run) { first, count, logits in
                mk_logsumexp(run.pool, logits, lse + first, count, vocabulary)
                for i in 0..<count {
                    let t = first + i
                    let label = Int(labels[t])
                    guard label >= 0, label < vocabulary else {
                        (logp[t], lse[t], entropy[t]) = (0, 0, 0)
                        continue
                    }
                    logp[t] = logits[i * vocabulary + label] - lse[t]
                }
                guard wantsEntropy else { return entropy.advanced(by: first).update(repeating: 0, count: count) }
                Elementwise.entropy(run, logits, lse + first, entropy + first, labels + first, count, vocabulary)
            }
        }
    },
    "label_logprobs_backward": KernelBuilder(scratch: { scratch($0, $1, first: 1, backward: true) }) { step in
        let chunks = try LogitChunks(step, first: 1, bias: 5)
        let (dlogp, lse) = (try step.place(input: 0), try step.place(input: 4))
        let (dhidden, dhead) = (try step.place(output: 0), try step.place(output: 1))
        let wantsHead = step.bool("head_gradient")
        return { run in
            let (dlogp, lse, labels) = (run.floats(dlogp), run.floats(lse), run.ints(chunks.labels))
            let (vocabulary, width) = (chunks.vocabulary, chunks.width)
            var weight = run.weight(chunks.head, rows: vocabulary, columns: width)
            if wantsHead { mk_fill(run.pool, run.floats(dhead), 0, vocabulary * width) }
            chunks.forEach(run) { first, count, logits in
                Elementwise.logitGradient(
                    run, logits, lse + first, dlogp + first, labels + first, count, vocabulary, scale: chunks.scale,
                    softcap: chunks.softcap)
                mk_linear_backward_input(
                    run.pool, logits, vocabulary, count, &weight, chunks.activation, run.floats(dhidden) + first * width, width,
                    run.raw(chunks.scratch) + chunks.logitBytes)
                if wantsHead {
                    var gemm = headGradient(rows: vocabulary, width: width, tokens: count)
                    gemm.a = UnsafePointer(logits)
                    gemm.b = UnsafePointer(run.floats(chunks.hidden) + first * width)
                    gemm.c = run.floats(dhead)
                    mk_gemm_f32(run.pool, &gemm, run.raw(chunks.scratch) + chunks.logitBytes)
                }
            }
        }
    },
]

/// Elementwise work on a chunk of logits [rows, vocabulary], as programs of the elementwise machine.
private enum Elementwise {
    private typealias Operand = (data: UnsafeMutablePointer<Float>, row: Int, column: Int)

    private static func instruction(_ op: mk_ew_op, _ to: Int, _ a: Int, _ b: Int = 0, value: Float = 0) -> mk_ew_instruction {
        mk_ew_instruction(op: UInt8(op.rawValue), to: UInt8(to), a: UInt8(a), b: UInt8(b), c: 0, value: value)
    }

    private static func execute(
        _ run: Run, _ code: [mk_ew_instruction], inputs: [Operand], output: (Operand, register: Int), rows: Int, width: Int
    ) {
        func operand(_ value: Operand, _ register: Int) -> mk_ew_operand {
            var out = mk_ew_operand()
            out.data = UnsafeMutableRawPointer(value.data)
            out.type = MK_DTYPE_F32
            out.reg = UInt8(register)
            out.strides.0 = Int64(value.row)
            out.strides.1 = Int64(value.column)
            return out
        }
        let given = inputs.enumerated().map { operand($1, $0) }
        var result = operand(output.0, output.register)
        var program = mk_ew_program()
        program.rank = 2
        program.shape.0 = Int64(rows)
        program.shape.1 = Int64(width)
        program.code_count = code.count
        program.input_count = given.count
        program.output_count = 1
        code.withUnsafeBufferPointer { code in
            given.withUnsafeBufferPointer { given in
                withUnsafePointer(to: &result) { result in
                    program.code = code.baseAddress
                    program.inputs = given.baseAddress
                    program.outputs = result
                    _ = mk_ew_run(run.pool, &program)
                }
            }
        }
    }

    /// x = cap(scale · x + bias), in place.
    static func logits(
        _ run: Run, _ x: UnsafeMutablePointer<Float>, _ rows: Int, _ width: Int, scale: Float,
        bias: UnsafeMutablePointer<Float>?, softcap: Float
    ) {
        guard scale != 1 || bias != nil || softcap > 0 else { return }
        var code = [instruction(MK_EW_SCALE, 2, 0, value: scale)]
        if bias != nil { code.append(instruction(MK_EW_ADD, 2, 2, 1)) }
        if softcap > 0 {
            code += [
                instruction(MK_EW_SCALE, 2, 2, value: 1 / softcap), instruction(MK_EW_TANH, 2, 2),
                instruction(MK_EW_SCALE, 2, 2, value: softcap),
            ]
        }
        execute(
            run, code, inputs: [(x, width, 1), (bias ?? x, bias == nil ? width : 0, 1)], output: ((x, width, 1), 2), rows: rows,
            width: width)
    }

    /// entropy = lse - Σ e^(x - lse) x, for rows that have a label.
    static func entropy(
        _ run: Run, _ x: UnsafeMutablePointer<Float>, _ lse: UnsafeMutablePointer<Float>,
        _ entropy: UnsafeMutablePointer<Float>, _ labels: UnsafeMutablePointer<Int32>, _ rows: Int, _ width: Int
    ) {
        execute(
            run,
            [instruction(MK_EW_SUB, 2, 0, 1), instruction(MK_EW_EXP, 2, 2), instruction(MK_EW_MUL, 2, 2, 0)],
            inputs: [(x, width, 1), (lse, 1, 0)], output: ((x, width, 1), 2), rows: rows, width: width)
        for i in 0..<rows where labels[i] >= 0 && Int(labels[i]) < width {
            var sum = 0.0
            for v in i * width..<(i + 1) * width { sum += Double(x[v]) }
            entropy[i] = Float(Double(lse[i]) - sum)
        }
    }

    /// x = d loss / d dot product, in place: dlogp (1{label} - e^(x - lse)) times the slope of scale and cap.
    static func logitGradient(
        _ run: Run, _ x: UnsafeMutablePointer<Float>, _ lse: UnsafeMutablePointer<Float>,
        _ dlogp: UnsafeMutablePointer<Float>, _ labels: UnsafeMutablePointer<Int32>, _ rows: Int, _ width: Int,
        scale: Float, softcap: Float
    ) {
        func slope(_ capped: Float) -> Float {
            softcap > 0 ? scale * (1 - (capped / softcap) * (capped / softcap)) : scale
        }
        let own = (0..<rows).map { i -> Float in
            let label = Int(labels[i])
            return label >= 0 && label < width ? slope(x[i * width + label]) * dlogp[i] : 0
        }
        var code = [
            instruction(MK_EW_SUB, 3, 0, 1), instruction(MK_EW_EXP, 3, 3), instruction(MK_EW_MUL, 3, 3, 2),
            instruction(MK_EW_SCALE, 3, 3, value: -scale),
        ]
        if softcap > 0 {
            code += [
                instruction(MK_EW_SCALE, 4, 0, value: 1 / softcap), instruction(MK_EW_SQUARE, 4, 4),
                instruction(MK_EW_NEG, 4, 4), instruction(MK_EW_ADD_SCALAR, 4, 4, value: 1), instruction(MK_EW_MUL, 3, 3, 4),
            ]
        }
        execute(
            run, code, inputs: [(x, width, 1), (lse, 1, 0), (dlogp, 1, 0)], output: ((x, width, 1), 3), rows: rows, width: width)
        for i in 0..<rows {
            let label = Int(labels[i])
            if label >= 0, label < width {
                x[i * width + label] += own[i]
            } else {
                (x + i * width).update(repeating: 0, count: width)
            }
        }
    }
}
