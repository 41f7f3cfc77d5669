import Glibc
import Synchronization

/// Ctrl-C as a wish that work in hand ends, and not the program.
enum Interrupt {
    private static let isAsked = Atomic(false)
    private static let count = Atomic<Int>(0)

    /// From now on Ctrl-C is noted; the third one without anything having ended it ends the program after all.
    static func catchFromNowOn() {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { _ in
            Interrupt.isAsked.store(true, ordering: .releasing)
            if Interrupt.count.add(1, ordering: .relaxed).newValue >= 3 { _exit(130) }
        }
        // Without SA_RESTART, so that a waiting read comes back.
        sigaction(SIGINT, &action, nil)
    }

    static var wasAsked: Bool { isAsked.load(ordering: .acquiring) }

    static func reset() {
        isAsked.store(false, ordering: .releasing)
        count.store(0, ordering: .relaxed)
    }
}
