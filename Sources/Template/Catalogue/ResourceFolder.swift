import Files
import Glibc
import JSON

/// The data files of an installation: `templates.json`, `catalogue.json`, `datasets.json`.
package struct ResourceFolder: Sendable {
    package let path: String

    package init(_ path: String) { self.path = path }

    /// The folder of this installation: MARTLET_RESOURCES, or `share/martlet` or `Resources` beside the program or
    /// above it. Nil if there is none.
    package static func installed() -> ResourceFolder? {
        if let path = getenv("MARTLET_RESOURCES") { return ResourceFolder(String(cString: path)) }
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        guard count > 0, count < buffer.count else { return nil }
        var folder = Text.string(buffer[..<count].map { UInt8(bitPattern: $0) }[...])
        while let slash = folder.lastIndex(of: "/") {
            folder = String(folder[..<slash])
            for name in ["share/martlet", "Resources"] where access("\(folder)/\(name)/templates.json", R_OK) == 0 {
                return ResourceFolder("\(folder)/\(name)")
            }
        }
        return nil
    }

    func json(_ name: String) throws(CatalogueError) -> JSON {
        let file = "\(path)/\(name)"
        let mapped: MappedFile
        do { mapped = try MappedFile(file) } catch { throw CatalogueError("\(error)") }
        do { return try JSON(parsing: mapped.bytes.bindMemory(to: UInt8.self)) } catch {
            throw CatalogueError("\(file): \(error)")
        }
    }
}

/// Why a name means nothing here; the message says what would.
package struct CatalogueError: Error, Equatable, Sendable, CustomStringConvertible {
    package let message: String
    /// Names that may have been meant.
    package let candidates: [String]

    package init(_ message: String, candidates: [String] = []) {
        self.message = message
        self.candidates = candidates
    }

    package var description: String {
        candidates.isEmpty ? message : message + ": " + candidates.joined(separator: ", ")
    }
}
