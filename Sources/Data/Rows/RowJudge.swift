import PluginAPI
import PluginKit

/// A filter, reward or metric as the host knows it: a component that gives a row's number.
package struct RowJudge: @unchecked Sendable {
    package let id: String
    /// Lives as long as the process, as the context does (contract, section "Ownership").
    private let table: UnsafePointer<mt_row_table>
    private let context: UnsafeMutableRawPointer?

    /// A component of one of the kinds of kinds/row.h, as the host's registry gives it; nil where it has no table.
    package init?(_ component: mt_component) {
        guard let table = component.table else { return nil }
        id = component.id.string
        self.table = table.assumingMemoryBound(to: mt_row_table.self)
        context = component.ctx
    }

    /// The number of a row, the text of one JSON object. May be called by several threads at once.
    package func judge(_ row: [UInt8]) throws -> Double {
        guard let judge = table.pointee.judge else { throw PluginError(.unsupported, "\(id) has no judge function") }
        var result = 0.0
        try row.withUnsafeBytes { bytes in
            let text = mt_str(data: bytes.baseAddress?.assumingMemoryBound(to: CChar.self), size: bytes.count)
            try checked { judge(context, text, &result, $0) }
        }
        guard result.isFinite else { throw PluginError(.error, "\(id) gave \(result), wanted a finite number") }
        return result
    }
}
