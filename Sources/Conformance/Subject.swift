import Files
import Graph
import Host
import PluginAPI
import PluginKit

/// The plugin under question.
package struct Subject {
    package let manifestPath: String
    /// The library, or why there is none.
    private let library: Result<String, HostError>
    /// Files of configurations for model families, beside the plugin's own check/config.json.
    package let configPaths: [String]

    /// - Parameter path: A plugin's directory, its plugin.json, or its library beside one.
    package init(_ path: String, configs: [String] = []) throws(HostError) {
        configPaths = configs
        guard let real = FileSystem.real(path) else {
            throw HostError(.io, path, "does not exist", fix: "name a plugin's directory")
        }
        let directory = FileSystem.isDirectory(real) ? real : FileSystem.parent(of: real)
        manifestPath = "\(directory)/plugin.json"
        let path = manifestPath
        library = Result { () throws(HostError) in
            try Installation.standard().library(of: try Manifest(path: path))
        }
    }

    func manifest() throws(HostError) -> Manifest { try Manifest(path: manifestPath) }

    func libraryPath() throws -> String {
        try library.get()
    }

    /// The descriptor, by a host as given.
    func descriptor(_ services: Services = .quiet) throws -> UnsafePointer<mt_plugin> {
        let id = try manifest().id
        return try Library(path: libraryPath(), plugin: id).descriptor(host: services.handle, plugin: id)
    }

    /// The descriptor, checked, with init done.
    func initialized(_ services: Services = .quiet) throws -> mt_plugin {
        let manifest = try manifest()
        let plugin = try LoadedPlugin.checked(try descriptor(services), manifest, .current)
        try LoadedPlugin.initialize(plugin, services.handle, manifest.id)
        return plugin
    }

    /// The plugin's own small files of its formats: those under check/ beside its manifest.
    func samples() throws -> [(String, [UInt8])] {
        let directory = "\(FileSystem.parent(of: manifestPath))/check"
        guard System.kind(of: directory) == .directory else { return [] }
        let names = try System.list(directory).filter { !$0.hasPrefix(".") && $0 != "config.json" }
        return try names.filter { System.kind(of: "\(directory)/\($0)") == .file }.prefix(16).map {
            ($0, try FileSystem.read("\(directory)/\($0)", limit: 1 << 16))
        }
    }

    /// The texts of the configurations that model families are built with.
    func configs() throws -> [String] {
        let own = "\(FileSystem.parent(of: manifestPath))/check/config.json"
        let paths = configPaths + (System.kind(of: own) == nil ? [] : [own])
        return try paths.map { String(decoding: try FileSystem.read($0, limit: 1 << 20), as: UTF8.self) }
    }
}

extension Services {
    /// A host that keeps its log to itself, so that what a plugin writes is the plugin's own.
    static var quiet: Services {
        let services = Services(log: Log(least: .error) { _, _, _ in })
        services.register(MT_SERVICE_GRAPH, at: GraphService.table)
        services.register(MT_SERVICE_MODEL, at: SuiteRunner.table)
        return services
    }
}

extension mt_plugin {
    /// Asks for component `index` into a buffer of `size` bytes, and gives status, message and the buffer.
    func describe(_ index: Int, size: Int = MemoryLayout<mt_component>.size) -> (
        status: mt_status, message: String, raw: mt_component, tail: [UInt8]
    ) {
        let capacity = 256
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        defer { buffer.deallocate() }
        buffer.initializeMemory(as: UInt8.self, repeating: 0xAA, count: capacity)
        buffer.storeBytes(of: UInt32(size), as: UInt32.self)
        var error = mt_error()
        error.struct_size = UInt32(MemoryLayout<mt_error>.size)
        let status = component?(ctx, index, buffer.assumingMemoryBound(to: mt_component.self), &error) ?? MT_ERROR
        let message = withUnsafeBytes(of: error.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        let tail = Array(UnsafeRawBufferPointer(start: buffer + max(size, 4), count: capacity - max(size, 4)))
        return (status, message, buffer.load(as: mt_component.self), tail)
    }
}
