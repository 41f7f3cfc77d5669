import Export
import Files
import Glibc
import Host
import Hub
import Training

/// A model's files, or where only its configuration is here: a stand-in whose weights take no room.
enum ModelShapeFiles {
    static func withPath(_ arguments: Arguments, _ registry: Registry, _ body: (String) throws -> Void) throws {
        let name = try arguments.required("model")
        let path = try System.kind(of: name) == nil ? fetched(name, arguments, registry) : name
        let isDirectory = System.kind(of: path) == .directory
        let config = isDirectory ? System.join(path, "config.json") : path
        let names = isDirectory ? try System.list(path) : []
        let hasWeights = names.contains { name in [".safetensors", ".gguf", ".bin"].contains { name.hasSuffix($0) } }
        guard !hasWeights, System.kind(of: config) == .file, config.hasSuffix(".json") else { return try body(path) }
        let directory = "\(FileSystem.environment("TMPDIR") ?? "/tmp")/martlet-shape-\(getpid())"
        defer { try? ReplacementDirectory.remove(directory) }
        let model = try NewModel(
            config: try .init(file: config), layout: try Session.dense(arguments) ?? "bf16", seed: 0,
            components: registry, at: config)
        try model.writeShape(to: directory)
        try body(directory)
    }

    /// The whole model where it is on this machine; else its configuration alone.
    private static func fetched(_ name: String, _ arguments: Arguments, _ registry: Registry) throws -> String {
        let resolver = NameResolver(registry)
        let usesHuggingFace = Session.usesHuggingFace(arguments)
        var options = Session.downloadOptions(arguments)
        let isOffline = options.offline
        options.offline = true
        if let path = try? resolver.path(name, usesHuggingFace: usesHuggingFace, options) { return path }
        options.offline = isOffline
        options.patterns = FilePatterns(include: ["config.json"], exclude: [])
        return try resolver.path(name, usesHuggingFace: usesHuggingFace, options)
    }
}
