package import JSON
internal import PluginAPI
internal import PluginKit

/// A quantizer plugin with its settings.
package struct QuantizerHandle: @unchecked Sendable {
    package let id: String
    private let table: UnsafePointer<mt_quantizer_table>
    private let context: UnsafeMutableRawPointer?
    private let settings: String

    package init(id: String, settings: JSON, components: any ComponentSource) throws {
        let component = try components.component(kind: MT_KIND_QUANTIZER, id: id)
        guard let table = component.table?.assumingMemoryBound(to: mt_quantizer_table.self) else {
            throw ModelError(.invalid, "has no table", at: "quantizer \(id)")
        }
        self.id = id
        self.table = table
        context = component.ctx
        self.settings = settings.text()
    }

    /// What becomes of a weight; nil when it is left alone.
    package struct Plan: Sendable {
        package let layout: String
        let bytes: Int
        package let statistics: String
        /// Bound of the mean squared error over the mean square of the weight.
        package let maximumRelativeError: Double
    }

    package func plan(_ name: String, shape: [Int]) throws -> Plan? {
        let dims = shape.map(Int64.init)
        let text = try collected { sink in
            try name.lent { name in
                try settings.lent { settings in
                    try checked { table.pointee.plan(context, settings, name, dims, dims.count, sink, $0) }
                }
            }
        }
        let plan = try JSON(parsing: text)
        guard let layout = plan["layout"]?.string else { return nil }
        guard let bytes = plan["bytes"]?.int, bytes >= 0 else {
            throw ModelError(.invalid, "planned no bytes for \(name)", at: "quantizer \(id)")
        }
        return Plan(
            layout: layout, bytes: bytes, statistics: plan["statistics"]?.string ?? "none",
            maximumRelativeError: plan["max_relative_error"]?.double ?? 0)
    }

    /// The planned bytes of f32 weights [rows, columns].
    func quantize(_ name: String, _ weight: [Float], rows: Int, columns: Int, _ plan: Plan) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: plan.bytes) { out, count in
            try name.lent { name in
                try settings.lent { settings in
                    try checked {
                        table.pointee.quantize(
                            context, settings, name, weight, Int64(rows), Int64(columns), nil, out.baseAddress,
                            UInt64(plan.bytes), $0)
                    }
                }
            }
            count = plan.bytes
        }
    }
}
