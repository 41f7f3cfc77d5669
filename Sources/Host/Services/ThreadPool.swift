import CLinux
import Glibc
import PluginAPI
import PluginKit
import Synchronization

/// The threads that the host lends. One loop runs at a time; its indices are claimed one by one, so uneven bodies
/// balance by themselves. Threads spin for a moment between loops, because the loops of a model step follow each other
/// within microseconds, and then sleep.
package final class ThreadPool: @unchecked Sendable {
    package typealias Body = @convention(c) (UnsafeMutableRawPointer?, Int, Int) -> Void

    /// Threads that work at once, the caller's included.
    package let count: Int

    /// As many threads as MARTLET_THREADS says, else as this process may use processors.
    package static let shared = ThreadPool(count: ThreadPool.standardCount)

    /// Loop number in the high half, indices that nobody has claimed in the low half. A loop that has none left is closed to
    /// threads that are late for it, whatever the next one's length is.
    private let claim = Atomic<UInt64>(0)
    private let finished = Atomic<Int>(0)
    // The loop in hand. Written while no loop has an unclaimed index: who claims one has read what belongs to its loop.
    private let body = Atomic<UInt>(0)
    private let argument = Atomic<UInt>(0)
    private let limit = Atomic<UInt64>(0)

    private let caller = Monitor()
    private let wake = Monitor()
    private let sleepers = Atomic<Int>(0)
    private let done = Monitor()
    private let isCallerAsleep = Atomic(false)
    private var isStarted = false
    /// Polls before a thread goes to sleep: some tens of microseconds.
    private static let patience = 20_000

    package init(count: Int) { self.count = min(max(count, 1), 1024) }

    private static var standardCount: Int {
        if let named = FileSystem.environment("MARTLET_THREADS"), let count = Int(named), count > 0 { return count }
        return Int(martlet_usable_processors())
    }

    /// Calls `body(index, thread)` for index 0 ..< count, and returns when all are done. A call from inside a body, or
    /// while another thread's loop runs, does its whole loop on the calling thread.
    package func parallel(_ count: Int, _ body: (_ index: Int, _ thread: Int) -> Void) {
        withoutActuallyEscaping(body) { body in
            var box = body
            withUnsafeMutablePointer(to: &box) {
                parallelFor(
                    count,
                    { argument, index, thread in
                        argument?.assumingMemoryBound(to: ((Int, Int) -> Void).self).pointee(index, thread)
                    }, UnsafeMutableRawPointer($0))
            }
        }
    }

    /// The same for a C function.
    package func parallelFor(_ total: Int, _ body: Body, _ argument: UnsafeMutableRawPointer?) {
        guard total > 1, count > 1, total < Int(UInt32.max), caller.tryLock() else {
            for index in 0..<max(total, 0) { body(argument, index, 0) }
            return
        }
        defer { caller.unlock() }
        start()
        let generation = (claim.load(ordering: .relaxed) >> 32) &+ 1
        self.body.store(UInt(bitPattern: unsafeBitCast(body, to: Int.self)), ordering: .relaxed)
        self.argument.store(UInt(bitPattern: argument), ordering: .relaxed)
        limit.store(UInt64(total), ordering: .relaxed)
        finished.store(0, ordering: .relaxed)
        claim.store((generation & 0xFFFF_FFFF) << 32 | UInt64(total), ordering: .sequentiallyConsistent)
        if sleepers.load(ordering: .sequentiallyConsistent) > 0 { wake.locked { wake.broadcast() } }
        work(thread: 0)
        awaitEnd(of: total)
    }

    /// Runs indices of the loop in hand until none is left.
    private func work(thread: Int) {
        while true {
            let state = claim.load(ordering: .acquiring)
            let unclaimed = state & 0xFFFF_FFFF
            if unclaimed == 0 { return }
            let total = limit.load(ordering: .relaxed)
            let function = body.load(ordering: .relaxed)
            let argument = UnsafeMutableRawPointer(bitPattern: argument.load(ordering: .relaxed))
            let (won, _) = claim.compareExchange(expected: state, desired: state - 1, ordering: .acquiringAndReleasing)
            if !won { continue }
            unsafeBitCast(Int(bitPattern: function), to: Body.self)(argument, Int(total - unclaimed), thread)
            let (_, ended) = finished.add(1, ordering: .sequentiallyConsistent)
            if ended == Int(total), isCallerAsleep.load(ordering: .sequentiallyConsistent) {
                done.locked { done.broadcast() }
            }
        }
    }

    private func awaitEnd(of total: Int) {
        for _ in 0..<Self.patience where finished.load(ordering: .acquiring) == total { return }
        done.lock()
        isCallerAsleep.store(true, ordering: .sequentiallyConsistent)
        while finished.load(ordering: .sequentiallyConsistent) < total { done.wait() }
        isCallerAsleep.store(false, ordering: .sequentiallyConsistent)
        done.unlock()
    }

    /// Starts the other threads at the first loop, so that a program without one has none.
    private func start() {
        if isStarted { return }
        isStarted = true
        for thread in 1..<count {
            let seat = Unmanaged.passRetained(Seat(pool: self, thread: thread))
            var id = pthread_t()
            let status = pthread_create(
                &id, nil,
                { context in
                    guard let context else { return nil }
                    let seat = Unmanaged<Seat>.fromOpaque(context).takeRetainedValue()
                    seat.pool.serve(thread: seat.thread)
                    return nil
                }, seat.toOpaque())
            if status == 0 { pthread_detach(id) } else { seat.release() }
        }
    }

    private final class Seat {
        let pool: ThreadPool
        let thread: Int
        init(pool: ThreadPool, thread: Int) {
            self.pool = pool
            self.thread = thread
        }
    }

    /// A lent thread's life: wait for a loop, work in it.
    private func serve(thread: Int) {
        while true {
            work(thread: thread)
            let seen = claim.load(ordering: .acquiring) >> 32
            var isNew = false
            for _ in 0..<Self.patience where claim.load(ordering: .acquiring) >> 32 != seen {
                isNew = true
                break
            }
            if isNew { continue }
            wake.lock()
            sleepers.add(1, ordering: .sequentiallyConsistent)
            while claim.load(ordering: .sequentiallyConsistent) >> 32 == seen { wake.wait() }
            sleepers.subtract(1, ordering: .sequentiallyConsistent)
            wake.unlock()
        }
    }

    var table: mt_threads {
        var table = mt_threads()
        table.struct_size = UInt32(MemoryLayout<mt_threads>.size)
        table.ctx = Unmanaged.passRetained(self).toOpaque()
        table.count = { (try? Handle.context($0, as: ThreadPool.self))?.count ?? 1 }
        table.parallel_for = { context, count, body, argument in
            guard let body, let pool = try? Handle.context(context, as: ThreadPool.self) else { return }
            pool.parallelFor(count, body, argument)
        }
        return table
    }
}
