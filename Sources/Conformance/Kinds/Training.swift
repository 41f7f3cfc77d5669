import Graph
import Host
import JSON
import PluginAPI
import PluginKit

extension Case {
    static let tuner = kindCase(
        "tuner", MT_KIND_TUNER,
        claim: "it starts as the frozen model, its gradient is right, and merging gives what applying gives"
    ) { component, _ in
        let table = component.table(mt_tuner_table())
        let context = component.context
        var bench = Bench()
        let (tokens, inWidth, outWidth) = (5, 12, 8)
        let x = bench.input("x", [tokens, inWidth])
        let weight = bench.input("weight", [outWidth, inWidth])
        let y = try bench.graph.emit("matmul", [x, weight], [("transpose_b", .bool(true))])[0]
        var site = mt_site()
        site.struct_size = UInt32(MemoryLayout<mt_site>.size)
        (site.in, site.out) = (Int64(inWidth), Int64(outWidth))
        site.name = Text.forever("model.layers.0.self_attn.q_proj")
        guard
            let wanted = try Ask.json(
                "parameters",
                { sink, error in
                    try Borrowed.lend("{}") { table.parameters(context, $0, &site, sink, error) }
                })?.array
        else { throw Skip(reason: "it has no default settings") }
        let shapes = site
        try Ask.together("\(component.id): parameters") {
            try Ask.bytes("parameters") { sink, error in
                withUnsafePointer(to: shapes) { site in
                    "{}".lent { table.parameters(context, $0, site, sink, error) }
                }
            }
        }
        (site.x, site.y, site.weight) = (bench.raw(x), bench.raw(y), bench.raw(weight))
        var trained: [Value] = []
        for tensor in wanted {
            guard let name = tensor["name"]?.string, let shape = tensor["shape"]?.array?.compactMap(\.int),
                !shape.isEmpty
            else {
                throw Breach("\(component.id): a trained tensor lacks its name or shape")
            }
            trained.append(bench.input(name, shape))
        }
        let list = trained.map { bench.raw($0) }
        func call(
            _ what: String,
            _ body: (mt_str, UnsafeMutablePointer<mt_value>, UnsafeMutablePointer<mt_error>) -> mt_status
        ) throws -> Value? {
            var out = mt_value()
            let isDone = try Ask.accepts(what) { error in try Borrowed.lend("{}") { body($0, &out, error) } }
            return isDone ? try bench.value(out) : nil
        }
        guard
            let tuned = try call(
                "apply", { table.apply(context, $0, bench.handle, &site, list, list.count, false, $1, $2) })
        else {
            throw Breach("\(component.id): apply refuses its own default settings")
        }
        guard bench.graph.shape(tuned) == [tokens, outWidth] else {
            throw Breach("\(component.id): y' is \(bench.graph.shape(tuned)), wanted [\(tokens), \(outWidth)]")
        }
        let loss = try bench.weightedSum(tuned)
        try bench.checkGradient(component.id, of: loss, trained)
        if let merged = try call("merge", { table.merge(context, $0, bench.handle, &site, list, list.count, $1, $2) }) {
            let direct = try bench.graph.emit("matmul", [x, merged], [("transpose_b", .bool(true))])[0]
            let results = try bench.values([tuned, direct])
            try Numbers.agree("\(component.id): applied and merged", results[0], results[1], tolerance: 1e-9)
        }
        // At their first values the trained tensors leave the model as it is. Zeros and ones are known; others are random.
        for (tensor, value) in zip(wanted, trained) {
            switch tensor["init"]?.string {
            case "zeros": bench.set(value, 0)
            case "ones": bench.set(value, 1)
            case "weight_norm":
                let w = bench.numbers[weight] ?? []
                bench.set(
                    value,
                    (0..<outWidth).map { row in
                        w[row * inWidth..<(row + 1) * inWidth].reduce(0) { $0 + $1 * $1 }.squareRoot()
                    })
            default: break
            }
        }
        let start = try bench.values([tuned, y])
        try Numbers.agree("\(component.id): the first y' and the frozen y", start[0], start[1], tolerance: 1e-9)
    }

    static let optimizer = kindCase(
        "optimizer", MT_KIND_OPTIMIZER, claim: "a rate of 0 moves nothing, and a step goes against the gradient"
    ) { component, _ in
        let table = component.table(mt_optimizer_table())
        let context = component.context
        for shape in [[6], [4, 3]] {
            var bench = Bench()
            let dims = shape.map(Int64.init)
            guard
                let states = try Ask.json(
                    "states",
                    { sink, error in
                        try Borrowed.lend("{}") { table.states(context, $0, dims, dims.count, sink, error) }
                    })?.array
            else { throw Skip(reason: "it has no default settings") }
            try Ask.together("\(component.id): states") {
                try Ask.bytes("states") { sink, error in
                    "{}".lent { table.states(context, $0, dims, dims.count, sink, error) }
                }
            }
            let parameter = bench.input("parameter", shape)
            let gradient = bench.input("gradient", shape)
            let rate = bench.input("learning_rate", [1], [0.01])
            let given = states.map { state in
                let shape = state["shape"]?.array?.compactMap(\.int) ?? []
                return bench.input(
                    state["name"]?.string ?? "", shape,
                    [Double](repeating: state["init"]?.double ?? 0, count: shape.reduce(1, *)))
            }
            var update = mt_update()
            update.struct_size = UInt32(MemoryLayout<mt_update>.size)
            update.state_count = UInt32(given.count)
            update.graph = bench.handle
            (update.parameter, update.gradient) = (bench.raw(parameter), bench.raw(gradient))
            update.learning_rate = bench.raw(rate)
            update.step = bench.raw(bench.input("step", [1], [1]))
            update.weight_decay = bench.raw(bench.input("weight_decay", [1], [0]))
            let list = given.map { bench.raw($0) }
            var out = mt_value()
            var next = [mt_value](repeating: mt_value(), count: given.count)
            try Ask.demand("update of a parameter \(shape)") { error in
                try Borrowed.lend("{}") { settings in
                    list.withUnsafeBufferPointer { list in
                        (update.settings, update.states) = (settings, list.baseAddress)
                        return table.update(context, &update, &out, &next, error)
                    }
                }
            }
            let moved = try bench.value(out)
            for (value, like) in try [(moved, parameter)] + zip(next.map { try bench.value($0) }, given)
            where bench.graph.shape(value) != bench.graph.shape(like) {
                throw Breach("\(component.id): the update of \(bench.graph.shape(like)) is \(bench.graph.shape(value))")
            }
            let results = try bench.values([moved, parameter, gradient] + next.map { try bench.value($0) })
            let slope = zip(zip(results[0], results[1]), results[2]).reduce(0.0) { $0 + ($1.0.0 - $1.0.1) * $1.1 }
            if slope >= 0 { throw Breach("\(component.id): a step from \(shape) goes along the gradient (\(slope))") }
            bench.set(rate, 0)
            let still = try bench.values([moved, parameter])
            try Numbers.agree(
                "\(component.id): the parameter after a step at rate 0", still[0], still[1], tolerance: 1e-12)
        }
    }

    static let alignment = kindCase(
        "alignment", MT_KIND_ALIGNMENT,
        claim: "the loss is one number, its gradient is right, and halves of a window add up"
    ) { component, _ in
        let table = component.table(mt_alignment_table())
        var needs: UInt32 = 0
        guard
            try Ask.accepts(
                "needs", { error in try Borrowed.lend("{}") { table.needs(component.context, $0, &needs, error) } })
        else { throw Skip(reason: "it has no default settings") }
        var bench = Bench()
        let (tokens, sequences) = (12, 4)
        let logps = bench.input("logps", [tokens], centre: -1.5)
        func perToken(_ name: String) -> Value { bench.input(name, [tokens], centre: -1.5) }
        func perSequence(_ name: String, centre: Double = -4) -> Value {
            bench.input(name, [sequences], centre: centre)
        }
        var objective = mt_objective()
        objective.struct_size = UInt32(MemoryLayout<mt_objective>.size)
        objective.graph = bench.handle
        objective.logps = bench.raw(logps)
        objective.weights = bench.raw(bench.input("weights", [tokens], [1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0]))
        let rows = (0..<tokens).map { Double($0 / 3) }
        objective.sequences = bench.raw(bench.input("sequences", [tokens], rows, .i32))
        let normalizer = bench.input("normalizer", [1], [8])
        objective.normalizer = bench.raw(normalizer)
        let sums = perSequence("sequence_logps")
        objective.sequence_logps = bench.raw(sums)
        objective.sequence_lengths = bench.raw(bench.input("sequence_lengths", [sequences], [2, 2, 2, 2]))
        if needs & MT_NEEDS_REFERENCE != 0 {
            objective.reference_logps = bench.raw(perToken("reference_logps"))
            objective.reference_sequence_logps = bench.raw(perSequence("reference_sequence_logps"))
        }
        if needs & MT_NEEDS_MISMATCHED != 0 {
            objective.mismatched_logps = bench.raw(perSequence("mismatched_logps"))
            objective.mismatched_reference_logps = bench.raw(perSequence("mismatched_reference_logps"))
        }
        if needs & MT_NEEDS_LABELS != 0 {
            objective.labels = bench.raw(bench.input("labels", [sequences], [1, 0, 1, 0]))
        }
        if needs & MT_NEEDS_REWARDS != 0 { objective.rewards = bench.raw(perSequence("rewards", centre: 0)) }
        if needs & MT_NEEDS_ROLLOUTS != 0 {
            objective.old_logps = bench.raw(perToken("old_logps"))
            objective.advantages = bench.raw(perSequence("advantages", centre: 0))
        }
        if needs & MT_NEEDS_VALUES != 0 {
            (objective.values, objective.old_values) = (
                bench.raw(perToken("values")), bench.raw(perToken("old_values"))
            )
            objective.returns = bench.raw(perToken("returns"))
        }
        if needs & MT_NEEDS_ENTROPY != 0 {
            objective.entropies = bench.raw(bench.input("entropies", [tokens], centre: 2))
        }
        let scores = perSequence("scores", centre: 0)
        if needs & MT_NEEDS_SCORES != 0 { objective.scores = bench.raw(scores) }
        var out = mt_value()
        try Ask.demand("loss") { error in
            try Borrowed.lend("{}") {
                objective.settings = $0
                return table.loss(component.context, &objective, &out, error)
            }
        }
        let loss = try bench.value(out)
        guard bench.graph.type(loss).count == 1 else {
            throw Breach("\(component.id): the loss is \(bench.graph.shape(loss)), wanted one number")
        }
        let whole = try bench.values([loss])[0][0]
        try bench.checkGradient(component.id, of: loss, [logps, sums, scores])
        bench.set(normalizer, 16)
        let half = try bench.values([loss])[0][0]
        try Numbers.agree(
            "\(component.id): half the loss, and the loss over a window of twice the size", [whole / 2], [half],
            tolerance: 1e-9)
    }
}

extension Bench {
    mutating func set(_ value: Value, _ number: Double) {
        set(value, [Double](repeating: number, count: graph.type(value).count))
    }
}

/// Comparison of lists of numbers.
enum Numbers {
    static func agree(_ what: String, _ found: [Double], _ wanted: [Double], tolerance: Double) throws {
        guard found.count == wanted.count else {
            throw Breach("\(what): \(found.count) numbers, wanted \(wanted.count)")
        }
        for (i, (a, b)) in zip(found, wanted).enumerated() where !(abs(a - b) <= tolerance * (1 + abs(b))) {
            throw Breach("\(what) differ at element \(i): \(a) and \(b)")
        }
    }
}
