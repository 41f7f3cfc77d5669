import Glibc

/// A lock with a condition on which threads wait.
final class Monitor: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>

    init() {
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        condition = .allocate(capacity: 1)
        condition.initialize(to: pthread_cond_t())
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        pthread_cond_destroy(condition)
        mutex.deallocate()
        condition.deallocate()
    }

    func locked<Result>(_ body: () throws -> Result) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }

    /// Gives the lock up until another thread calls `wake`. Call it inside `locked`, in a loop.
    func wait() { pthread_cond_wait(condition, mutex) }

    func wake() { pthread_cond_broadcast(condition) }
}

/// Threads of the operating system that run one closure each and are waited for.
final class Workers {
    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
    private var threads: [pthread_t] = []

    /// - Returns: fewer than `count` threads when the system gives no more.
    init(_ count: Int, _ run: @escaping @Sendable () -> Void) {
        for _ in 0..<count {
            var thread = pthread_t()
            let body = Unmanaged.passRetained(Body(run))
            let status = pthread_create(
                &thread, nil,
                { argument in
                    if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
                    return nil
                }, body.toOpaque())
            if status == 0 {
                threads.append(thread)
            } else {
                body.release()
            }
        }
    }

    var count: Int { threads.count }

    func join() {
        for thread in threads { pthread_join(thread, nil) }
        threads = []
    }
}
