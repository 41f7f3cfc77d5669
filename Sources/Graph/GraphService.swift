package import PluginAPI
import PluginKit

/// The C face of the builder: the service "martlet.graph/1".
package enum GraphService {
    /// The handle under which a graph is passed to plugins; valid as long as the graph lives.
    package static func handle(_ graph: Graph) -> OpaquePointer {
        OpaquePointer(Unmanaged.passUnretained(graph).toOpaque())
    }

    /// A value in the contract's form.
    package static func value(_ value: Value, of graph: Graph) -> mt_value {
        value.isNone ? mt_value() : mt_value(graph: graph.id, index: UInt32(value.index))
    }

    /// A value that a plugin gave, to the op of this name.
    package static func value(
        _ value: mt_value, in graph: Graph, for op: @autoclosure () -> String = "value"
    ) throws(GraphError) -> Value {
        if value.index == 0 { return .none }
        guard value.graph == graph.id else {
            throw graph.error(.invalid, "a value of another graph (\(value.graph), this one is \(graph.id))", op())
        }
        guard value.index < graph.types.count else {
            throw graph.error(.invalid, "value \(value.index) does not exist", op())
        }
        return Value(Int(value.index))
    }

    /// The table, alive as long as the process.
    nonisolated(unsafe) package static let table: UnsafePointer<mt_graph_api> = {
        var api = mt_graph_api()
        api.struct_size = UInt32(MemoryLayout<mt_graph_api>.size)
        api.emit = { handle, op, inputs, inputCount, attrs, attrCount, outputs, outputCount, error in
            building(handle, error) { graph in
                try checkCount(inputCount, inputs, "inputs", graph, op.string)
                try checkCount(attrCount, attrs, "attributes", graph, op.string)
                try checkCount(outputCount, outputs, "outputs", graph, op.string)
                var values: [Value] = []
                for i in 0..<inputCount {
                    values.append(try value(inputs.map { $0[i] } ?? mt_value(), in: graph, for: op.string))
                }
                let attributes = try UnsafeBufferPointer(start: attrs, count: attrCount).map {
                    try attribute($0, graph, op.string)
                }
                let results = try graph.emit(op.string, values, attributes, outputs: outputCount)
                for (i, result) in results.prefix(outputCount).enumerated() { outputs?[i] = value(result, of: graph) }
            }
        }
        api.describe = { handle, given, out, error in
            building(handle, error) { graph in
                let known = try value(given, in: graph)
                guard !known.isNone, let out else { throw graph.error(.invalid, "no value was given", "describe") }
                let type = graph.type(known)
                var info = mt_value_info()
                info.type = type.element.rawValue
                info.rank = UInt32(type.shape.count)
                withUnsafeMutableBytes(of: &info.dims) { dims in
                    for (i, size) in type.shape.prefix(Int(MT_MAX_RANK)).enumerated() {
                        dims.storeBytes(of: Int64(size), toByteOffset: i * 8, as: Int64.self)
                    }
                }
                try writeSized(info, to: out, size: out.pointee.struct_size, \.struct_size)
            }
        }
        api.parameter = { handle, name, dims, rank, flags, _, out, error in
            building(handle, error) { graph in
                let made = try graph.parameter(
                    name.string, try shape(dims, rank, graph), flags: Graph.ParameterFlags(rawValue: flags))
                out?.pointee = value(made, of: graph)
            }
        }
        api.constant = { handle, type, dims, rank, data, size, out, error in
            building(handle, error) { graph in
                guard let element = ElementType(rawValue: type) else {
                    throw graph.error(.invalid, "element type \(type) is unknown", "constant")
                }
                let type = ValueType(try shape(dims, rank, graph), element)
                guard type.isCountable, size == type.byteCount, size == 0 || data != nil else {
                    throw graph.error(
                        .invalid,
                        "a constant \(type) does not take \(UInt(bitPattern: size)) bytes\(data == nil ? " at NULL" : "")",
                        "constant")
                }
                let bytes = Array(UnsafeRawBufferPointer(start: data, count: size))
                out?.pointee = value(try graph.constant(type, bytes), of: graph)
            }
        }
        api.linear = { handle, name, x, outFeatures, hasBias, flags, out, error in
            building(handle, error) { graph in
                let made = try graph.linear(
                    name.string, try value(x, in: graph, for: "linear"), Int(outFeatures), bias: hasBias,
                    flags: Graph.ParameterFlags(rawValue: flags))
                out?.pointee = value(made, of: graph)
            }
        }
        api.open_block = { handle, name, error in building(handle, error) { $0.openBlock(name.string) } }
        api.close_block = { handle, error in building(handle, error) { try $0.closeBlock() } }
        let storage = UnsafeMutablePointer<mt_graph_api>.allocate(capacity: 1)
        storage.initialize(to: api)
        return UnsafePointer(storage)
    }()

    private static func building(
        _ handle: OpaquePointer?, _ error: UnsafeMutablePointer<mt_error>?, _ body: (Graph) throws -> Void
    ) -> mt_status {
        guarded(error) {
            let graph = try Handle.object(handle, as: Graph.self)
            do {
                try body(graph)
            } catch let failure as GraphError {
                if graph.failure == nil { graph.failure = failure }
                throw PluginError(
                    failure.code == .unsupported ? .unsupported : .invalid, failure.message, at: failure.location)
            }
        }
    }

    /// The most inputs, outputs or attributes of one op.
    private static let countLimit = 1 << 16

    /// size_t comes as Int, so a huge count is negative.
    private static func checkCount<Element>(
        _ count: Int, _ pointer: UnsafePointer<Element>?, _ what: String, _ graph: Graph, _ op: String
    ) throws(GraphError) {
        guard 0...countLimit ~= count else {
            throw graph.error(.invalid, "\(UInt(bitPattern: count)) \(what), wanted at most \(countLimit)", op)
        }
        guard count == 0 || pointer != nil else { throw graph.error(.invalid, "\(count) \(what) at NULL", op) }
    }

    private static func shape(_ dims: UnsafePointer<Int64>?, _ rank: Int, _ graph: Graph) throws(GraphError) -> [Int] {
        guard 0...Int(MT_MAX_RANK) ~= rank else {
            throw graph.error(.invalid, "rank \(rank) is not one of 0 to \(MT_MAX_RANK)", "shape")
        }
        var sizes: [Int] = []
        for i in 0..<rank {
            guard let size = dims?[i], size >= 0, size < Int64(1) << 40 else {
                throw graph.error(.invalid, "size \(dims?[i] ?? 0) of axis \(i) is out of range", "shape")
            }
            sizes.append(Int(size))
        }
        guard
            sizes.reduce(
                (1, false),
                {
                    let (p, o) = $0.0.multipliedReportingOverflow(by: $1); return (p, $0.1 || o)
                }
            ).1 == false
        else { throw graph.error(.invalid, "shape \(sizes) has too many elements", "shape") }
        return sizes
    }

    private static func attribute(_ attr: mt_attr, _ graph: Graph, _ op: String) throws -> (String, AttributeValue) {
        let name = attr.name.string
        switch Int32(attr.type) {
        case MT_ATTR_INT: return (name, .int(Int(attr.value.i)))
        case MT_ATTR_FLOAT: return (name, .float(attr.value.f))
        case MT_ATTR_BOOL: return (name, .bool(attr.value.i != 0))
        case MT_ATTR_STRING: return (name, .string(attr.value.s.string))
        case MT_ATTR_INTS:
            try checkCount(Int(attr.count), attr.value.ints, "elements of \"\(name)\"", graph, op)
            let list = UnsafeBufferPointer(start: attr.value.ints, count: Int(attr.count))
            return (name, .ints(list.map { Int($0) }))
        case MT_ATTR_FLOATS:
            try checkCount(Int(attr.count), attr.value.floats, "elements of \"\(name)\"", graph, op)
            return (name, .floats(Array(UnsafeBufferPointer(start: attr.value.floats, count: Int(attr.count)))))
        default: throw graph.error(.invalid, "attribute \"\(name)\" has the unknown type \(attr.type)", op)
        }
    }
}
