import Kinds
import PluginAPI
import PluginKit

/// An implementation of a kind, ready to be called.
package struct Component: @unchecked Sendable {
    package let plugin: String
    package let kind: String
    package let id: String
    package let summary: String
    package let priority: Int
    /// Passed as the first argument to the table's functions.
    package let context: UnsafeMutableRawPointer?
    private let rawTable: UnsafeRawPointer
    /// The plugin's own texts, which live as long as the process.
    private let texts: (kind: mt_str, id: mt_str, summary: mt_str)

    /// - Throws: `HostError(.initialization)` when a field breaks the contract.
    package init(_ raw: mt_component, plugin: String, index: Int) throws(HostError) {
        func wrong(_ message: String) -> HostError {
            HostError(.initialization, plugin, "component \(index) \(message)", fix: "fill every field of mt_component")
        }
        guard let table = raw.table else { throw wrong("has no table") }
        guard Int(bitPattern: table) % 8 == 0 else { throw wrong("has a table that is not aligned to 8 bytes") }
        guard table.load(as: UInt32.self) >= 8 else {
            throw wrong("has a table whose struct_size is \(table.load(as: UInt32.self))")
        }
        for (text, name) in [(raw.kind, "kind"), (raw.id, "id"), (raw.summary, "summary")] {
            guard text.size == 0 || text.data != nil, 0...4096 ~= text.size else {
                throw wrong("has a \(name) that is no text")
            }
            guard String(validating: text.bytes, as: UTF8.self) != nil else {
                throw wrong("has a \(name) that is not UTF-8")
            }
        }
        self.plugin = plugin
        kind = raw.kind.string
        id = raw.id.string
        summary = raw.summary.string
        priority = Int(raw.priority)
        context = raw.ctx
        rawTable = table
        texts = (raw.kind, raw.id, raw.summary)
    }

    /// As the contract's struct, for another plugin.
    package var raw: mt_component {
        var raw = mt_component()
        raw.struct_size = UInt32(MemoryLayout<mt_component>.size)
        raw.priority = Int32(clamping: priority)
        raw.kind = texts.kind
        raw.id = texts.id
        raw.summary = texts.summary
        raw.table = rawTable
        raw.ctx = context
        return raw
    }

    /// What the table lacks of its kind; nil when it is whole, or when the kind is none of the contract's.
    package var tableFault: String? { TableShape.known[kind]?.fault(rawTable) }

    /// The kind's table. What an older plugin's table does not reach stays as in `empty`: functions absent.
    package func table<Table>(_ empty: Table) -> Table {
        var table = empty
        let known = min(Int(rawTable.load(as: UInt32.self)), MemoryLayout<Table>.size)
        withUnsafeMutableBytes(of: &table) {
            $0.copyMemory(from: UnsafeRawBufferPointer(start: rawTable, count: known))
        }
        return table
    }
}
