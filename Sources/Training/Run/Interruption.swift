import Glibc

/// The wish to stop, by a signal: a run finishes its step, saves, and ends.
package enum Interruption {
    /// Written by the signal handler and read between steps; a word is read and written whole.
    nonisolated(unsafe) private static var signals: sig_atomic_t = 0

    /// Takes over SIGINT and SIGTERM. A second signal ends the process at once, as without this.
    package static func listen() {
        for number in [SIGINT, SIGTERM] {
            signal(number) { received in
                Interruption.signals = 1
                signal(received, SIG_DFL)
            }
        }
    }

    package static var isWanted: Bool { signals != 0 }
}
