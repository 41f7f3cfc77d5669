import Glibc
import Synchronization

/// The process's worker threads. The caller of `parallelFor` works along; workers spin for a moment before they sleep,
/// since kernels follow each other within microseconds.
package final class ThreadPool: @unchecked Sendable {
    package typealias Body = @convention(c) (UnsafeMutableRawPointer?, Int, Int) -> Void

    /// Threads that work at once, the caller's included.
    package let count: Int
    /// The present job's number in the upper half, the next index in the lower: claimed by compare-and-swap, so that a
    /// late worker can never take an index of a job that it does not know.
    private let claim = Atomic<UInt64>(0)
    private let completed = Atomic<Int>(0)
    private let sleepers = Atomic<Int>(0)
    private let isBusy = Atomic<Bool>(false)
    /// Written by the caller before the job's number appears in `claim`.
    private var body: Body?
    private var argument: UnsafeMutableRawPointer?
    private var total = 0
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let wake = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    /// Some fifty microseconds.
    private static let spins = 20_000

    /// One thread a core that this process may use, or what MARTLET_THREADS says.
    package static let shared = ThreadPool(count: defaultCount)

    private static var defaultCount: Int {
        if let text = getenv("MARTLET_THREADS"), let wanted = Int(String(cString: text)), wanted > 0 { return min(wanted, 256) }
        return max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    }

    package init(count: Int) {
        self.count = max(1, count)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(wake, nil)
        for thread in 1..<max(2, self.count) where thread < self.count {
            let start = Unmanaged.passRetained(Start(pool: self, thread: thread)).toOpaque()
            var handle = pthread_t()
            let status = pthread_create(
                &handle, nil,
                { opaque in
                    guard let opaque else { return nil }
                    let start = Unmanaged<Start>.fromOpaque(opaque).takeRetainedValue()
                    start.pool.work(start.thread)
                    return nil
                }, start)
            if status == 0 { pthread_detach(handle) } else { Unmanaged<Start>.fromOpaque(start).release() }
        }
    }

    private final class Start: Sendable {
        let pool: ThreadPool
        let thread: Int
        init(pool: ThreadPool, thread: Int) {
            self.pool = pool
            self.thread = thread
        }
    }

    /// Calls body(argument, index, thread) for index 0 ..< count and returns when all are done. A call from inside a
    /// body, or while another thread's job runs, is done by the caller alone.
    package func parallelFor(_ count: Int, _ body: @escaping Body, _ argument: UnsafeMutableRawPointer?) {
        guard count > 1, self.count > 1, count < Int(UInt32.max),
            isBusy.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged
        else {
            for index in 0..<max(0, count) { body(argument, index, 0) }
            return
        }
        self.body = body
        self.argument = argument
        total = count
        completed.store(0, ordering: .relaxed)
        let job = (claim.load(ordering: .relaxed) >> 32 &+ 1) << 32
        claim.store(job, ordering: .sequentiallyConsistent)
        if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
            pthread_mutex_lock(mutex)
            pthread_cond_broadcast(wake)
            pthread_mutex_unlock(mutex)
        }
        run(job >> 32, thread: 0)
        var spins = 0
        while completed.load(ordering: .acquiring) < count {
            spins += 1
            if spins > Self.spins { sched_yield() }
        }
        isBusy.store(false, ordering: .releasing)
    }

    /// Claims and does indices of a job until none are left.
    private func run(_ job: UInt64, thread: Int) {
        while true {
            let seen = claim.load(ordering: .acquiring)
            guard seen >> 32 == job else { return }
            let index = Int(seen & 0xFFFF_FFFF)
            guard index < total else { return }
            guard claim.compareExchange(expected: seen, desired: seen + 1, ordering: .acquiringAndReleasing).exchanged
            else { continue }
            body?(argument, index, thread)
            completed.wrappingAdd(1, ordering: .releasing)
        }
    }

    private func work(_ thread: Int) {
        var done: UInt64 = 0
        while true {
            var spins = 0
            while claim.load(ordering: .acquiring) >> 32 == done {
                spins += 1
                if spins < Self.spins { continue }
                pthread_mutex_lock(mutex)
                sleepers.wrappingAdd(1, ordering: .sequentiallyConsistent)
                while claim.load(ordering: .sequentiallyConsistent) >> 32 == done { pthread_cond_wait(wake, mutex) }
                sleepers.wrappingSubtract(1, ordering: .sequentiallyConsistent)
                pthread_mutex_unlock(mutex)
            }
            done = claim.load(ordering: .acquiring) >> 32
            run(done, thread: thread)
        }
    }
}
