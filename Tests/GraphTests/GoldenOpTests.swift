import JSON
import Testing

import Graph

@Suite struct GoldenOpTests {
    /// A case of the golden files as a graph.
    struct Case {
        let name: String
        let graph = Graph()
        var values: [Value: [Double]] = [:]
        /// Outputs and gradients with what they should be.
        var wanted: [(what: String, value: Value, elements: [Double])] = []

        init(_ entry: JSON, _ tensors: GoldenTensors) throws {
            let name = try #require(entry["case"]?.string)
            self.name = name
            let given = try #require(entry["inputs"]?.array).map { $0.bool ?? false }
            var inputs: [Value] = []
            for (i, isGiven) in given.enumerated() {
                guard isGiven else {
                    inputs.append(.none)
                    continue
                }
                let tensor = try #require(tensors["\(name)/in.\(i)"])
                let value = graph.input("in.\(i)", ValueType(tensor.shape, tensor.element))
                values[value] = tensor.values
                inputs.append(value)
            }
            var attributes = try #require(entry["attributes"]?.object).map { ($0.key, try Self.attribute($0.value)) }
            var op = try #require(entry["op"]?.string)
            if op == "label_logprobs" { attributes.append(("entropy", .bool(true))) }
            if op == "max", attributes.contains(where: { $0.0 == "axes" }) { op = "reduce_max" }
            let outputs: [Value]
            if op.hasPrefix("~conv") {
                let y = try #require(tensors["\(name)/out.0"])
                outputs = [try Self.convolve(graph, inputs, attributes, y.shape)]
            } else {
                outputs = try graph.emit(op, inputs, attributes)
            }
            for (j, output) in outputs.enumerated() {
                guard let tensor = tensors["\(name)/out.\(j)"] else { continue }
                #expect(graph.type(output) == ValueType(tensor.shape, tensor.element), "\(name): output \(j)")
                wanted.append(("output \(j)", output, tensor.values))
            }
            var terms: [Value] = []
            for (j, output) in outputs.enumerated() {
                guard let dy = tensors["\(name)/dy\(j == 0 ? "" : ".\(j)")"] else { continue }
                let weight = graph.input("dy.\(j)", ValueType(dy.shape))
                values[weight] = dy.values
                terms.append(try graph.emit("sum", [graph.emit("mul", [output, weight])[0]])[0])
            }
            guard var loss = terms.first else { return }
            for term in terms.dropFirst() { loss = try graph.emit("add", [loss, term])[0] }
            let leaves = inputs.indices.filter { tensors["\(name)/grad.\($0)"] != nil }
            for (i, gradient) in zip(leaves, try graph.differentiate(loss, with: leaves.map { inputs[$0] })) {
                let tensor = try #require(tensors["\(name)/grad.\(i)"])
                if let gradient {
                    wanted.append(("gradient \(i)", gradient, tensor.values))
                } else {
                    #expect(tensor.values.allSatisfy { $0 == 0 }, "\(name): input \(i) has no gradient")
                }
            }
        }

        /// A convolution as families state it: patches, a product, and the channels first again.
        static func convolve(
            _ graph: Graph, _ inputs: [Value], _ attributes: [(String, AttributeValue)], _ shape: [Int]
        ) throws -> Value {
            let patches = try graph.emit("unfold", [inputs[0]], attributes)[0]
            let columns = graph.shape(patches)[1]
            let weight = try graph.emit("reshape", [inputs[1]], [("shape", .ints([shape[0], columns]))])[0]
            let y = try graph.emit("linear", [patches, weight, inputs[2]])[0]
            let channelsFirst = try graph.emit("transpose", [y], [("permutation", .ints([1, 0]))])[0]
            return try graph.emit("reshape", [channelsFirst], [("shape", .ints(shape))])[0]
        }

        private static func attribute(_ entry: JSON) throws -> AttributeValue {
            let value = try #require(entry["value"])
            switch entry["type"]?.string {
            case "int": return .int(try #require(value.int))
            case "float": return .float(try #require(value.double))
            case "bool": return .bool(value == true)
            case "list": return .ints(try #require(value.array).compactMap(\.int))
            default: return .string(try #require(value.string))
            }
        }
    }

    static let groups = [
        "elementwise", "reductions", "norms", "rope", "attention", "losses", "products", "rows", "convolutions",
        "shapes",
    ]

    static func cases(_ group: String) throws -> [Case] {
        let tensors = try GoldenTensors("ops/\(group).safetensors")
        let list = try Goldens.json("ops/cases.json").array
        let entries = try #require(list)
        let cases = try entries.filter { $0["file"]?.string == "\(group).safetensors" }.map { try Case($0, tensors) }
        try #require(!cases.isEmpty)
        return cases
    }

    @Test(arguments: groups) func referenceEqualsPyTorch(group: String) throws {
        for golden in try Self.cases(group) {
            var run = ReferenceRun(golden.graph)
            for (value, elements) in golden.values { run.set(value, elements) }
            let found = try run.run(golden.wanted.map(\.value))
            for (wanted, elements) in zip(golden.wanted, found) {
                // Golden tensors are rounded to f32 once.
                expectClose(elements, wanted.elements, 2e-7, "\(golden.name) \(wanted.what)")
            }
        }
    }

    @Test(arguments: groups, ["cpu", "reference"]) func deviceEqualsPyTorch(group: String, device: String) throws {
        for golden in try Self.cases(group) {
            let found = try Bench.shared.run(golden.graph, golden.wanted.map(\.value), golden.values, on: device)
            for (wanted, elements) in zip(golden.wanted, found) {
                expectClose(elements, wanted.elements, 1e-5, "\(golden.name) \(wanted.what)")
            }
        }
    }

    /// An op counts as held when a case's output or a gradient of one is computed by it.
    @Test func everyOpIsHeldAgainstAnIndependentSource() throws {
        // Held elsewhere: random numbers by Random123's known answers (LossOpsTests of the kernels), codes of one byte by
        // bitsandbytes (OptimizerTests), the cache by attention over whole sequences (PagedAttentionOpsTests) and by
        // transformers' continuations (ServingTests).
        var held: Set = ["dropout", "uniform", "quantize_blocks", "dequantize_blocks", "attention_paged"]
        for group in Self.groups {
            for golden in try Self.cases(group) {
                var live = Set(golden.wanted.map(\.value))
                for node in golden.graph.nodes.reversed() where node.outputs.contains(where: live.contains) {
                    live.formUnion(node.inputs)
                    held.insert(node.op.name)
                }
            }
        }
        let missing = Op.all.map(\.name).filter { !held.contains($0) }
        #expect(missing.isEmpty, "no golden tensor depends on \(missing)")
    }

    @Test func everyCaseIsUsed() throws {
        let list = try Goldens.json("ops/cases.json").array
        let entries = try #require(list)
        #expect(entries.count >= 156)
        for entry in entries {
            let file = try #require(entry["file"]?.string)
            #expect(Self.groups.contains { file == "\($0).safetensors" }, "\(file)")
        }
    }
}
