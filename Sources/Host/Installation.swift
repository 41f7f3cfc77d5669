import Files
import JSON

/// plugins.json: where plugins are, which are enabled, which one wins, their settings, and the policy for them.
package struct Installation: Sendable {
    /// What is said of one plugin.
    package struct Entry: Sendable {
        package var isEnabled = true
        package var settings = JSON.object(JSONObject())
    }
    /// The file; nil when there is none and the default is in use.
    package var path: String?
    /// Directories that are searched for manifests, absolute.
    package var directories: [String]
    /// Directories that are searched for libraries after the manifest's own, absolute.
    package var libraryDirectories: [String]
    package var entries: [String: Entry] = [:]
    /// Plugin id by kind and component id, for components that several plugins claim.
    package var preferences: [String: [String: String]] = [:]
    package var policy = Policy()
    /// Functions of plain libraries that are components.
    package private(set) var foreign: [ForeignEntry] = []
    /// What the manifests say, in the order in which they were found.
    package private(set) var manifests: [Manifest] = []
    /// Manifests and directories that could not be read; they have no effect on the others.
    package private(set) var problems: [HostError] = []

    package static let fileName = "plugins.json"

    package static let schema = Schema.object([
        .optional("$schema", .text(.any), "where the JSON Schema is, for editors"),
        .required("schema", .integer(1...1), "version of this file's format: 1"),
        .optional(
            "directories", .list(of: .text(.path)),
            "where manifests are: DIR/plugin.json, DIR/*/plugin.json and DIR/*/*/plugin.json; relative to this file"),
        .optional("libraries", .list(of: .text(.path)), "more directories for libraries; relative to this file"),
        .optional(
            "plugins",
            .map(
                of: .object([
                    .optional("enabled", .boolean, "false: the plugin is listed and never opened"),
                    .optional("settings", .anyObject, "the plugin's own configuration"),
                ])), "settings by plugin id"),
        .optional(
            "preferences", .map(of: .map(of: .text(.identifier))),
            "kind → component id → the plugin that offers it, where several do"),
        .optional("foreign", .list(of: ForeignEntry.schema), "functions of plain shared libraries that are components"),
        .optional("policy", Policy.schema, "what may be loaded"),
    ])
}

extension Installation {
    /// Finds and reads the installation of this program.
    /// - Parameter extraDirectories: From `--plugin_path`; those of MARTLET_PLUGIN_PATH are added.
    package static func standard(extra: [String] = []) throws(HostError) -> Installation {
        var installation: Installation
        if let path = try locate() {
            installation = try Installation(path: path)
        } else {
            installation = .fallback
        }
        let environment = FileSystem.environment("MARTLET_PLUGIN_PATH")?.split(separator: ":").map(String.init) ?? []
        for directory in extra + environment {
            guard let real = FileSystem.real(directory) else {
                throw HostError(
                    .io, directory, "this plugin directory does not exist",
                    fix: "correct --plugin_path or MARTLET_PLUGIN_PATH")
            }
            if !installation.directories.contains(real) { installation.directories.append(real) }
        }
        installation.scan()
        return installation
    }

    /// The file in force: MARTLET_PLUGINS_JSON, else that of the installed prefix, else the nearest above the
    /// executable (a development tree). The working directory is never asked.
    package static func locate() throws(HostError) -> String? {
        if let named = FileSystem.environment("MARTLET_PLUGINS_JSON") {
            guard let real = FileSystem.real(named) else {
                throw HostError(
                    .io, named, "MARTLET_PLUGINS_JSON names this file, and it does not exist",
                    fix: "correct or unset it")
            }
            return real
        }
        var directory = FileSystem.parent(of: FileSystem.executable)
        let installed = "\(FileSystem.parent(of: directory))/share/martlet/\(fileName)"
        if System.kind(of: installed) != nil { return installed }
        for _ in 0..<5 {
            directory = FileSystem.parent(of: directory)
            if System.kind(of: "\(directory)/\(fileName)") != nil { return "\(directory)/\(fileName)" }
        }
        return nil
    }

    private static var executableDirectory: String { FileSystem.parent(of: FileSystem.executable) }
    private static var prefix: String { FileSystem.parent(of: executableDirectory) }

    /// What holds when there is no plugins.json: the plugins beside the program, all enabled, no policy.
    static var fallback: Installation {
        Installation(
            path: nil, directories: ["\(prefix)/share/martlet/plugins"],
            libraryDirectories: [executableDirectory, "\(prefix)/lib/martlet"])
    }

    /// Reads the file, not yet the manifests.
    /// - Throws: `HostError(.installation)` naming file, line, field, found and wanted.
    package init(path: String) throws(HostError) {
        let document = try CheckedDocument(path: path, schema: Self.schema, code: .installation)
        let base = FileSystem.parent(of: path)
        func paths(_ key: String) -> [String] {
            (document.root[key]?.array ?? []).compactMap(\.string).map { FileSystem.absolute($0, from: base) }
        }
        self = .fallback
        self.path = path
        directories = paths("directories")
        libraryDirectories = paths("libraries") + libraryDirectories
        for (id, value) in document.root["plugins"]?.object ?? JSONObject() {
            var entry = Entry()
            entry.isEnabled = value["enabled"]?.bool ?? true
            if let settings = value["settings"] { entry.settings = settings }
            entries[id] = entry
        }
        for (kind, choices) in document.root["preferences"]?.object ?? JSONObject() {
            for (id, plugin) in choices.object ?? JSONObject() { preferences[kind, default: [:]][id] = plugin.string }
        }
        foreign = (document.root["foreign"]?.array ?? []).enumerated().map { index, value in
            ForeignEntry(value, place: document.place(of: "foreign[\(index)]"))
        }
        for (i, entry) in foreign.enumerated() {
            guard let first = foreign[..<i].firstIndex(where: { ($0.kind, $0.id) == (entry.kind, entry.id) }) else {
                continue
            }
            throw document.refusal(
                "foreign[\(i)]", "\(entry.kind) \(entry.id) is already foreign[\(first)]", fix: "give it another id")
        }
        policy = try Policy(document.root["policy"], base: base, document: document)
    }

    /// Reads all manifests.
    package mutating func scan() {
        manifests = []
        problems = []
        for path in manifestPaths() {
            do throws(HostError) {
                manifests.append(try Manifest(path: path))
            } catch {
                problems.append(error)
            }
        }
    }

    /// Paths of the manifests, in order; a directory that holds one is not searched further.
    private mutating func manifestPaths() -> [String] {
        var found: [String] = []
        var seen: Set<String> = []
        func search(_ directory: String, depth: Int) {
            let here = "\(directory)/plugin.json"
            if System.kind(of: here) != nil {
                // Directories may overlap.
                if seen.insert(FileSystem.real(here) ?? here).inserted { found.append(here) }
                return
            }
            guard depth < 2 else { return }
            do throws(FileError) {
                for name in try System.list(directory) where !name.hasPrefix(".") {
                    let below = "\(directory)/\(name)"
                    if FileSystem.isDirectory(below) { search(below, depth: depth + 1) }
                }
            } catch {
                var problem = HostError(error)
                if depth == 0, let path, problem.fix.isEmpty {
                    problem.fix = "correct `directories` in \(path), or martlet plugin remove \(directory)"
                }
                problems.append(problem)
            }
        }
        for directory in directories where path != nil || System.kind(of: directory) != nil {
            search(directory, depth: 0)
        }
        return found
    }

    /// The library of a manifest.
    package func library(of manifest: Manifest) throws(HostError) -> String {
        let places = [manifest.directory] + libraryDirectories
        for place in places {
            let candidate = "\(place)/\(manifest.library)"
            if System.kind(of: candidate) != nil { return candidate }
        }
        throw HostError(
            .library, manifest.id, "its library \(manifest.library) is in none of \(places.joined(separator: ", "))",
            fix: "build or reinstall the plugin")
    }
}
