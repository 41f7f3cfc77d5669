import Host
import JSON
import PluginAPI
import PluginKit

extension ForeignFunction {
    /// Makes a component of an entry of plugins.json, for `Registry`.
    package static let bind: Registry.ForeignBinder = { entry, library throws(HostError) in
        guard [MT_KIND_FILTER, MT_KIND_REWARD, MT_KIND_METRIC].contains(entry.kind) else {
            throw HostError(
                .installation, "\(entry.place).kind", "no function can stand for \(entry.kind)",
                fix: "use \(MT_KIND_FILTER), \(MT_KIND_REWARD) or \(MT_KIND_METRIC)")
        }
        let function = try ForeignFunction(entry, library: library)
        let table = UnsafeMutablePointer<mt_row_table>.allocate(capacity: 1)
        table.initialize(to: ForeignFunction.table)
        var component = mt_component()
        component.struct_size = UInt32(MemoryLayout<mt_component>.size)
        component.kind = Text.forever(entry.kind)
        component.id = Text.forever(entry.id)
        component.summary = Text.forever(entry.summary)
        component.table = UnsafeRawPointer(table)
        component.ctx = Unmanaged.passRetained(function).toOpaque()
        return try Component(component, plugin: entry.plugin, index: 0)
    }

    fileprivate static var table: mt_row_table {
        var table = mt_row_table()
        table.struct_size = UInt32(MemoryLayout<mt_row_table>.size)
        table.judge = { context, row, out, error in
            guarded(error) {
                let function = try Handle.context(context, as: ForeignFunction.self)
                out?.pointee = try function.judge(try JSON(parsing: row.bytes))
            }
        }
        return table
    }
}
