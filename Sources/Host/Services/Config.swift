import JSON
import PluginAPI
import PluginKit

/// What mt_document points to.
private final class Document {
    let root: JSON
    init(_ root: JSON) { self.root = root }

    /// The value at a path such as "rope_scaling.factor" or "layers[2].kind".
    func value(_ path: mt_str) throws -> JSON {
        let text = path.string
        guard let value = root.value(at: text) else { throw PluginError(.notFound, "\(text) is absent", at: text) }
        if value.isNull { throw PluginError(.notFound, "\(text) is null", at: text) }
        return value
    }

    /// The value at a path, as what `read` makes of it.
    func read<Value>(_ path: mt_str, _ wanted: String, _ read: (JSON) -> Value?) throws -> Value {
        let found = try value(path)
        guard let result = read(found) else {
            throw PluginError(
                .invalid, "\(path.string) is \(found.text().prefix(60)), wanted \(wanted)", at: path.string)
        }
        return result
    }

    static func from(_ handle: OpaquePointer?) throws -> Document { try Handle.object(handle, as: Document.self) }
}

extension Services {
    var configTable: mt_config {
        var table = mt_config()
        table.struct_size = UInt32(MemoryLayout<mt_config>.size)
        table.ctx = opaque
        table.parse = { _, text, out, error in
            guarded(error) {
                do {
                    out?.pointee = Handle.make(Document(try JSON(parsing: text.bytes)))
                } catch let failure as JSONError {
                    throw PluginError(.invalid, failure.message, at: "line \(failure.line), column \(failure.column)")
                }
            }
        }
        table.close = { _, document in Handle.release(document, as: Document.self) }
        table.integer = { _, document, path, out, error in
            guarded(error) {
                let value = try Document.from(document).read(path, "an integer") { $0.int }
                out?.pointee = Int64(value)
            }
        }
        table.number = { _, document, path, out, error in
            guarded(error) { out?.pointee = try Document.from(document).read(path, "a number") { $0.double } }
        }
        table.boolean = { _, document, path, out, error in
            guarded(error) { out?.pointee = try Document.from(document).read(path, "true or false") { $0.bool } }
        }
        table.string = { _, document, path, out, error in
            guarded(error) { try out.put(try Document.from(document).read(path, "a text") { $0.string }) }
        }
        table.count = { _, document, path, out, error in
            guarded(error) {
                out?.pointee = try Document.from(document).read(path, "an array or object") {
                    $0.array?.count ?? $0.object?.count
                }
            }
        }
        table.plugin_settings = { context, id, out, error in
            guarded(error) {
                let registry = try Services.from(context).currentRegistry()
                try out.put(registry?.installation.entries[id.string]?.settings.text() ?? "{}")
            }
        }
        return table
    }

    var registryTable: mt_registry {
        var table = mt_registry()
        table.struct_size = UInt32(MemoryLayout<mt_registry>.size)
        table.ctx = opaque
        table.find = { context, kind, id, out, error in
            guarded(error) {
                guard let registry = try Services.from(context).currentRegistry() else {
                    throw PluginError(.unsupported, "this host has no registry")
                }
                do throws(HostError) {
                    let component = try registry.find(kind: kind.string, id: id.string)
                    if let out { try? writeSized(component.raw, to: out, size: out.pointee.struct_size, \.struct_size) }
                } catch {
                    throw PluginError(
                        error.code == .notFound ? .notFound : .error, error.description, at: error.subject)
                }
            }
        }
        table.list = { context, kind, out, error in
            guarded(error) {
                let claims = try Services.from(context).currentRegistry()?.claims(kind: kind.string) ?? []
                try out.put(claims.map { $0.id + "\n" }.joined())
            }
        }
        return table
    }
}
