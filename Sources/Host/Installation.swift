import Files
import Glibc
internal import JSON

/// Which plugins this installation has, and the rules for them: plugins.json and the manifests that it leads to.
package struct Installation: Sendable {
    /// plugins.json's path; nil when there is none and the defaults hold.
    package let path: String?
    package let manifests: [Manifest]
    /// Manifests that could not be read, or stand in conflict: reported, and of no effect on the others.
    package let problems: [HostError]
    /// Component ids to be preferred, best first, by kind.
    package let preferences: [String: [String]]
    /// Per-plugin configuration as JSON text, by plugin id.
    package let settings: [String: String]
    private let libraryDirectories: [String]

    static let fields = ["$schema", "schema", "directories", "disabled", "preferences", "settings", "policy"]

    /// - Parameter extra: More plugin directories, such as those of `--plugin_path`.
    package static func standard(extra: [String] = []) throws(HostError) -> Installation {
        let executable = executablePath()
        let home = System.parent(of: executable) ?? "/"
        var added = extra
        if let text = getenv("MARTLET_PLUGIN_PATH") {
            added += String(cString: text).split(separator: ":").map(String.init)
        }
        let libraries = [home, "\(home)/../lib/martlet"]
        guard let path = find(home) else {
            return try Installation(
                document: nil, directories: ["\(home)/../lib/martlet/plugins"] + added, libraries: libraries)
        }
        return try Installation(document: Document(path: path), directories: added, libraries: libraries)
    }

    /// MARTLET_PLUGINS_JSON, else the installation's, else that of the source tree that the executable was built in.
    private static func find(_ home: String) -> String? {
        if let text = getenv("MARTLET_PLUGINS_JSON") { return String(cString: text) }
        let installed = "\(home)/../share/martlet/plugins.json"
        if System.kind(of: installed) == .file { return installed }
        var directory = home
        for _ in 0..<5 {
            if System.kind(of: "\(directory)/plugins.json") == .file { return "\(directory)/plugins.json" }
            guard let parent = System.parent(of: directory) else { return nil }
            directory = parent
        }
        return nil
    }

    static func executablePath() -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        return String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    package init(document: Document?, directories extra: [String], libraries: [String]) throws(HostError) {
        path = document?.path
        libraryDirectories = libraries
        var directories: [String] = []
        var disabled: [String] = []
        var preferences: [String: [String]] = [:]
        var settings: [String: String] = [:]
        if let document {
            try document.refuseUnknown("", known: Self.fields)
            let base = System.parent(of: document.path) ?? "."
            func texts(_ field: String) throws(HostError) -> [String] {
                try document.value(field, "a list of texts") { value in
                    value.array.flatMap { list in
                        let texts = list.compactMap(\.string)
                        return texts.count == list.count ? texts : nil
                    }
                } ?? []
            }
            directories = try texts("directories").map { $0.hasPrefix("/") ? $0 : "\(base)/\($0)" }
            disabled = try texts("disabled")
            for key in document.root["preferences"]?.object?.keys ?? [] {
                preferences[key] = document.root["preferences"]?[key]?.array?.compactMap(\.string) ?? []
            }
            for (key, value) in document.root["settings"]?.object ?? JSONObject() { settings[key] = value.text() }
        }
        self.preferences = preferences
        self.settings = settings
        var manifests: [Manifest] = []
        var problems: [HostError] = []
        for directory in directories + extra {
            for path in Self.manifestPaths(directory) {
                do throws(HostError) {
                    let manifest = try Manifest(path: path)
                    if disabled.contains(manifest.id) { continue }
                    if let other = manifests.first(where: { $0.id == manifest.id }) {
                        throw HostError(
                            .conflict, "the plugin id \"\(manifest.id)\" is taken by \(other.path); remove one of the two",
                            at: path)
                    }
                    manifests.append(manifest)
                } catch {
                    problems.append(error)
                }
            }
        }
        self.manifests = manifests
        self.problems = problems
    }

    /// plugin.json in the directory itself and up to two levels below.
    private static func manifestPaths(_ directory: String) -> [String] {
        var found: [String] = []
        func visit(_ directory: String, _ depth: Int) {
            if System.kind(of: "\(directory)/plugin.json") == .file { return found.append("\(directory)/plugin.json") }
            guard depth > 0, let names = try? System.list(directory) else { return }
            for name in names where !name.hasPrefix(".") { visit("\(directory)/\(name)", depth - 1) }
        }
        visit(directory, 2)
        return found
    }

    /// The file of a plugin's library: beside its manifest, else where the installation keeps its own.
    func libraryPath(_ manifest: Manifest) throws(HostError) -> String {
        let places = [System.parent(of: manifest.path) ?? "."] + libraryDirectories
        for place in places where System.kind(of: "\(place)/\(manifest.library)") == .file {
            return "\(place)/\(manifest.library)"
        }
        throw HostError(
            .library, "its library \(manifest.library) is in none of \(places.joined(separator: ", ")); build or copy it there",
            at: manifest.path)
    }
}
