import Files
import Glibc
import JSON

/// Changes to plugins.json. The file is replaced as a whole, so a reader, or a crash at any moment, meets the old or the
/// new content; two changes at once follow each other.
package struct InstallationFile {
    package let path: String

    package init(path: String) { self.path = path }

    /// The file in force, or the one that would be: that of the installed prefix.
    package static func current() throws(HostError) -> InstallationFile {
        if let path = try Installation.locate() { return InstallationFile(path: path) }
        let prefix = FileSystem.parent(of: FileSystem.parent(of: FileSystem.executable))
        return InstallationFile(path: "\(prefix)/share/martlet/\(Installation.fileName)")
    }

    /// Adds a plugin's directory, enables the plugin, and pins its library's digest.
    package func add(_ manifest: Manifest, digest: String) throws(HostError) {
        try edit { root in
            let base = FileSystem.parent(of: path)
            var directories = root["directories"]?.array ?? []
            let known = directories.compactMap(\.string).compactMap {
                FileSystem.real(FileSystem.absolute($0, from: base))
            }
            let place = FileSystem.real(manifest.directory) ?? manifest.directory
            // The scan goes two levels down.
            let above = [place, FileSystem.parent(of: place), FileSystem.parent(of: FileSystem.parent(of: place))]
            if !above.contains(where: known.contains) { directories.append(.string(place)) }
            root["directories"] = .array(directories)
            if root["plugins"]?[manifest.id]?["enabled"]?.bool == false {
                Self.set(&root, "plugins", manifest.id) { $0["enabled"] = nil }
            }
            var policy = root["policy"]?.object ?? JSONObject()
            var digests = policy["sha256"]?.object ?? JSONObject()
            digests[manifest.id] = .string(digest)
            policy["sha256"] = .object(digests)
            root["policy"] = .object(policy)
        }
    }

    /// Takes a plugin's directory out; where it is found by a directory above its own, it is disabled.
    package func remove(_ manifest: Manifest) throws(HostError) {
        try edit { root in
            let base = FileSystem.parent(of: path)
            let place = FileSystem.real(manifest.directory)
            let directories = root["directories"]?.array ?? []
            let left = directories.filter { FileSystem.real(FileSystem.absolute($0.string ?? "", from: base)) != place }
            root["directories"] = .array(left)
            if left.count == directories.count { Self.set(&root, "plugins", manifest.id) { $0["enabled"] = false } }
            guard var policy = root["policy"]?.object, var digests = policy["sha256"]?.object else { return }
            digests[manifest.id] = nil
            policy["sha256"] = .object(digests)
            root["policy"] = .object(policy)
        }
    }

    /// Takes out what is said of a plugin whose manifest cannot be read.
    /// - Parameter name: Its id, or its directory.
    /// - Returns: Whether anything was said of it.
    package func forget(_ name: String) throws(HostError) -> Bool {
        var isKnown = false
        try edit { root in
            let base = FileSystem.parent(of: path)
            let here = FileSystem.real(".") ?? "."
            let place = FileSystem.absolute(name, from: here)
            let directories = root["directories"]?.array ?? []
            let left = directories.filter { entry in
                let listed = FileSystem.absolute(entry.string ?? "", from: base)
                return listed != place
                    && (FileSystem.real(listed) == nil || FileSystem.real(listed) != FileSystem.real(place))
            }
            isKnown = left.count < directories.count
            root["directories"] = .array(left)
            for (group, key) in [(root["plugins"], "plugins"), (root["policy"]?["sha256"], "sha256")] {
                guard var members = group?.object, members[name] != nil else { continue }
                members[name] = nil
                isKnown = true
                if key == "plugins" {
                    root[key] = .object(members)
                } else if var policy = root["policy"]?.object {
                    policy[key] = .object(members)
                    root["policy"] = .object(policy)
                }
            }
        }
        return isKnown
    }

    private static func set(_ root: inout JSONObject, _ key: String, _ id: String, _ change: (inout JSONObject) -> Void)
    {
        var group = root[key]?.object ?? JSONObject()
        var entry = group[id]?.object ?? JSONObject()
        change(&entry)
        group[id] = entry.isEmpty ? nil : .object(entry)
        root[key] = .object(group)
    }

    private func edit(_ change: (inout JSONObject) -> Void) throws(HostError) {
        let directory = FileSystem.parent(of: path)
        do throws(FileError) {
            try System.makeDirectories(directory)
        } catch {
            throw HostError(error)
        }
        let lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard lock >= 0, flock(lock, LOCK_EX) == 0 else {
            throw HostError(.io, directory, "cannot be locked: \(System.lastError)")
        }
        defer { close(lock) }
        // Where there was none, the plugins beside the program were in force, and stay so.
        var root = JSONObject([("schema", 1), ("directories", ["plugins"])])
        if System.kind(of: path) != nil {
            root = try CheckedDocument(path: path, schema: Installation.schema, code: .installation).root.object ?? root
        }
        change(&root)
        let bytes = Array((JSON.object(root).text(.pretty) + "\n").utf8)
        _ = try CheckedDocument(path: path, bytes: bytes, schema: Installation.schema, code: .installation)
        do throws(FileError) {
            try ReplacementFile.write(bytes, to: path)
        } catch {
            throw HostError(error)
        }
    }
}
