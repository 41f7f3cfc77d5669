import CLinux
import Glibc
import PluginAPI
import PluginKit
import Synchronization

/// The threads that the host lends. One loop runs at a time. Each thread has a part of its indices, which it takes from the
/// front on, and helps others when its own part is done, so uneven bodies balance by themselves and even ones touch no memory
/// that another thread writes. Threads spin for a moment between loops, because the loops of a model step follow each other
/// within microseconds, then give way, and then sleep.
package final class ThreadPool: @unchecked Sendable {
    package typealias Body = @convention(c) (UnsafeMutableRawPointer?, Int, Int) -> Void

    /// Threads that work at once, the caller's included.
    package let count: Int

    /// As many threads as MARTLET_THREADS says, else as this process may use processors.
    package static let shared = ThreadPool(count: ThreadPool.standardCount)

    /// Words that a thread writes, in cache lines of their own.
    private struct Seat {
        /// Indices of its part that nobody has taken. They are taken from the front: what is left says which is next.
        let left: UnsafeMutablePointer<Atomic<UInt64>>
        /// Indices that it has run since the pool was made.
        let done: UnsafeMutablePointer<Atomic<UInt64>>
    }
    private let seats: [Seat]
    private let lines: UnsafeMutablePointer<Atomic<UInt64>>
    /// Words from one line to the next but one: processors fetch lines in pairs.
    private static let stride = 16

    /// Counts loops; it and what follows change only while no index is left to take, so that who takes one may read them.
    private let loop: UnsafeMutablePointer<Atomic<UInt64>>
    private var body: Body?
    private var argument: UnsafeMutableRawPointer?
    private var total = 0
    /// Indices of all loops so far.
    private var due: UInt64 = 0

    private let caller = Monitor()
    private let rest = Monitor()
    private let sleepers = Atomic<Int>(0)
    private let done = Monitor()
    private let isCallerAsleep = Atomic(false)
    private var isStarted = false

    package init(count: Int) {
        self.count = min(max(count, 1), 1024)
        let words = (2 * self.count + 1) * Self.stride
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: words * MemoryLayout<UInt64>.stride, alignment: Self.stride * MemoryLayout<UInt64>.stride)
        let lines = memory.bindMemory(to: Atomic<UInt64>.self, capacity: words)
        for word in 0..<words { (lines + word).initialize(to: Atomic(0)) }
        self.lines = lines
        loop = lines
        seats = (0..<self.count).map {
            Seat(left: lines + (2 * $0 + 1) * Self.stride, done: lines + (2 * $0 + 2) * Self.stride)
        }
    }

    deinit { lines.deallocate() }

    private static var standardCount: Int {
        if let named = getenv("MARTLET_THREADS"), let count = Int(String(cString: named)), count > 0 { return count }
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
        self.body = body
        self.argument = argument
        self.total = total
        due += UInt64(total)
        for thread in 0..<count {
            let part = Self.end(thread, of: count, total) - Self.end(thread - 1, of: count, total)
            seats[thread].left.pointee.store(UInt64(part), ordering: .releasing)
        }
        loop.pointee.add(1, ordering: .sequentiallyConsistent)
        if sleepers.load(ordering: .sequentiallyConsistent) > 0 { rest.locked { rest.wake() } }
        work(thread: 0)
        awaitEnd()
    }

    /// Where a thread's part ends.
    private static func end(_ thread: Int, of count: Int, _ total: Int) -> Int { (thread + 1) * total / count }

    /// Runs indices of the loop in hand until none is left: its own, then others'.
    private func work(thread: Int) {
        let done = seats[thread].done
        for turn in 0..<count {
            let owner = (thread + turn) % count
            let left = seats[owner].left
            while true {
                let state = left.pointee.load(ordering: .acquiring)
                if state == 0 { break }
                let (won, _) = left.pointee.compareExchange(
                    expected: state, desired: state - 1, ordering: .acquiringAndReleasing)
                if !won { continue }
                // The loop cannot end before this index has run: what describes it stands still.
                body?(argument, Self.end(owner, of: count, total) - Int(state), thread)
                done.pointee.add(1, ordering: .sequentiallyConsistent)
                if isCallerAsleep.load(ordering: .sequentiallyConsistent) { self.done.locked { self.done.wake() } }
            }
        }
    }

    private var hasEnded: Bool {
        var sum: UInt64 = 0
        for seat in seats { sum += seat.done.pointee.load(ordering: .sequentiallyConsistent) }
        return sum == due
    }

    private func awaitEnd() {
        if hasEnded || Self.spin(until: { hasEnded }) { return }
        done.lock()
        isCallerAsleep.store(true, ordering: .sequentiallyConsistent)
        while !hasEnded { done.wait() }
        isCallerAsleep.store(false, ordering: .sequentiallyConsistent)
        done.unlock()
    }

    /// Polls for some tens of microseconds, then for some hundreds giving way to other threads; false when it was in vain.
    private static func spin(until isTrue: () -> Bool) -> Bool {
        for _ in 0..<2000 {
            if isTrue() { return true }
            martlet_spin_hint()
        }
        for _ in 0..<400 {
            if isTrue() { return true }
            sched_yield()
        }
        return false
    }

    /// Starts the other threads at the first loop, so that a program without one has none.
    private func start() {
        if isStarted { return }
        isStarted = true
        for thread in 1..<count {
            let seat = Unmanaged.passRetained(Post(pool: self, thread: thread))
            var id = pthread_t()
            let status = pthread_create(
                &id, nil,
                { context in
                    guard let context else { return nil }
                    let seat = Unmanaged<Post>.fromOpaque(context).takeRetainedValue()
                    seat.pool.serve(thread: seat.thread)
                    return nil
                }, seat.toOpaque())
            if status == 0 { pthread_detach(id) } else { seat.release() }
        }
    }

    private final class Post {
        let pool: ThreadPool
        let thread: Int
        init(pool: ThreadPool, thread: Int) {
            self.pool = pool
            self.thread = thread
        }
    }

    /// A lent thread's life: wait for a loop, work in it.
    private func serve(thread: Int) {
        var seen: UInt64 = 0
        while true {
            let now = loop.pointee.load(ordering: .acquiring)
            if now != seen {
                seen = now
                work(thread: thread)
                continue
            }
            if Self.spin(until: { loop.pointee.load(ordering: .acquiring) != seen }) { continue }
            rest.lock()
            sleepers.add(1, ordering: .sequentiallyConsistent)
            while loop.pointee.load(ordering: .sequentiallyConsistent) == seen { rest.wait() }
            sleepers.subtract(1, ordering: .sequentiallyConsistent)
            rest.unlock()
        }
    }

    /// What plugins get. The pool then lives as long as the process.
    package var table: mt_threads {
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
