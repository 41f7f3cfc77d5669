import Glibc

/// Threads of the operating system that run one closure each and are waited for.
package final class Workers {
    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
    private var threads: [pthread_t] = []

    /// - Returns: fewer than `count` threads when the system gives no more.
    package init(_ count: Int, _ run: @escaping @Sendable () -> Void) {
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

    package var count: Int { threads.count }

    package func join() {
        for thread in threads { pthread_join(thread, nil) }
        threads = []
    }
}
