public import JSON
import PluginAPI

/// A number from a row of a data set: a filter, a reward or a metric.
public protocol RowFunction: Sendable {
    init()
    /// The number of a row. Called by several threads at once.
    /// - Throws: `PluginError(.invalid, …)` naming what the row lacks.
    func judge(_ row: JSON) throws -> Double
}

private final class RowFunctionContext {
    let function: any RowFunction
    init(_ type: any RowFunction.Type) { function = type.init() }
}

extension Components {
    /// Offers a filter: rows whose number is 0 are left out.
    public func filter(_ id: String, _ type: any RowFunction.Type, summary: String) {
        add(MT_KIND_FILTER, id, type, summary)
    }

    /// Offers a reward: the higher, the better the answer at "completion".
    public func reward(_ id: String, _ type: any RowFunction.Type, summary: String) {
        add(MT_KIND_REWARD, id, type, summary)
    }

    /// Offers a metric: its mean over all rows is reported.
    public func metric(_ id: String, _ type: any RowFunction.Type, summary: String) {
        add(MT_KIND_METRIC, id, type, summary)
    }

    private func add(_ kind: String, _ id: String, _ type: any RowFunction.Type, _ summary: String) {
        var table = mt_row_table()
        table.struct_size = UInt32(MemoryLayout<mt_row_table>.size)
        table.judge = { context, row, out, error in
            guarded(error) {
                let function = try Handle.context(context, as: RowFunctionContext.self).function
                let document: JSON
                do {
                    document = try JSON(parsing: row.bytes)
                } catch {
                    throw PluginError(.invalid, "the row is no JSON: \(error)")
                }
                out?.pointee = try function.judge(document)
            }
        }
        add(kind: kind, id: id, summary: summary, table: table, context: RowFunctionContext(type))
    }
}
