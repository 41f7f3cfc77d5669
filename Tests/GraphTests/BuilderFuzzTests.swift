import PluginAPI
import PluginKit
import Testing

import Graph

/// Whatever a plugin says to the builder, through its C interface: an error that names the op, or a graph whose ops hold to their
/// shapes; never a trap.
@Suite struct BuilderFuzzTests {
    /// Sizes that rules stumble over.
    private static let sizes: [Int64] = [
        0, 0, 1, 1, 2, 2, 3, 4, 5, 7, 8, 9, -1, 1 << 20, 1 << 40, .max, .min,
    ]
    private static let words = ["auto", "f32", "bf16", "", "int8", "float", "\u{0}", "é"]

    /// size_t goes both ways: what cannot be a count is refused before anything is read there.
    @Test func countsThatCannotBeAreRefused() throws {
        let graph = Graph()
        let (api, handle) = (GraphService.table.pointee, GraphService.handle(graph))
        var value = GraphService.value(graph.input("x", ValueType([2])), of: graph)
        var attribute = mt_attr()
        var dims: [Int64] = [2]
        func refusal(_ body: (UnsafeMutablePointer<mt_error>) -> mt_status?) -> String {
            var error = mt_error()
            error.struct_size = UInt32(MemoryLayout<mt_error>.size)
            let status = body(&error) ?? MT_OK
            return status == MT_OK ? "done" : error.failure(status).message
        }
        for count in [-1, .min, .max, 1 << 40, 1 << 17] {
            let inputs = "add".lent { op in refusal { api.emit?(handle, op, &value, count, nil, 0, nil, 0, $0) } }
            let attributes = "add".lent { op in
                refusal { api.emit?(handle, op, &value, 1, &attribute, count, nil, 0, $0) }
            }
            var results = [mt_value()]
            let outputs = "add".lent { op in refusal { api.emit?(handle, op, &value, 1, nil, 0, &results, count, $0) } }
            let rank = "p".lent { name in refusal { api.parameter?(handle, name, &dims, count, 0, 0, &value, $0) } }
            let size = refusal { api.constant?(handle, UInt32(MT_F32), &dims, 1, [Float(1), 2], count, &value, $0) }
            #expect(inputs.contains("inputs, wanted at most"))
            #expect(attributes.contains("attributes, wanted at most"))
            #expect(outputs.contains("outputs, wanted at most"))
            #expect(rank.contains("is not one of 0 to"))
            #expect(size.contains("does not take"))
        }
        attribute.type = UInt32(MT_ATTR_INTS)
        attribute.count = .max
        let long = "add".lent { op in refusal { api.emit?(handle, op, &value, 1, &attribute, 1, nil, 0, $0) } }
        #expect(long.contains("4294967295 elements of"))
        let nowhere = "add".lent { op in refusal { api.emit?(handle, op, nil, 2, nil, 0, nil, 0, $0) } }
        #expect(nowhere == "2 inputs at NULL")
        let empty = refusal { api.constant?(handle, UInt32(MT_F32), &dims, 1, nil, 8, &value, $0) }
        #expect(empty.hasSuffix("at NULL"))
        var info = mt_value_info()
        info.struct_size = 8
        info.rank = 77
        let described = refusal { api.describe?(handle, value, &info, $0) }
        #expect(described == "done")
        #expect(info.type == UInt32(MT_F32) && info.rank == 77, "a shorter struct is not written past its end")
    }

    private struct Writer {
        let graph = Graph()
        let api = GraphService.table
        var random: Seeded
        var values: [mt_value] = [mt_value()]
        var refused: [String] = []

        var handle: OpaquePointer { GraphService.handle(graph) }
        mutating func size() -> Int64 { BuilderFuzzTests.sizes.randomElement(using: &random) ?? 0 }
        mutating func small() -> Int64 { Int64.random(in: 0...5, using: &random) }
        mutating func coin(_ odds: Int = 2) -> Bool { Int.random(in: 0..<odds, using: &random) == 0 }

        /// Calls the interface and holds it to its promises.
        mutating func call(_ what: String, _ body: (UnsafeMutablePointer<mt_error>) -> mt_status) {
            var error = mt_error()
            error.struct_size = UInt32(MemoryLayout<mt_error>.size)
            let status = body(&error)
            let failure = error.failure(status)
            guard status != MT_OK else { return }
            #expect(!failure.message.isEmpty, "\(what) failed without a message")
            refused.append("\(what): \(failure.message)")
        }

        /// Values of many shapes to build upon.
        mutating func begin() {
            for _ in 0..<10 {
                let shape = (0..<Int.random(in: 0...4, using: &random)).map { _ in Int(small()) }
                let element: ElementType =
                    coin(3) ? .i32 : coin(8) ? [.u32, .u8, .bf16].randomElement(using: &random) ?? .u8 : .f32
                values.append(GraphService.value(graph.input("x", ValueType(shape, element)), of: graph))
            }
        }

        mutating func emit(_ op: Op) {
            let count =
                op.variadic
                ? Int(small()) : op.inputs.count - (coin() ? Int.random(in: 0...op.optionalInputs, using: &random) : 0)
            var inputs = (0..<count + (coin(12) ? 1 : 0)).map { _ in values.randomElement(using: &random) ?? mt_value()
            }
            if coin(20), !inputs.isEmpty { inputs[0] = mt_value(graph: graph.id &+ 1, index: 1) }
            if coin(20), !inputs.isEmpty { inputs[0] = mt_value(graph: graph.id, index: .max) }
            var attributes: [(String, Attribute)] = []
            for rule in op.attributes where rule.isRequired || coin() {
                if coin(16) { continue }
                attributes.append((coin(24) ? "\(rule.name)?" : rule.name, attribute(like: rule.fallback)))
            }
            let g = GraphBuilder(graph: handle, api: api)
            let name = coin(30) ? op.name + "s" : op.name
            let outputs = g.emit(
                name, inputs.map { g.tensor($0) }, attributes, outputs: Int.random(in: 0...5, using: &random) + 1)
            if let failure = g.failure {
                refused.append("\(name): \(failure.message)")
                #expect("\(failure)".contains(name), "\(failure) does not name \(name)")
                return
            }
            values += outputs.map(\.value).filter { $0.index != 0 }
        }

        private mutating func attribute(like value: AttributeValue) -> Attribute {
            switch coin(16)
                ? [.int(1), .float(1), .bool(true), .string(""), .ints([1])].randomElement(using: &random) ?? value
                : value
            {
            case .int: return .int(Int(coin(4) ? size() : small()))
            case .float: return .float([0, 1, -1, 0.5, 1e30, .nan, .infinity].randomElement(using: &random) ?? 0)
            case .bool: return .bool(coin())
            case .string: return .string(BuilderFuzzTests.words.randomElement(using: &random) ?? "")
            case .ints: return .ints((0..<small()).map { _ in Int(coin(4) ? size() : small()) })
            case .floats: return .floats((0..<small()).map { _ in Double(small()) })
            }
        }

        mutating func parameter() {
            let dims = (0..<Int.random(in: 0...8, using: &random)).map { _ in coin(4) ? size() : small() }
            let name = ["w", "/w", "", "a.b", "norm"].randomElement(using: &random) ?? "w"
            var out = mt_value()
            let (handle, api, flags) = (handle, api, UInt32.random(in: 0...7, using: &random))
            call("parameter") { error in
                name.lent { api.pointee.parameter(handle, $0, dims, dims.count, flags, 0, &out, error) }
            }
            if out.index != 0 { values.append(out) }
        }

        mutating func constant() {
            let dims = (0..<Int.random(in: 0...3, using: &random)).map { _ in coin(4) ? size() : small() }
            let count = dims.reduce(Int64(1)) { $0.multipliedReportingOverflow(by: $1).partialValue }
            let bytes = [UInt8](
                repeating: 1, count: coin(4) ? Int(small()) : Int(clamping: max(0, min(count, 1 << 12))) * 4)
            var out = mt_value()
            let (handle, api, type) = (handle, api, UInt32.random(in: 0...8, using: &random))
            call("constant") { api.pointee.constant(handle, type, dims, dims.count, bytes, bytes.count, &out, $0) }
            if out.index != 0 { values.append(out) }
        }

        mutating func linear() {
            let (x, width) = (values.randomElement(using: &random) ?? mt_value(), coin(4) ? size() : small())
            var out = mt_value()
            let (handle, api, bias) = (handle, api, coin())
            call("linear") { error in
                "proj".lent { api.pointee.linear(handle, $0, x, width, bias, 0, &out, error) }
            }
            if out.index != 0 { values.append(out) }
        }

        mutating func block() {
            let (handle, api) = (handle, api)
            if coin() {
                call("open_block") { error in "layers.0".lent { api.pointee.open_block(handle, $0, error) } }
            } else {
                call("close_block") { api.pointee.close_block(handle, $0) }
            }
        }
    }

    @Test(arguments: 0..<40 as Range<UInt64>) func randomCallsEndInAnErrorOrAGraph(seed: UInt64) throws {
        var writer = Writer(random: Seeded(seed))
        writer.begin()
        for _ in 0..<400 {
            switch Int.random(in: 0..<20, using: &writer.random) {
            case 0: writer.parameter()
            case 1: writer.constant()
            case 2: writer.linear()
            case 3: writer.block()
            default: if let op = Op.all.randomElement(using: &writer.random) { writer.emit(op) }
            }
        }
        #expect(writer.refused.count > 50)
        try run(writer)
    }

    /// What was built is computed by the references in the shapes that it claims, and differentiates or says why not.
    private func run(_ writer: Writer) throws {
        let graph = writer.graph
        let nodes = graph.nodes
        #expect(!nodes.isEmpty)
        var reference = ReferenceRun(graph)
        var small: Set<Value> = [.none]
        for index in graph.types.indices.dropFirst() where graph.producers[index] < 0 {
            let count = graph.types[index].count
            guard count <= 1 << 12 else { continue }
            small.insert(Value(index))
            if case .constant? = graph.sources[index] { continue }
            reference.set(Value(index), [Double](repeating: 1, count: count))
        }
        var outputs: [Value] = []
        for node in nodes where node.op.name != "attention_paged" && node.inputs.allSatisfy(small.contains) {
            for output in node.outputs where graph.type(output).count <= 1 << 12 {
                outputs.append(output)
                small.insert(output)
            }
        }
        for (output, elements) in zip(outputs, try reference.run(outputs)) {
            #expect(elements.count == graph.type(output).count, "\(graph.producer(output)?.op.name ?? "")")
        }
        for node in nodes {
            guard let output = node.outputs.first, graph.type(output).element == .f32 else { continue }
            let leaves = node.inputs.filter { !$0.isNone && graph.type($0).element == .f32 }
            do {
                let gradients = try graph.differentiate(graph.emit("sum", [output])[0], with: leaves)
                for (leaf, gradient) in zip(leaves, gradients) {
                    if let gradient { #expect(graph.shape(gradient) == graph.shape(leaf), "\(node.op.name)") }
                }
            } catch let failure as GraphError {
                #expect(!failure.message.isEmpty)
            }
        }
    }
}
