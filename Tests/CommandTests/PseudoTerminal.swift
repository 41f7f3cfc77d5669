import Glibc

/// A program behind a terminal of 80 by 24, whose keys the test presses and whose screen it reads.
final class PseudoTerminal {
    private let master: Int32
    private let process: pid_t
    /// Everything that the program has written.
    private var bytes: [UInt8] = []
    /// Bytes up to the end of what was waited for last.
    private(set) var seen = 0
    var output: String { String(decoding: bytes, as: UTF8.self) }

    /// TIOCSPTLCK, TIOCGPTN and POSIX_SPAWN_SETSID of Linux, which Glibc's module leaves out.
    private static let unlock: UInt = 0x4004_5431, name: UInt = 0x8004_5430
    private static let newSession: Int16 = 0x80

    init?(_ arguments: [String], environment: [String]) {
        let master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        var number: Int32 = 0
        var isLocked: Int32 = 0
        guard master >= 0, ioctl(master, Self.unlock, &isLocked) == 0, ioctl(master, Self.name, &number) == 0 else {
            return nil
        }
        var size = winsize(ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0)
        _ = ioctl(master, UInt(TIOCSWINSZ), &size)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // The leader of a new session that opens a terminal has it as its own.
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/pts/\(number)", O_RDWR, 0)
        posix_spawn_file_actions_adddup2(&actions, 0, 1)
        posix_spawn_file_actions_adddup2(&actions, 0, 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // Threads that run tests may hold signals back; the program must not inherit that.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Self.newSession | Int16(POSIX_SPAWN_SETSIGMASK))
        var process: pid_t = 0
        let words = arguments.map { strdup($0) } + [nil]
        let settings = environment.map { strdup($0) } + [nil]
        defer { (words + settings).forEach { free($0) } }
        guard posix_spawn(&process, arguments[0], &actions, &attributes, words, settings) == 0 else {
            close(master)
            return nil
        }
        self.master = master
        self.process = process
    }

    deinit {
        close(master)
        kill(process, SIGKILL)
        var status: Int32 = 0
        waitpid(process, &status, 0)
    }

    func press(_ keys: String) {
        let bytes = Array(keys.utf8)
        _ = write(master, bytes, bytes.count)
    }

    /// Reads until `text` has come behind what was waited for before; false after `seconds`.
    @discardableResult func wait(for text: String, seconds: Double = 60) -> Bool {
        let wanted = Array(text.utf8)
        let deadline = now() + seconds
        var at = seen
        while true {
            while at + wanted.count <= bytes.count {
                if bytes[at] == wanted[0], bytes[at..<(at + wanted.count)].elementsEqual(wanted) {
                    seen = at + wanted.count
                    return true
                }
                at += 1
            }
            guard now() < deadline, read(milliseconds: 200) != nil else { return false }
        }
    }

    /// Waits until a line is asked for.
    func waitForPrompt() { wait(for: "\u{1B}[?2004h") }

    /// What came from a byte on, up to what was waited for last.
    func text(from start: Int) -> String { String(decoding: bytes[start..<seen], as: UTF8.self) }

    /// The exit status, once the program has ended; nil after `seconds`.
    func end(seconds: Double = 60) -> Int32? {
        let deadline = now() + seconds
        var status: Int32 = 0
        while now() < deadline {
            _ = read(milliseconds: 50)
            if waitpid(process, &status, WNOHANG) == process { return status >> 8 & 0xFF }
        }
        return nil
    }

    /// nil when the terminal is gone.
    private func read(milliseconds: Int32) -> Int? {
        var waiting = pollfd(fd: master, events: Int16(POLLIN), revents: 0)
        guard poll(&waiting, 1, milliseconds) > 0 else { return 0 }
        var chunk = [UInt8](repeating: 0, count: 65536)
        let count = Glibc.read(master, &chunk, chunk.count)
        guard count > 0 else { return nil }
        bytes += chunk[..<count]
        return count
    }

    private func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
