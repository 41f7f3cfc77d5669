import PluginAPI

/// An op of a plugin's own, stated by ops that the host knows; it then runs and differentiates on every device.
public protocol CustomOp {
    init() throws
    /// Emits the op's meaning; shapes are checked by what it emits.
    /// - Parameters:
    ///   - inputs: nil stands for an optional input that was left out.
    ///   - attributes: As they were given, unchecked.
    /// - Returns: The outputs in order.
    func decompose(_ g: GraphBuilder, _ inputs: [Tensor?], _ attributes: [String: Attribute]) throws -> [Tensor]
}

private final class CustomOpContext {
    let type: any CustomOp.Type
    init(_ type: any CustomOp.Type) { self.type = type }
}

extension Components {
    /// Offers an op under `id`, the name by which graphs emit it.
    public func op(_ id: String, _ type: any CustomOp.Type, summary: String, priority: Int = 0) {
        var table = mt_op_table()
        table.struct_size = UInt32(MemoryLayout<mt_op_table>.size)
        table.decompose = { context, graph, inputs, inputCount, attrs, attrCount, outputs, outputCount, error in
            guarded(error) {
                let g = try GraphBuilder(graph: graph)
                let given = UnsafeBufferPointer(start: inputs, count: inputs == nil ? 0 : inputCount)
                    .map { $0.index == 0 ? nil : g.tensor($0) }
                var attributes: [String: Attribute] = [:]
                for attr in UnsafeBufferPointer(start: attrs, count: attrs == nil ? 0 : attrCount) {
                    attributes[attr.name.string] = try Attribute(attr)
                }
                let results = try Handle.context(context, as: CustomOpContext.self).type.init().decompose(
                    g, given, attributes)
                try g.check()
                for i in 0..<min(outputCount, results.count) { outputs?[i] = results[i].value }
            }
        }
        add(
            kind: MT_KIND_OP, id: id, summary: summary, priority: priority, table: table, context: CustomOpContext(type)
        )
    }
}

extension Attribute {
    /// An attribute in the contract's form.
    init(_ attr: mt_attr) throws {
        switch Int32(attr.type) {
        case MT_ATTR_INT: self = .int(Int(attr.value.i))
        case MT_ATTR_FLOAT: self = .float(attr.value.f)
        case MT_ATTR_BOOL: self = .bool(attr.value.i != 0)
        case MT_ATTR_STRING: self = .string(attr.value.s.string)
        case MT_ATTR_INTS:
            self = .ints(
                UnsafeBufferPointer(start: attr.value.ints, count: attr.value.ints == nil ? 0 : Int(attr.count)).map {
                    Int($0)
                })
        case MT_ATTR_FLOATS:
            self = .floats(
                Array(
                    UnsafeBufferPointer(start: attr.value.floats, count: attr.value.floats == nil ? 0 : Int(attr.count))
                ))
        default: throw PluginError(.invalid, "attribute \"\(attr.name.string)\" has the unknown type \(attr.type)")
        }
    }
}
