public import PluginAPI

/// The types of `martlet_plugin_entry`, so that an entry file names no pointer.
public typealias HostHandle = UnsafePointer<mt_host>?
public typealias ErrorHandle = UnsafeMutablePointer<mt_error>?
public typealias PluginHandle = UnsafePointer<mt_plugin>?

/// What a plugin offers. Fill it in the closure of `plugin(_:version:_:_:_:)`.
public final class Components {
    /// One entry of the descriptor; table and context live as long as the process.
    struct Component {
        let kind: String
        let id: String
        let summary: String
        let priority: Int
        let table: UnsafeRawPointer
        let context: UnsafeMutableRawPointer?
    }
    private(set) var all: [Component] = []

    /// Adds a component. Kinds bring their own, typed functions (`model`, `tokenizer` …) that call this one.
    /// - Parameters:
    ///   - table: The kind's table; it is copied and never freed.
    ///   - context: What the table's functions get as their first argument; it is kept for ever.
    public func add<Table>(
        kind: String, id: String, summary: String, priority: Int = 0, table: Table, context: AnyObject?
    ) {
        let storage = UnsafeMutablePointer<Table>.allocate(capacity: 1)
        storage.initialize(to: table)
        let opaque = context.map { Unmanaged.passRetained($0).toOpaque() }
        all.append(
            Component(
                kind: kind, id: id, summary: summary, priority: priority, table: UnsafeRawPointer(storage),
                context: opaque))
    }
}

/// Makes the descriptor that an entry returns.
/// - Parameters:
///   - id: The plugin's id, as in its manifest.
///   - version: Its semantic version, as in its manifest.
///   - fill: Adds the components.
public func plugin(
    _ id: String, version: String, _ host: HostHandle, _ error: ErrorHandle, _ fill: (Components) -> Void
) -> PluginHandle {
    let components = Components()
    fill(components)
    let plugin = LoadedPlugin(components: components.all)
    if let host { Host.attach(host) }
    var descriptor = mt_plugin()
    descriptor.struct_size = UInt32(MemoryLayout<mt_plugin>.size)
    descriptor.abi_major = UInt16(MT_ABI_MAJOR)
    descriptor.abi_minor = UInt16(MT_ABI_MINOR)
    descriptor.id = Text.forever(id)
    descriptor.version = Text.forever(version)
    descriptor.ctx = Unmanaged.passRetained(plugin).toOpaque()
    descriptor.`init` = { _, host, _ in
        if let host { Host.attach(host) }
        return MT_OK
    }
    descriptor.`deinit` = { _ in }
    descriptor.component_count = { LoadedPlugin.from($0)?.components.count ?? 0 }
    descriptor.component = { context, index, out, error in
        guarded(error) {
            guard let plugin = LoadedPlugin.from(context), plugin.components.indices.contains(index), let out else {
                throw PluginError(.invalid, "component \(index) does not exist")
            }
            try writeSized(plugin.components[index], to: out, size: out.pointee.struct_size, \.struct_size)
        }
    }
    descriptor.interface = { _, _ in nil }
    let storage = UnsafeMutablePointer<mt_plugin>.allocate(capacity: 1)
    storage.initialize(to: descriptor)
    return UnsafePointer(storage)
}

/// What the descriptor's context points to.
private final class LoadedPlugin {
    let components: [mt_component]

    init(components: [Components.Component]) {
        self.components = components.map {
            var out = mt_component()
            out.struct_size = UInt32(MemoryLayout<mt_component>.size)
            out.priority = Int32($0.priority)
            out.kind = Text.forever($0.kind)
            out.id = Text.forever($0.id)
            out.summary = Text.forever($0.summary)
            out.table = $0.table
            out.ctx = $0.context
            return out
        }
    }

    static func from(_ context: UnsafeMutableRawPointer?) -> LoadedPlugin? {
        context.map { Unmanaged<LoadedPlugin>.fromOpaque($0).takeUnretainedValue() }
    }
}
