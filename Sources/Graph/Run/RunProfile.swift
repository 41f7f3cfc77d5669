import Synchronization

/// What the steps of programs took, gathered by op and shape while it is a device's `profile`.
package final class RunProfile: Sendable {
    /// Steps of one op over one shape.
    package struct Entry: Sendable {
        package let op: String
        package let shape: String
        /// Of one run.
        package let work: StepWork
        package fileprivate(set) var runs = 0
        package fileprivate(set) var seconds = 0.0
        /// Seconds of the fastest run: without what first runs spend on new memory.
        package fileprivate(set) var fastest = Double.infinity
    }

    private let gathered = Mutex<[String: Entry]>([:])

    package init() {}

    /// What was gathered, the longest first.
    package var entries: [Entry] {
        gathered.withLock { $0.values.sorted { ($1.seconds, $0.op, $0.shape) < ($0.seconds, $1.op, $1.shape) } }
    }

    /// What a step is gathered under.
    struct Key: Sendable {
        let op, shape: String
        let work: StepWork

        init(_ step: Step, graph: Graph) {
            var ops: String?
            for case ("ops", .string(let names)) in step.attributes { ops = names }
            op = ops.map { $0.split(separator: " ").joined(separator: "+") } ?? step.op
            work = StepWork(step, graph: graph)
            let sizes = work.sizes.isEmpty ? step.outputs.first.map { graph.shape($0) } ?? [] : work.sizes
            let layout = step.inputs.lazy.compactMap { graph.parameter($0)?.layout }.first { $0 != "f32" }
            shape = sizes.map(String.init).joined(separator: " x ") + (layout.map { " \($0)" } ?? "")
        }
    }

    func add(_ key: Key, seconds: Double) {
        let name = "\(key.op) \(key.shape)"
        gathered.withLock {
            var entry = $0[name] ?? Entry(op: key.op, shape: key.shape, work: key.work)
            entry.runs += 1
            entry.seconds += seconds
            entry.fastest = min(entry.fastest, seconds)
            $0[name] = entry
        }
    }
}

/// What a step has to do at least, to hold its time against what the machine can do.
package struct StepWork: Sendable {
    /// Multiplications and additions of a matrix product, or 0.
    package private(set) var operations = 0.0
    /// What the product's factors are rounded to: "f32", "bf16" or "int8".
    package private(set) var factors = "f32"
    /// Read and written once each.
    package private(set) var bytes = 0.0
    /// Of a product: rows, columns, inner size.
    let sizes: [Int]

    init(_ step: Step, graph: Graph) {
        bytes = (step.inputs + step.outputs).reduce(0) { $0 + ($1.isNone ? 0 : Double(graph.type($1).byteCount)) }
        func shape(_ index: Int) -> [Int] { index < step.inputs.count ? graph.shape(step.inputs[index]) : [] }
        var activation = "auto"
        var flags: Set<String> = []
        for (name, value) in step.attributes {
            if case ("activation", .string(let text)) = (name, value) { activation = text }
            if case .bool(true) = value { flags.insert(name) }
        }
        let out = step.outputs.first.map { graph.shape($0) } ?? []
        /// Products over the same sizes.
        var products = 1.0
        var weight: Int?
        switch step.op {
        case "linear", "linear_backward_input", "low_rank_linear", "low_rank_linear_backward_input":
            sizes = [shape(0)[0], shape(1)[0], shape(1)[1]]
            weight = 1
        case "label_logprobs":
            sizes = [shape(0)[0], shape(1)[0], shape(1)[1]]
            products = flags.contains("slopes") ? 2 : 1
            weight = 1
        case "label_logprobs_backward":
            sizes = [shape(1)[0], shape(2)[0], shape(2)[1]]
            products = flags.contains("head_gradient") ? 3 : 2
            weight = 2
        case "matmul":
            let inner = shape(0)[shape(0).count - (flags.contains("transpose_a") ? 2 : 1)]
            sizes = out + [inner]
        default: sizes = []
        }
        operations = sizes.isEmpty ? 0 : 2 * products * sizes.reduce(1) { $0 * Double($1) }
        let layout = weight.flatMap { graph.parameter(step.inputs[$0])?.layout } ?? "f32"
        switch activation {
        case "f32", "bf16", "int8": factors = activation
        default:
            let isDense = ["f32", "bf16", "f16"].contains(layout)
            factors =
                layout == "f32"
                ? "f32" : isDense || activation == "float" || step.op.hasSuffix("input") ? "bf16" : "int8"
        }
    }
}
