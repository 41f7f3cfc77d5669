public import JSON
import PluginAPI

/// Where models and data sets come from. A hub says what to ask for and reads the answer; the host does the asking.
/// Members may be called from any thread.
public protocol Hub: AnyObject, Sendable {
    init()
    /// How well this hub knows `id`: 0 = not at all.
    func probe(_ id: String) -> Int
    /// The request that lists the files: {"url", "headers"}, or {"path"} for what is already here.
    /// - Parameter query: {"id", "revision"?, "kind": "model" | "dataset", "endpoint"?, "token"?}
    func listing(_ query: JSON) throws -> JSON
    /// Reads the answer: {"revision", "files": [{"name", "size"?, "sha256"?, "git_sha1"?, "url", "headers", "unpack"?}],
    /// "next": {"url", "headers"}?}.
    func files(_ query: JSON, answer: UnsafeRawBufferPointer) throws -> JSON
}

private final class HubContext {
    let hub: any Hub
    init(_ hub: any Hub) { self.hub = hub }
}

extension Components {
    /// Offers a hub under `id`.
    public func hub(_ id: String, _ type: any Hub.Type, summary: String, priority: Int = 0) {
        var table = mt_hub_table()
        table.struct_size = UInt32(MemoryLayout<mt_hub_table>.size)
        table.probe = { context, id in
            Int32(clamping: (try? Handle.context(context, as: HubContext.self))?.hub.probe(id.string) ?? 0)
        }
        table.listing = { context, query, out, error in
            guarded(error) {
                let hub = try Handle.context(context, as: HubContext.self).hub
                try out.put(try hub.listing(try JSON(parsing: query.string)).text())
            }
        }
        table.files = { context, query, answer, out, error in
            guarded(error) {
                let hub = try Handle.context(context, as: HubContext.self).hub
                let bytes = UnsafeRawBufferPointer(start: answer.data, count: answer.data == nil ? 0 : answer.size)
                try out.put(try hub.files(try JSON(parsing: query.string), answer: bytes).text())
            }
        }
        add(
            kind: MT_KIND_HUB, id: id, summary: summary, priority: priority, table: table,
            context: HubContext(type.init()))
    }
}
