import Files
import Glibc
internal import JSON
package import PluginAPI
internal import PluginKit
import Synchronization

/// The services behind `mt_host.service`, by id. Rooms above add their own before plugins are opened.
package final class Services: @unchecked Sendable {
    package static let shared = Services()
    private var tables: [String: UnsafeRawPointer] = [:]
    /// Set when the user asks to stop.
    package let isCancelled = Atomic<Bool>(false)
    /// Receives log lines: level, source, message.
    package nonisolated(unsafe) static var log: (Int32, String, String) -> Void = { _, _, _ in }
    /// Receives progress: task, done, total.
    package nonisolated(unsafe) static var progress: (String, UInt64, UInt64) -> Void = { _, _, _ in }

    private init() {
        register(MT_SERVICE_LOG, Self.logTable)
        register(MT_SERVICE_THREADS, Self.threadsTable)
        register(MT_SERVICE_PROGRESS, Self.progressTable)
        register(MT_SERVICE_RANDOM, Self.randomTable)
    }

    /// Offers a table under `id`; it is copied and lives as long as the process.
    package func register<Table>(_ id: String, _ table: Table) {
        let storage = UnsafeMutablePointer<Table>.allocate(capacity: 1)
        storage.initialize(to: table)
        tables[id] = UnsafeRawPointer(storage)
    }

    package func register<Table>(_ id: String, at table: UnsafePointer<Table>) { tables[id] = UnsafeRawPointer(table) }

    func table(_ id: String) -> UnsafeRawPointer? { tables[id] }

    /// The host as plugins see it; valid for the life of the process.
    nonisolated(unsafe) package static let host: UnsafePointer<mt_host> = {
        var host = mt_host()
        host.struct_size = UInt32(MemoryLayout<mt_host>.size)
        host.abi_major = UInt16(MT_ABI_MAJOR)
        host.abi_minor = UInt16(MT_ABI_MINOR)
        host.name = Text.forever("martlet")
        host.version = Text.forever("0.1.0")
        host.service = { _, id in Services.shared.table(id.string) }
        let storage = UnsafeMutablePointer<mt_host>.allocate(capacity: 1)
        storage.initialize(to: host)
        return UnsafePointer(storage)
    }()

    private static var logTable: mt_log {
        var table = mt_log()
        table.struct_size = UInt32(MemoryLayout<mt_log>.size)
        table.write = { _, level, source, message in Services.log(level, source.string, message.string) }
        return table
    }

    private static var threadsTable: mt_threads {
        var table = mt_threads()
        table.struct_size = UInt32(MemoryLayout<mt_threads>.size)
        table.count = { _ in ThreadPool.shared.count }
        table.parallel_for = { _, count, body, argument in
            if let body { ThreadPool.shared.parallelFor(count, body, argument) }
        }
        return table
    }

    private static var progressTable: mt_progress {
        var table = mt_progress()
        table.struct_size = UInt32(MemoryLayout<mt_progress>.size)
        table.report = { _, task, done, total in Services.progress(task.string, done, total) }
        table.cancelled = { _ in Services.shared.isCancelled.load(ordering: .relaxed) }
        return table
    }

    private static var randomTable: mt_random {
        var table = mt_random()
        table.struct_size = UInt32(MemoryLayout<mt_random>.size)
        table.block = { _, seed, stream, counter, out in
            guard let out else { return }
            let words = Philox.block(seed: seed, stream: stream, counter: counter)
            (out[0], out[1], out[2], out[3]) = words
        }
        return table
    }
}

/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
package enum Philox {
    /// Four words for (seed, stream, counter): the counter in the lower half, the stream in the upper, the seed as key.
    package static func block(seed: UInt64, stream: UInt64, counter: UInt64) -> (UInt32, UInt32, UInt32, UInt32) {
        var c = (
            UInt32(truncatingIfNeeded: counter), UInt32(truncatingIfNeeded: counter >> 32),
            UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32)
        )
        var key = (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
        for _ in 0..<10 {
            let (h0, l0) = c.0.multipliedFullWidth(by: UInt32(0xD251_1F53))
            let (h1, l1) = c.2.multipliedFullWidth(by: UInt32(0xCD9E_8D57))
            c = (h1 ^ c.1 ^ key.0, l1, h0 ^ c.3 ^ key.1, l0)
            key = (key.0 &+ 0x9E37_79B9, key.1 &+ 0xBB67_AE85)
        }
        return c
    }
}
