import PluginAPI

/// The host that this plugin was loaded by, and its services.
public enum Host {
    /// Written once, by the entry, before any component exists.
    nonisolated(unsafe) private static var handle: UnsafePointer<mt_host>?

    static func attach(_ host: UnsafePointer<mt_host>) { handle = host }

    /// The table of a service, or nil when this host does not offer it.
    public static func service<Table>(_ id: String, as type: Table.Type) -> UnsafePointer<Table>? {
        guard let handle, let find = handle.pointee.service else { return nil }
        return id.lent { find(handle, $0) }?.assumingMemoryBound(to: Table.self)
    }

    public enum LogLevel: Int32, Sendable { case debug, info, warning, error }

    /// Writes one line to the host's log.
    public static func log(_ level: LogLevel, _ source: String, _ message: String) {
        guard let log = service(MT_SERVICE_LOG, as: mt_log.self) else { return }
        source.lent { source in message.lent { log.pointee.write?(log.pointee.ctx, level.rawValue, source, $0) } }
    }

    /// Four words of the counter-based generator for (seed, stream, counter).
    /// - Throws: `PluginError(.unsupported, …)` when this host has none.
    public static func random(seed: UInt64, stream: UInt64, counter: UInt64) throws -> (UInt32, UInt32, UInt32, UInt32)
    {
        guard let random = service(MT_SERVICE_RANDOM, as: mt_random.self), let block = random.pointee.block else {
            throw PluginError(.unsupported, "this host has no \(MT_SERVICE_RANDOM)")
        }
        var words: (UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0)
        withUnsafeMutableBytes(of: &words) { bytes in
            block(random.pointee.ctx, seed, stream, counter, bytes.baseAddress?.assumingMemoryBound(to: UInt32.self))
        }
        return words
    }

    /// Whether the user asked to stop; long work throws `PluginError(.cancelled, …)` soon after.
    public static var isCancelled: Bool {
        guard let progress = service(MT_SERVICE_PROGRESS, as: mt_progress.self) else { return false }
        return progress.pointee.cancelled?(progress.pointee.ctx) ?? false
    }

    /// Calls `body(index)` for 0 ..< count on the host's threads, and returns when all are done.
    public static func parallel(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
        guard let threads = service(MT_SERVICE_THREADS, as: mt_threads.self), let run = threads.pointee.parallel_for
        else {
            for i in 0..<count { body(i) }
            return
        }
        let box = Body(body)
        withExtendedLifetime(box) {
            run(
                threads.pointee.ctx, count,
                { argument, index, _ in
                    guard let argument else { return }
                    Unmanaged<Body>.fromOpaque(argument).takeUnretainedValue().call(index)
                }, Unmanaged.passUnretained(box).toOpaque())
        }
    }

    private final class Body: Sendable {
        let call: @Sendable (Int) -> Void
        init(_ call: @escaping @Sendable (Int) -> Void) { self.call = call }
    }
}
