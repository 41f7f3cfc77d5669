import Graph

/// The optimizer's step over all trained tensors, and the length of their gradient.
final class UpdateProgram {
    private let norm: Program
    private let squares: Value
    private let step: Program
    private let device: Device
    private let normBuffers: [Value: DeviceBuffer]
    private let buffers: [Value: DeviceBuffer]
    private let scalars: [String: DeviceBuffer]

    init(_ engine: TrainingEngine) throws {
        let entries = engine.parameters.entries
        let device = engine.model.device
        self.device = device

        let normGraph = Graph()
        var normBuffers: [Value: DeviceBuffer] = [:]
        var parts: [Value] = []
        for entry in entries {
            let gradient = normGraph.input("gradient/\(entry.name)", ValueType(entry.shape))
            normBuffers[gradient] = entry.gradient
            let sum = try normGraph.emit("sum", [normGraph.emit("square", [gradient])[0]])[0]
            parts.append(try normGraph.emit("reshape", [sum], [("shape", .ints([1]))])[0])
        }
        squares = try normGraph.emit("sum", [normGraph.emit("concat", parts, [("axis", .int(0))])[0]])[0]
        norm = try Program(normGraph, outputs: [squares], device: device, arena: engine.arena)
        self.normBuffers = normBuffers

        let graph = Graph()
        graph.sharesSingleNumbers = true
        var scalars: [String: DeviceBuffer] = [:]
        var buffers: [Value: DeviceBuffer] = [:]
        func scalar(_ name: String) throws -> Value {
            let value = graph.input(name, ValueType([1]))
            let buffer = try device.allocate(4)
            scalars[name] = buffer
            buffers[value] = buffer
            return value
        }
        let stepNumber = try scalar("step")
        let scale = try scalar("scale")
        let decays = (try scalar("decay"), try graph.constant([0], [1]))
        var rates: [String: Value] = [:]
        for group in Set(entries.map(\.group)).sorted() { rates[group] = try scalar("rate/\(group)") }
        var updates: [(value: Value, over: Value)] = []
        for entry in entries {
            let type = ValueType(entry.shape)
            let parameter = graph.input(entry.name, type)
            let gradient = graph.input("gradient/\(entry.name)", type)
            let states = entry.states.map { graph.input("\(entry.name)/\($0.name)", $0.type) }
            buffers[parameter] = entry.value
            buffers[gradient] = entry.gradient
            for (value, state) in zip(states, entry.states) { buffers[value] = state.buffer }
            let result = try engine.optimizer.update(
                graph, name: entry.name, parameter: parameter, gradient: graph.emit("mul", [gradient, scale])[0],
                scalars: .init(
                    learningRate: rates[entry.group] ?? stepNumber, step: stepNumber,
                    weightDecay: entry.isDecayed ? decays.0 : decays.1), states: states)
            updates.append((result.parameter, parameter))
            updates += zip(result.states, states).map { (value: $0, over: $1) }
        }
        step = try Program(graph, outputs: [], updates: updates, device: device, arena: engine.arena)
        self.buffers = buffers
        self.scalars = scalars
    }

    func gradientNorm() throws -> Double {
        try norm.run { normBuffers[$0] }
        return Double(try norm.read(squares, as: Float.self)[0]).squareRoot()
    }

    func run(step number: Int, learningRates: [String: Double], weightDecay: Double, gradientScale: Double) throws {
        for (name, buffer) in scalars {
            switch name {
            case "step": try buffer.write([Float(number)])
            case "scale": try buffer.write([Float(gradientScale)])
            case "decay": try buffer.write([Float(weightDecay)])
            default: try buffer.write([Float(learningRates[String(name.dropFirst(5))] ?? learningRates[""] ?? 0)])
            }
        }
        try step.run { buffers[$0] }
    }
}
