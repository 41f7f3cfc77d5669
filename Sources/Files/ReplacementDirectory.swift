import Glibc

/// A directory filled beside its final name and given that name once everything in it is on disk.
///
/// Its name begins with a dot until then, so that no reader takes a half-written one for a whole one.
package final class ReplacementDirectory {
    package let path: String
    /// Where files are to be put until `place`.
    package let workPath: String
    private var isPlaced = false

    /// - Parameter path: What it is to be called; nothing may stand there yet.
    package init(_ path: String) throws(FileError) {
        self.path = path
        workPath = Self.beside(path, "partial")
        guard System.kind(of: path) == nil else {
            throw FileError(path, "creating", found: "something of that name", wanted: "a free name")
        }
        try Self.remove(workPath)
        try System.makeDirectories(workPath)
    }

    deinit { if !isPlaced { try? Self.remove(workPath) } }

    /// Flushes every file and directory, and gives the directory its name.
    package func place() throws(FileError) {
        try Self.flush(workPath)
        try System.move(workPath, to: path)
        isPlaced = true
        try System.flush(directory: System.parent(of: path) ?? "")
    }

    /// Removes a directory of files; from the first moment on it does not carry its name any more.
    package static func discard(_ path: String) throws(FileError) {
        let gone = beside(path, "discarded")
        try remove(gone)
        try System.move(path, to: gone)
        try System.flush(directory: System.parent(of: path) ?? "")
        try remove(gone)
    }

    /// Removes what killed processes left behind in a directory of replacement directories.
    package static func sweep(_ directory: String) throws(FileError) {
        for name in try System.list(directory) where name.hasPrefix(".") {
            if name.hasSuffix(".partial") || name.hasSuffix(".discarded") { try remove(System.join(directory, name)) }
        }
    }

    private static func beside(_ path: String, _ ending: String) -> String {
        System.join(System.parent(of: path) ?? "", ".\(System.lastComponent(of: path)).\(ending)")
    }

    /// Flushes the files of a directory, then it and those within it.
    private static func flush(_ directory: String) throws(FileError) {
        for name in try System.list(directory) {
            let path = System.join(directory, name)
            if System.kind(of: path) == .directory {
                try flush(path)
            } else {
                let descriptor = open(path, O_RDONLY | O_CLOEXEC)
                guard descriptor >= 0 else { throw System.error(path, "opening", wanted: "a readable file") }
                defer { close(descriptor) }
                guard fsync(descriptor) == 0 else { throw System.error(path, "flushing", wanted: "its bytes on disk") }
            }
        }
        try System.flush(directory: directory)
    }

    /// Removes a file or directory with all it holds, if there is one. Links are removed, not followed.
    package static func remove(_ path: String) throws(FileError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            guard unlink(path) == 0 else { throw System.error(path, "removing", wanted: "it gone") }
            return
        }
        for name in try System.list(path) { try remove(System.join(path, name)) }
        guard rmdir(path) == 0 else { throw System.error(path, "removing", wanted: "it gone") }
    }
}
