import Graph
import Host
import JSON
import PluginAPI
import PluginKit

extension Case {
    static let quantizer = kindCase(
        "quantizer", MT_KIND_QUANTIZER,
        claim: "the plan is kept: the stated size is filled, not a byte beyond, and the error is within its bound"
    ) { component, _ in
        let suite = QuantizerSuite(component)
        guard let plan = try suite.plan() else { return }
        try suite.checkSize(plan)
        try Ask.together("quantize", times: 8) { try suite.quantize(plan, fill: 0) }
        try suite.checkError(plan)
    }
}

/// One weight, planned and quantized.
private struct QuantizerSuite {
    private let component: Component
    private let table: mt_quantizer_table
    private let rows = 8
    private let columns = 256
    private let name = "model.layers.0.self_attn.q_proj.weight"
    /// Numbers from -1 to 1, with a row of zeros and one whose sizes differ by far, as those of models do.
    private let weight: [Float]

    struct Plan {
        let layout: String
        let size: Int
        let statistics: [Float]?
        let bound: Double?
    }

    init(_ component: Component) {
        self.component = component
        table = component.table(mt_quantizer_table())
        var bench = Bench()
        let columns = columns
        weight = (0..<rows * columns).map { i in
            let number = Float(bench.draw())
            return i / columns == 3 ? 0 : i / columns == 5 ? number * number * number * 1e-3 : number
        }
    }

    /// Throws `Skip` where the suite's weight is left alone.
    func plan() throws -> Plan? {
        let shape = [Int64(rows), Int64(columns)]
        let answer = try Ask.json("plan") { sink, error in
            try Borrowed.lend("{}") { settings in
                try Borrowed.lend(name) { table.plan(component.context, settings, $0, shape, 2, sink, error) }
            }
        }
        guard let answer else { throw Skip(reason: "it has no default settings") }
        guard let size = answer["bytes"]?.int, let layout = answer["layout"]?.string else {
            throw Skip(reason: "it leaves the suite's weight alone")
        }
        guard 1...rows * columns * 8 ~= size else {
            throw Breach("plan states \(size) bytes for \(rows) by \(columns) weights")
        }
        let statistics: [Float]? =
            switch answer["statistics"]?.string {
            case "hessian": (0..<columns * columns).map { $0 % (columns + 1) == 0 ? 1 : 0 }
            case "magnitude": [Float](repeating: 1, count: columns)
            default: nil
            }
        return Plan(
            layout: layout, size: size, statistics: statistics, bound: answer["max_relative_error"]?.double)
    }

    /// The planned bytes and 64 behind them, which were `fill` before.
    func quantize(_ plan: Plan, fill: UInt8) throws -> [UInt8] {
        var out = [UInt8](repeating: fill, count: plan.size + 64)
        try Ask.demand("quantize") { error in
            try Borrowed.lend("{}") { settings in
                try Borrowed.lend(name) { name in
                    table.quantize(
                        component.context, settings, name, weight, Int64(rows), Int64(columns), plan.statistics, &out,
                        UInt64(plan.size), error)
                }
            }
        }
        return out
    }

    func checkSize(_ plan: Plan) throws {
        let (first, second) = (try quantize(plan, fill: 0xAA), try quantize(plan, fill: 0x55))
        if first[plan.size...].contains(where: { $0 != 0xAA }) || second[plan.size...].contains(where: { $0 != 0x55 }) {
            throw Breach("quantize wrote past the \(plan.size) bytes of its plan")
        }
        if let hole = (0..<plan.size).first(where: { first[$0] != second[$0] }) {
            throw Breach("quantize leaves byte \(hole) of the \(plan.size) that it planned as it was")
        }
    }

    /// What the processor's device reads back from the bytes, beside the weight.
    func checkError(_ plan: Plan) throws {
        guard let bound = plan.bound, let device = Self.processor,
            device.weightSize(layout: plan.layout, shape: [rows, columns]) != nil
        else { return }
        let bytes = Array(try quantize(plan, fill: 0).prefix(plan.size))
        let stored = try bytes.withUnsafeBytes {
            try device.importWeight(name: name, layout: plan.layout, shape: [rows, columns], parts: [$0])
        }
        let parameter = Parameter(name: name, shape: [rows, columns], layout: plan.layout)
        let graph = Graph()
        graph.resolveParameter = { _, _, _ in parameter }
        let matrix = try graph.parameter("/" + name, parameter.shape)
        let ids = graph.input("ids", ValueType([rows], .i32))
        let read = try graph.emit("embedding", [matrix, ids])[0]
        let program = try Program(graph, outputs: [read], device: device, arena: SharedArena(device: device))
        let buffers = [ids: try device.upload((0..<rows).map(Int32.init)), matrix: stored]
        try program.run { buffers[$0] }
        let found = try program.read(read, as: Float.self)
        let lost = zip(found, weight).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
        let error = lost / weight.reduce(0.0) { $0 + Double($1) * Double($1) }
        guard error <= bound else {
            throw Breach(
                "the mean squared error is \(error) of the weight's mean square, its plan says at most \(bound)")
        }
    }

    /// The processor's device, where the installation has it.
    private static var processor: Device? {
        guard let installation = try? Installation.standard() else { return nil }
        let registry = Registry(installation, services: .quiet)
        return (try? registry.component(kind: MT_KIND_DEVICE, id: "cpu")).flatMap { try? Device(component: $0) }
    }
}
