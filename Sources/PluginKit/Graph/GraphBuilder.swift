public import PluginAPI

/// A value of a graph: its shape is concrete, its elements come when the graph runs.
///
/// Arithmetic reads as in a paper: `+ - * /` work element by element, with NumPy's broadcasting.
public struct Tensor {
    public let builder: GraphBuilder
    public let value: mt_value

    /// Sizes, outermost first; empty after a failure.
    public var shape: [Int] { builder.describe(self).shape }
}

/// An attribute of a node.
public enum Attribute {
    case int(Int)
    case float(Double)
    case bool(Bool)
    case string(String)
    case ints([Int])
    case floats([Double])
}

/// States mathematics into a graph of the host.
///
/// The first failure is kept and turns every later call into nothing; whoever asked for the build reports it. So a
/// family needs no `try` on each line.
public final class GraphBuilder {
    private let api: UnsafePointer<mt_graph_api>
    private let graph: OpaquePointer
    /// The first thing that went wrong.
    public private(set) var failure: PluginError?
    /// i32 [T]: how long each token's sequence is as far as it is known; nil for one sequence from its beginning on.
    var lengths: Tensor?

    public init(graph: OpaquePointer, api: UnsafePointer<mt_graph_api>) {
        self.graph = graph
        self.api = api
    }

    /// A builder over the graph that the host passed in, through its graph service.
    public convenience init(graph: OpaquePointer?) throws {
        guard let api = Host.service(MT_SERVICE_GRAPH, as: mt_graph_api.self), let graph else {
            throw PluginError(.unsupported, "this host offers no \(MT_SERVICE_GRAPH)")
        }
        self.init(graph: graph, api: api)
    }

    /// Remembers `error` as the reason why the build failed.
    public func fail(_ error: PluginError) {
        if failure == nil { failure = error }
    }

    /// Throws the first failure, if there was one.
    public func check() throws {
        if let failure { throw failure }
    }

    public func tensor(_ value: mt_value) -> Tensor { Tensor(builder: self, value: value) }
    var none: Tensor { Tensor(builder: self, value: mt_value()) }

    func run(_ call: (UnsafeMutablePointer<mt_error>) -> mt_status) {
        guard failure == nil else { return }
        do {
            try checked(call)
        } catch {
            failure = error
        }
    }

    /// Adds a node of op `op`; see Documentation/Ops.md for its inputs and attributes.
    /// - Parameter inputs: nil stands for an optional input that is left out.
    public func emit(
        _ op: String, _ inputs: [Tensor?], _ attributes: [(String, Attribute)] = [], outputs: Int = 1
    ) -> [Tensor] {
        var results = [mt_value](repeating: mt_value(), count: outputs)
        let values = inputs.map { $0?.value ?? mt_value() }
        AttributeStorage.withAttributes(attributes) { list in
            run { error in
                op.lent { name in
                    api.pointee.emit(
                        graph, name, values, values.count, list.baseAddress, list.count, &results, outputs, error)
                }
            }
        }
        return results.map(tensor)
    }

    /// Adds a node with one output.
    public func emit1(_ op: String, _ inputs: [Tensor?], _ attributes: [(String, Attribute)] = []) -> Tensor {
        emit(op, inputs, attributes)[0]
    }

    public func describe(_ tensor: Tensor) -> (shape: [Int], type: UInt32) {
        var info = mt_value_info()
        info.struct_size = UInt32(MemoryLayout<mt_value_info>.size)
        run { api.pointee.describe(graph, tensor.value, &info, $0) }
        guard failure == nil else { return ([], 0) }
        let shape = withUnsafeBytes(of: info.dims) { dims in
            (0..<Int(info.rank)).map { Int(dims.load(fromByteOffset: $0 * 8, as: Int64.self)) }
        }
        return (shape, info.type)
    }

    /// The parameter `name` of the checkpoint inside the open blocks; from the root when it starts with "/".
    public func parameter(_ name: String, _ shape: [Int], flags: ParameterFlags = []) -> Tensor {
        var out = mt_value()
        let dims = shape.map(Int64.init)
        run { error in
            name.lent { api.pointee.parameter(graph, $0, dims, dims.count, flags.rawValue, 0, &out, error) }
        }
        return tensor(out)
    }

    /// A constant of f32 elements in row-major order.
    public func constant(_ values: [Float], _ shape: [Int]) -> Tensor {
        constant(values, shape, type: UInt32(MT_F32))
    }

    /// A constant of i32 elements in row-major order.
    public func constant(_ values: [Int32], _ shape: [Int]) -> Tensor {
        constant(values, shape, type: UInt32(MT_I32))
    }

    private func constant<Element>(_ values: [Element], _ shape: [Int], type: UInt32) -> Tensor {
        var out = mt_value()
        let dims = shape.map(Int64.init)
        values.withUnsafeBytes { bytes in
            run { api.pointee.constant(graph, type, dims, dims.count, bytes.baseAddress, bytes.count, &out, $0) }
        }
        return tensor(out)
    }

    /// y = x wᵀ (+ b) over `name`.weight of [outFeatures, in]: the site that tuners and quantizers address by name.
    public func linear(
        _ name: String, _ x: Tensor, _ outFeatures: Int, bias: Bool = false, flags: ParameterFlags = []
    ) -> Tensor {
        var out = mt_value()
        run { error in
            name.lent {
                api.pointee.linear(graph, $0, x.value, Int64(outFeatures), bias, flags.rawValue, &out, error)
            }
        }
        return tensor(out)
    }

    /// Brackets a layer: names inside it start with `name`, and the host recomputes, cuts and offloads by it.
    public func block<Result>(_ name: String, _ body: () throws -> Result) rethrows -> Result {
        run { error in name.lent { api.pointee.open_block(graph, $0, error) } }
        defer { run { api.pointee.close_block(graph, $0) } }
        return try body()
    }
}

/// How a parameter stands in the checkpoint.
public struct ParameterFlags: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// Stored as [in, out].
    public static let transposed = ParameterFlags(rawValue: MT_PARAMETER_TRANSPOSED)
    /// Zero where the checkpoint has none.
    public static let optional = ParameterFlags(rawValue: MT_PARAMETER_OPTIONAL)
}

/// Attributes in C form for the length of one call.
private enum AttributeStorage {
    static func withAttributes(_ attributes: [(String, Attribute)], _ body: (UnsafeBufferPointer<mt_attr>) -> Void) {
        guard !attributes.isEmpty else { return body(UnsafeBufferPointer(start: nil, count: 0)) }
        var list: [mt_attr] = []
        list.reserveCapacity(attributes.count)
        add(attributes[...], &list, body)
    }

    /// Lends one attribute's memory after the other and calls `body` when all are lent.
    private static func add(
        _ rest: ArraySlice<(String, Attribute)>, _ list: inout [mt_attr], _ body: (UnsafeBufferPointer<mt_attr>) -> Void
    ) {
        guard let (name, attribute) = rest.first else { return list.withUnsafeBufferPointer(body) }
        let tail = rest.dropFirst()
        name.lent { name in
            var out = mt_attr()
            out.name = name
            out.count = 1
            switch attribute {
            case .int(let value):
                out.type = UInt32(MT_ATTR_INT)
                out.value.i = Int64(value)
                list.append(out)
                add(tail, &list, body)
            case .bool(let value):
                out.type = UInt32(MT_ATTR_BOOL)
                out.value.i = value ? 1 : 0
                list.append(out)
                add(tail, &list, body)
            case .float(let value):
                out.type = UInt32(MT_ATTR_FLOAT)
                out.value.f = value
                list.append(out)
                add(tail, &list, body)
            case .string(let value):
                value.lent {
                    out.type = UInt32(MT_ATTR_STRING)
                    out.value.s = $0
                    list.append(out)
                    add(tail, &list, body)
                }
            case .ints(let values):
                values.map(Int64.init).withUnsafeBufferPointer {
                    out.type = UInt32(MT_ATTR_INTS)
                    out.count = UInt32($0.count)
                    out.value.ints = $0.baseAddress
                    list.append(out)
                    add(tail, &list, body)
                }
            case .floats(let values):
                values.withUnsafeBufferPointer {
                    out.type = UInt32(MT_ATTR_FLOATS)
                    out.count = UInt32($0.count)
                    out.value.floats = $0.baseAddress
                    list.append(out)
                    add(tail, &list, body)
                }
            }
        }
    }
}
