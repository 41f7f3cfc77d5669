import Files
import Glibc

/// Paths and small files, as the host needs them.
package enum FileSystem {
    /// The whole of a regular file.
    /// - Parameter limit: Bytes above which the file is refused.
    package static func read(_ path: String, limit: Int) throws(HostError) -> [UInt8] {
        do throws(FileError) {
            let file = try MappedFile(path)
            guard file.bytes.count <= limit else {
                throw FileError(path, "its size", found: "\(file.bytes.count) bytes", wanted: "at most \(limit)")
            }
            return withExtendedLifetime(file) { Array(file.bytes) }
        } catch {
            throw HostError(error)
        }
    }

    package static func isDirectory(_ path: String) -> Bool { System.kind(of: path) == .directory }

    /// The path without links, "." and ".."; nil when it leads nowhere.
    package static func real(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    package static func parent(of path: String) -> String { System.parent(of: path) ?? "." }

    /// `path`, taken from `directory` when it is relative; a leading "~/" is the user's home.
    package static func absolute(_ path: String, from directory: String) -> String {
        if path.hasPrefix("/") { return path }
        if path.hasPrefix("~/"), let home = environment("HOME") { return home + path.dropFirst(1) }
        return path == "." ? directory : "\(directory)/\(path)"
    }

    package static func environment(_ name: String) -> String? {
        guard let value = getenv(name) else { return nil }
        let text = String(cString: value)
        return text.isEmpty ? nil : text
    }

    /// The running program's real path.
    package static let executable = real("/proc/self/exe") ?? "/proc/self/exe"
}

extension HostError {
    init(_ error: FileError) {
        self.init(
            .io, error.path, "\(error.field): found \(error.found), wanted \(error.wanted)", fix: error.fix ?? "")
    }
}
