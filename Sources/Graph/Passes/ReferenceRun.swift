/// Runs a graph by its ops' references, in double precision: the yardstick for devices and gradients.
package struct ReferenceRun {
    package let graph: Graph
    private var values: [Int: [Double]] = [:]

    package init(_ graph: Graph) { self.graph = graph }

    /// Sets an input or a parameter.
    package mutating func set(_ value: Value, _ elements: [Double]) { values[value.index] = elements }

    /// The elements of `outputs`.
    package mutating func run(_ outputs: [Value]) throws(GraphError) -> [[Double]] {
        var live: Set<Int> = Set(outputs.map(\.index))
        for node in graph.nodes.reversed() where node.outputs.contains(where: { live.contains($0.index) }) {
            for input in node.inputs { live.insert(input.index) }
        }
        for index in live.sorted() where values[index] == nil && graph.producers[index] < 0 && index > 0 {
            values[index] = try source(index)
        }
        for node in graph.nodes where node.outputs.contains(where: { live.contains($0.index) }) {
            let results = try node.op.reference(
                Op.Evaluation(
                    inputs: node.inputs.map { $0.isNone ? nil : values[$0.index] },
                    types: node.inputs.map { $0.isNone ? nil : graph.type($0) },
                    outputs: node.outputs.map { graph.type($0) },
                    attributes: node.attributes))
            for (output, result) in zip(node.outputs, results) { values[output.index] = result }
        }
        return outputs.map { values[$0.index] ?? [] }
    }

    private func source(_ index: Int) throws(GraphError) -> [Double] {
        let type = graph.types[index]
        guard case .constant(let bytes)? = graph.sources[index] else {
            throw GraphError(.invalid, "value \(index), \(type), was not given", at: "reference run")
        }
        return bytes.withUnsafeBytes { raw in
            (0..<type.count).map { i in
                switch type.element {
                case .f32: return Double(raw.loadUnaligned(fromByteOffset: i * 4, as: Float.self))
                case .i32: return Double(raw.loadUnaligned(fromByteOffset: i * 4, as: Int32.self))
                case .u32: return Double(raw.loadUnaligned(fromByteOffset: i * 4, as: UInt32.self))
                case .u8: return Double(raw[i])
                case .bf16:
                    let bits = raw.loadUnaligned(fromByteOffset: i * 2, as: UInt16.self)
                    return Double(Float(bitPattern: UInt32(bits) << 16))
                case .f16: return Double(halfToFloat(raw.loadUnaligned(fromByteOffset: i * 2, as: UInt16.self)))
                }
            }
        }
    }
}

/// IEEE 754 binary16 to binary32.
func halfToFloat(_ bits: UInt16) -> Float {
    let sign = UInt32(bits & 0x8000) << 16
    let exponent = UInt32(bits >> 10) & 31
    let fraction = UInt32(bits & 1023)
    switch exponent {
    case 0: return Float(bitPattern: sign | 0x3F80_0000) * (Float(fraction) * 0x1p-24)
    case 31: return Float(bitPattern: sign | 0x7F80_0000 | fraction << 13)
    default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
    }
}
