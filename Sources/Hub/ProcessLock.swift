import Files
import Glibc

/// A lock between processes on a file; given back when this object goes, or the process dies.
final class ProcessLock {
    private let descriptor: Int32

    /// Waits for the lock; `waiting` is called once if another process holds it.
    init(_ path: String, waiting: () -> Void) throws(HubError) {
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o666)
        guard descriptor >= 0 else { throw HubError(.storage, System.lastError, at: path) }
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return }
        waiting()
        while flock(descriptor, LOCK_EX) != 0 {
            if errno != EINTR { throw HubError(.storage, "locking: \(System.lastError)", at: path) }
        }
    }

    deinit { close(descriptor) }
}
