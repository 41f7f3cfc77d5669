import Graph
import PluginAPI
import PluginKit
import Random

/// A graph with numbers for its inputs, in which a plugin builds and whose meaning is taken from the ops' references, in
/// double precision. The same numbers come in every run.
struct Bench {
    let graph = Graph()
    private(set) var numbers: [Value: [Double]] = [:]
    private var drawn: UInt64 = 0

    /// A number from -1 to 1.
    mutating func draw() -> Double {
        drawn += 1
        return Double(Philox.block(seed: 11, stream: 0, counter: drawn).0) * 0x1p-31 - 1
    }

    /// An input of random numbers `centre` ± `spread`.
    mutating func input(_ name: String, _ shape: [Int], centre: Double = 0, spread: Double = 1) -> Value {
        let value = graph.input(name, ValueType(shape))
        fill(value, centre: centre, spread: spread)
        return value
    }

    mutating func input(_ name: String, _ shape: [Int], _ given: [Double], _ type: ElementType = .f32) -> Value {
        let value = graph.input(name, ValueType(shape, type))
        numbers[value] = given
        return value
    }

    mutating func set(_ value: Value, _ given: [Double]) { numbers[value] = given }

    mutating func fill(_ value: Value, centre: Double = 0, spread: Double = 1) {
        numbers[value] = (0..<graph.type(value).count).map { _ in centre + spread * draw() }
    }

    /// Random numbers for every parameter: vectors around 1, as norms want them; matrices small.
    mutating func fillParameters() -> [Value] {
        let parameters = graph.parameters.sorted { $0.key < $1.key }.map(\.value).filter { graph.parameter($0) != nil }
        for value in parameters {
            if graph.shape(value).count == 1 { fill(value, centre: 1, spread: 0.2) } else { fill(value, spread: 0.4) }
        }
        return parameters
    }

    /// The elements of `outputs`, with some inputs moved along directions.
    func values(_ outputs: [Value], moving: [Value: [Double]] = [:], by step: Double = 0) throws -> [[Double]] {
        var run = ReferenceRun(graph)
        for (value, elements) in numbers {
            run.set(value, moving[value].map { zip(elements, $0).map { $0 + step * $1 } } ?? elements)
        }
        let results = try run.run(outputs)
        for (output, elements) in zip(outputs, results) where elements.contains(where: { !$0.isFinite }) {
            throw Breach("value \(output.index) of shape \(graph.shape(output)) is not finite")
        }
        return results
    }

    /// Holds the gradient of `loss` against finite differences along a random direction of all `parameters` at once.
    mutating func checkGradient(_ what: String, of loss: Value, _ parameters: [Value]) throws {
        let gradients = try graph.differentiate(loss, with: parameters)
        let wanted = zip(parameters, gradients).filter { $1 != nil }
        guard !wanted.isEmpty else { throw Breach("\(what) depends on none of its parameters") }
        var direction: [Value: [Double]] = [:]
        for (parameter, _) in wanted { direction[parameter] = (0..<graph.type(parameter).count).map { _ in draw() } }
        let slopes = try values(wanted.compactMap(\.1))
        let analytic = zip(wanted, slopes).reduce(0.0) { sum, pair in
            sum + zip(direction[pair.0.0] ?? [], pair.1).reduce(0) { $0 + $1.0 * $1.1 }
        }
        // Central differences in double precision: truncation is about step², rounding about 1e-16 / step.
        let step = 1e-6
        let (ahead, behind) = (
            try values([loss], moving: direction, by: step), try values([loss], moving: direction, by: -step)
        )
        let numeric = (ahead[0][0] - behind[0][0]) / (2 * step)
        guard abs(analytic - numeric) <= 1e-3 * max(abs(analytic), abs(numeric)) + 1e-6 else {
            throw Breach("\(what): the gradient along a direction is \(analytic), finite differences give \(numeric)")
        }
    }

    /// The sum of a value's elements with random weights, so that each element counts.
    mutating func weightedSum(_ value: Value) throws -> Value {
        let weights = input("weights", graph.shape(value))
        let product = try graph.emit("mul", [value, weights])[0]
        return try graph.emit("sum", [product], [("axes", .ints([])), ("keep_dimensions", .bool(false))])[0]
    }

    func raw(_ value: Value) -> mt_value { GraphService.value(value, of: graph) }
    func value(_ raw: mt_value) throws -> Value { try GraphService.value(raw, in: graph) }
    var handle: OpaquePointer { GraphService.handle(graph) }
}
