import Graph
import Host
import JSON
import Model
import Testing

/// The gradient of every decoder's loss against transformers' autograd; see Tests/Oracles/family_gradients.py.
@Suite(.serialized) struct FamilyGradientTests {
    let components: Registry

    init() throws {
        Services.shared.register("martlet.graph/1", at: GraphService.table)
        components = Registry(try .standard())
    }

    @Test(arguments: FamilyGoldenTests.variants) func gradientsEqualTransformers(variant: String) throws {
        let path = FamilyGolden.root + variant
        let model = try Model(path: path, components: components)
        let golden = try JSON(parsing: String(contentsOf: path + "/gradients.json"))
        let wanted = try #require(golden["gradients"]?.object)
        let ids: [Int32] = try FamilyGolden(variant, components).elements("ids.0")
        let own = try Gradients(model, ids)
        #expect(abs(own.loss - (golden["loss"]?.double ?? 0)) < 1e-4)
        for (name, entry) in wanted {
            let norm = try #require(entry["norm"]?.double)
            guard let found = try own.gradient(of: name) else {
                #expect(norm == 0, "\(name) has no gradient")
                continue
            }
            let length = found.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
            #expect(abs(length - norm) <= 1e-4 * max(norm, 1e-3), "\(name): norm \(length), wanted \(norm)")
            for place in entry["at"]?.array ?? [] {
                let index = try #require(place[0]?.int)
                let value = try #require(place[1]?.double)
                #expect(
                    abs(Double(found[index]) - value) <= 1e-4 * max(norm, 1e-3),
                    "\(name)[\(index)] is \(found[index]), wanted \(value)")
            }
        }
    }
}

/// Gradients of the mean loss of a text's tokens, by the names and in the layouts of the checkpoint.
struct Gradients {
    let model: Model
    let loss: Double
    private var values: [String: (parameter: Parameter, gradient: [Float])] = [:]

    init(_ model: Model, _ ids: [Int32]) throws {
        self.model = model
        var names: [Parameter] = []
        let outputs = try SequenceRunner(model).run([ids]) { graph, inputs in
            let hidden = try model.family.build(in: graph, inputs)
            let labels = (ids.dropFirst() + [0]).flatMap { withUnsafeBytes(of: $0, Array.init) }
            let logps = try model.labelLogprobs(
                graph, hidden[0], labels: graph.constant(ValueType([ids.count], .i32), labels)
            ).logps
            let share = -1 / Float(ids.count - 1)
            let weights = try graph.constant([Float](repeating: share, count: ids.count - 1) + [0], [ids.count])
            let loss = try graph.emit("sum", graph.emit("mul", [logps, weights]))[0]
            let parameters = graph.parameters.values.filter { graph.parameter($0) != nil }.sorted {
                $0.index < $1.index
            }
            let gradients = try graph.differentiate(loss, with: parameters)
            var kept = [loss]
            for (value, gradient) in zip(parameters, gradients) {
                guard let gradient, let parameter = graph.parameter(value) else { continue }
                names.append(parameter)
                kept.append(gradient)
            }
            return kept
        }
        loss = Double(outputs[0][0])
        for (parameter, gradient) in zip(names, outputs.dropFirst()) { values[parameter.name] = (parameter, gradient) }
    }

    func gradient(of tensor: String) throws -> [Float]? {
        guard let name = try model.family.rename(tensor) else { return nil }
        if let (parameter, gradient) = values[name] {
            if name == model.shape.head, model.shape.headHasUnitRows { return try throughUnitRows(parameter, gradient) }
            return parameter.isTransposed ? transposed(gradient, rows: parameter.shape[0]) : gradient
        }
        for (parameter, gradient) in values.values {
            let ends = parameter.name.split(separator: "*").map(String.init)
            guard ends.count == 2, name.hasPrefix(ends[0]), name.hasSuffix(ends[1]),
                let expert = Int(name.dropFirst(ends[0].count).dropLast(ends[1].count))
            else { continue }
            let size = gradient.count / parameter.shape[0]
            return Array(gradient[expert * size..<(expert + 1) * size])
        }
        return nil
    }

    private func transposed(_ values: [Float], rows: Int) -> [Float] {
        let columns = values.count / rows
        return (0..<values.count).map { values[$0 % rows * columns + $0 / rows] }
    }

    /// The stored rows w become w / |w|: their gradient is (g - ŵ (ŵ · g)) / |w|.
    private func throughUnitRows(_ parameter: Parameter, _ gradient: [Float]) throws -> [Float] {
        let entry = try #require(model.files.checkpoint.tensors[parameter.name])
        let stored = try model.files.checkpoint.floats(entry)
        let width = parameter.shape[1]
        var out = gradient
        for row in 0..<parameter.shape[0] {
            let span = row * width..<(row + 1) * width
            let length = span.reduce(0) { $0 + stored[$1] * stored[$1] }.squareRoot()
            let dot = span.reduce(0) { $0 + stored[$1] / length * gradient[$1] }
            for i in span { out[i] = (gradient[i] - stored[i] / length * dot) / length }
        }
        return out
    }
}
