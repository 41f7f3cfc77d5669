package import Host
import JSON
import PluginAPI
import PluginKit

/// What the room asks of a hub.
package protocol HubSource {
    /// Its name, such as "modelscope".
    var id: String { get }
    func listing(_ query: JSON) throws -> JSON
    func files(_ query: JSON, answer: [UInt8]) throws -> JSON
}

/// A hub of a plugin.
package struct HubHandle: HubSource {
    package let id: String
    private let table: UnsafePointer<mt_hub_table>
    private let context: UnsafeMutableRawPointer?

    /// The hub that knows `id` best, or the one called `name`.
    package init(for id: String, named name: String? = nil, registry: Registry) throws {
        var best: (score: Int, priority: Int32, component: mt_component, id: String)?
        var failure: HostError?
        for candidate in registry.componentIDs(kind: MT_KIND_HUB) where name == nil || name == candidate {
            let component: mt_component
            do throws(HostError) {
                component = try registry.component(kind: MT_KIND_HUB, id: candidate)
            } catch {
                failure = error
                continue
            }
            guard let table = component.table?.assumingMemoryBound(to: mt_hub_table.self) else { continue }
            let score = name == nil ? id.lent { Int(table.pointee.probe(component.ctx, $0)) } : 100
            if score > 0, best.map({ (score, component.priority) > ($0.score, $0.priority) }) ?? true {
                best = (score, component.priority, component, candidate)
            }
        }
        guard let best, let table = best.component.table?.assumingMemoryBound(to: mt_hub_table.self) else {
            if let failure { throw failure }
            let known = registry.componentIDs(kind: MT_KIND_HUB).joined(separator: ", ")
            throw HubError(
                .notFound,
                name.map { "there is no hub \"\($0)\"; known are \(known)" }
                    ?? "no hub (\(known)) knows this name; give \"owner/name\", \"wheel:NAME==VERSION\" or a path that exists",
                at: id)
        }
        self.id = best.id
        self.table = table
        context = best.component.ctx
    }

    package func listing(_ query: JSON) throws -> JSON {
        try query.text().lent { text throws in
            try JSON(parsing: collected { sink in try checked { table.pointee.listing(context, text, sink, $0) } })
        }
    }

    package func files(_ query: JSON, answer: [UInt8]) throws -> JSON {
        try query.text().lent { text throws in
            try answer.withUnsafeBytes { bytes in
                let view = mt_bytes(data: bytes.baseAddress, size: bytes.count)
                return try JSON(
                    parsing: collected { sink in try checked { table.pointee.files(context, text, view, sink, $0) } })
            }
        }
    }
}
