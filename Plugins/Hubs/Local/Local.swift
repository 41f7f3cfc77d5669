import Glibc
import JSON
import PluginKit

/// Directories and files of this machine: nothing is fetched or copied.
package final class Local: Hub {
    package init() {}

    package func probe(_ id: String) -> Int { Self.path(id).map { access($0, F_OK) == 0 } == true ? 100 : 0 }

    package func listing(_ query: JSON) throws -> JSON {
        let id = query["id"]?.string ?? ""
        guard let path = Self.path(id), access(path, R_OK) == 0 else {
            throw PluginError(.notFound, "found no readable file or directory", at: id)
        }
        return ["path": .string(path)]
    }

    package func files(_ query: JSON, answer: UnsafeRawBufferPointer) throws -> JSON {
        throw PluginError(.unsupported, "a local directory has no listing to fetch")
    }

    private static func path(_ id: String) -> String? {
        if id.isEmpty || id.utf8.contains(0) { return nil }
        if id.hasPrefix("file://") { return String(id.dropFirst(7)) }
        if id.hasPrefix("~/"), let home = getenv("HOME") { return String(cString: home) + id.dropFirst() }
        return id
    }
}
