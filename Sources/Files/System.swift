import Glibc

/// Calls of the operating system that every reader and writer of files shares.
package enum System {
    /// The text of `errno` as it stands, such as "No such file or directory".
    package static var lastError: String { String(cString: strerror(errno)) }

    package static func error(_ path: String, _ what: String, wanted: String, fix: String? = nil) -> FileError {
        FileError(path, what, found: lastError, wanted: wanted, fix: fix)
    }

    package enum Kind { case file, directory, other }

    /// What stands at `path`, links followed, or nil if nothing does.
    package static func kind(of path: String) -> Kind? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return .file
        case S_IFDIR: return .directory
        default: return .other
        }
    }

    package static func size(of path: String) -> Int? {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : nil
    }

    /// The process's working directory, nil if it is gone.
    package static var workingDirectory: String? {
        guard let path = getcwd(nil, 0) else { return nil }
        defer { free(path) }
        return String(cString: path)
    }

    /// The names in a directory, sorted, without "." and "..".
    package static func list(_ directory: String) throws(FileError) -> [String] {
        guard let handle = opendir(directory) else { throw error(directory, "opening", wanted: "a readable directory") }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: Int(entry.pointee.d_reclen)) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Makes `directory` and those above it that are missing.
    package static func makeDirectories(_ directory: String) throws(FileError) {
        if directory.isEmpty || kind(of: directory) == .directory { return }
        if let parent = parent(of: directory) { try makeDirectories(parent) }
        if mkdir(directory, 0o777) != 0, errno != EEXIST || kind(of: directory) != .directory {
            throw error(directory, "creating the directory", wanted: "a directory that may be written")
        }
    }

    /// Makes names that were created, renamed or removed in `directory` survive a loss of power.
    package static func flush(directory: String) throws(FileError) {
        let descriptor = open(directory.isEmpty ? "." : directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw error(directory, "opening", wanted: "a readable directory") }
        defer { close(descriptor) }
        // Some file systems cannot flush directories and say EINVAL; there is nothing more to be done on those.
        if fsync(descriptor) != 0, errno != EINVAL { throw error(directory, "flushing", wanted: "names on disk") }
    }

    /// Gives a file or directory another name; what has that name already stays, unless it is a file.
    package static func move(_ path: String, to target: String) throws(FileError) {
        guard rename(path, target) == 0 else {
            throw error(path, "renaming to \(target)", wanted: "it under its new name")
        }
    }

    /// Removes a file; whether there was one.
    @discardableResult package static func remove(_ path: String) -> Bool { unlink(path) == 0 }

    /// The part of `path` before its last "/", or nil when there is none.
    package static func parent(of path: String) -> String? {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return nil }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    package static func lastComponent(of path: String) -> String {
        path.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(path[path.utf8.index(after: $0)...]) } ?? path
    }

    package static func join(_ directory: String, _ name: String) -> String {
        directory.isEmpty || directory.hasSuffix("/") ? directory + name : directory + "/" + name
    }
}
