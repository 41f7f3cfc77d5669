import PluginAPI
import PluginKit
import Random
import Threads

/// What the host offers to plugins: tables by id, behind one `mt_host`. It lives as long as the process.
package final class Services: @unchecked Sendable {
    /// What plugins are given.
    package let handle: UnsafePointer<mt_host>
    /// Those of this process.
    package static let shared = Services()

    package let log: Log
    package let threads: ThreadPool
    package let progress: Progress
    package let metrics: Metrics
    private let monitor = Monitor()
    private var tables: [String: UnsafeRawPointer] = [:]
    /// The registry that answers mt_registry and mt_config.plugin_settings; the latest that was made with these services.
    private var registry: Registry?

    /// An mt_host with a way back to its owner behind it.
    private struct Block {
        var host: mt_host
        var owner: UnsafeMutableRawPointer?
    }

    package static let version = "0.1.0"

    /// - Parameter abiMinor: The minor that plugins are told; others than the present one are for conformance tests.
    package init(log: Log = Log(), threads: ThreadPool = .shared, abiMinor: Int = Machine.current.abiMinor) {
        self.log = log
        self.threads = threads
        progress = Progress()
        metrics = Metrics()
        let block = UnsafeMutablePointer<Block>.allocate(capacity: 1)
        var host = mt_host()
        host.struct_size = UInt32(MemoryLayout<mt_host>.size)
        host.abi_major = UInt16(MT_ABI_MAJOR)
        host.abi_minor = UInt16(clamping: abiMinor)
        host.name = Text.forever("martlet")
        host.version = Text.forever(Self.version)
        host.service = { host, id in
            guard let host else { return nil }
            let block = UnsafeRawPointer(host).assumingMemoryBound(to: Block.self)
            guard let owner = block.pointee.owner else { return nil }
            return Unmanaged<Services>.fromOpaque(owner).takeUnretainedValue().table(id.string)
        }
        block.initialize(to: Block(host: host, owner: nil))
        handle = UnsafeRawPointer(block).assumingMemoryBound(to: mt_host.self)
        block.pointee.owner = Unmanaged.passRetained(self).toOpaque()
        register(MT_SERVICE_LOG, log.table)
        register(MT_SERVICE_THREADS, threads.table)
        register(MT_SERVICE_PROGRESS, progress.table)
        register(MT_SERVICE_METRICS, metrics.table)
        register(MT_SERVICE_FILES, FileService.table)
        register(MT_SERVICE_RANDOM, Philox.table)
        register(MT_SERVICE_CONFIG, configTable)
        register(MT_SERVICE_REGISTRY, registryTable)
    }

    /// Adds a service, or replaces one that no plugin has asked for yet. The table is copied and lives for ever.
    /// Rooms above the host bring theirs in this way before they open a plugin.
    package func register<Table>(_ id: String, _ table: Table) {
        let storage = UnsafeMutablePointer<Table>.allocate(capacity: 1)
        storage.initialize(to: table)
        monitor.locked { tables[id] = UnsafeRawPointer(storage) }
    }

    /// The same for a table that already lives for ever.
    package func register<Table>(_ id: String, at table: UnsafePointer<Table>) {
        monitor.locked { tables[id] = UnsafeRawPointer(table) }
    }

    /// The ids of all services.
    package var ids: [String] { monitor.locked { tables.keys.sorted() } }

    private func table(_ id: String) -> UnsafeRawPointer? { monitor.locked { tables[id] } }

    func attach(_ registry: Registry) { monitor.locked { self.registry = registry } }
    func currentRegistry() -> Registry? { monitor.locked { registry } }

    /// This object as a table's context.
    var opaque: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

    static func from(_ context: UnsafeMutableRawPointer?) throws -> Services {
        try Handle.context(context, as: Services.self)
    }
}
