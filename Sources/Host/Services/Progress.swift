import PluginAPI
import PluginKit
import Synchronization

/// Progress of long work, and the user's wish to stop it.
package final class Progress: Sendable {
    private let isStopped = Atomic(false)
    private let handler = Mutex<(@Sendable (String, UInt64, UInt64) -> Void)?>(nil)

    /// Asks long work to stop. Safe inside a signal handler.
    package func cancel() { isStopped.store(true, ordering: .releasing) }
    package func reset() { isStopped.store(false, ordering: .releasing) }
    package var isCancelled: Bool { isStopped.load(ordering: .acquiring) }

    /// Sets who is told of progress: task, done, total (0 = unknown).
    package func onReport(_ body: (@Sendable (String, UInt64, UInt64) -> Void)?) { handler.withLock { $0 = body } }

    package func report(_ task: String, done: UInt64, total: UInt64) {
        handler.withLock { $0 }?(task, done, total)
    }

    var table: mt_progress {
        var table = mt_progress()
        table.struct_size = UInt32(MemoryLayout<mt_progress>.size)
        table.ctx = Unmanaged.passRetained(self).toOpaque()
        table.report = { context, task, done, total in
            (try? Handle.context(context, as: Progress.self))?.report(task.string, done: done, total: total)
        }
        table.cancelled = { context in (try? Handle.context(context, as: Progress.self))?.isCancelled ?? false }
        return table
    }
}
