import CLinux
import Glibc
import Threads

/// Says whose code it was when the process crashes in a plugin after it was opened: nothing can be saved then, but the user
/// learns which plugin to look at. What else happens on the signal, a core dump or Swift's backtrace, happens after it.
enum CrashNames {
    /// Where a library's code is, and what is said of a crash in it.
    private struct Place {
        let start, end: UInt
        let inside, below: UnsafeMutablePointer<CChar>
    }
    private static let signals = [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP]
    private static let capacity = 1024
    private static let monitor = Monitor()
    // What the handler reads. Places are added behind those that it may be reading.
    nonisolated(unsafe) private static let places = UnsafeMutablePointer<Place>.allocate(capacity: capacity)
    nonisolated(unsafe) private static let before = UnsafeMutablePointer<sigaction>.allocate(capacity: 65)
    nonisolated(unsafe) private static var count = 0
    nonisolated(unsafe) private static var isOn = false

    /// Turns it on for this process.
    static func start() {
        if isOn { return }
        isOn = true
        // The main thread's stack may be what was used up.
        var stack = stack_t()
        if sigaltstack(nil, &stack) == 0, stack.ss_sp == nil {
            stack = stack_t(ss_sp: .allocate(byteCount: 65536, alignment: 16), ss_flags: 0, ss_size: 65536)
            sigaltstack(&stack, nil)
        }
        for signal in signals {
            (before + Int(signal)).initialize(to: sigaction())
            var action = sigaction()
            action.sa_flags = SA_SIGINFO | SA_ONSTACK
            action.__sigaction_handler.sa_sigaction = { signal, info, context in
                CrashNames.tell(context)
                sigaction(signal, CrashNames.before + Int(signal), nil)
                // A fault comes again when the handler returns; what was sent by a call does not.
                if let info, info.pointee.si_code <= 0 { raise(signal) }
            }
            sigaction(signal, &action, before + Int(signal))
        }
    }

    /// Learns where the library at `path`, which was just linked, has its code.
    static func add(_ path: String, plugin: String) {
        guard isOn, let real = FileSystem.real(path), let maps = fopen("/proc/self/maps", "re") else { return }
        defer { fclose(maps) }
        var line: UnsafeMutablePointer<CChar>?
        var room = 0
        defer { free(line) }
        while getline(&line, &room, maps) > 0 {
            // ADDRESS-ADDRESS PERMISSIONS OFFSET DEVICE INODE PATH (proc_pid_maps(5)).
            let words = line.map { String(cString: $0) }?.split(separator: " ", maxSplits: 5) ?? []
            guard words.count == 6, words[1].contains("x"), words[5].drop(while: { $0 == " " }) == real + "\n" else {
                continue
            }
            let range = words[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard range.count == 2 else { continue }
            let advice = "\(real); martlet plugin check tells more, and plugins.\(plugin).enabled false keeps it out\n"
            monitor.locked {
                guard count < capacity, let inside = strdup("martlet: \(plugin): crashed in its library \(advice)"),
                    let below = strdup("martlet: \(plugin): crashed in what it called from its library \(advice)")
                else { return }
                (places + count).initialize(to: Place(start: range[0], end: range[1], inside: inside, below: below))
                count += 1
            }
        }
    }

    /// Runs in a signal handler: it reads memory and writes one line.
    private static func tell(_ context: UnsafeMutableRawPointer?) {
        var (code, stack) = (UInt(0), UInt(0))
        martlet_fault_place(context, &code, &stack)
        if let place = place(of: code) { return say(place.inside) }
        // The innermost return address in a plugin's code. The pages above the stack pointer are there as far as the stack goes.
        guard let words = UnsafePointer<UInt>(bitPattern: stack & ~7) else { return }
        for i in 0..<min(4096, Int(martlet_stack_left(stack)) / 8) {
            if let place = place(of: words[i]) { return say(place.below) }
        }
    }

    private static func place(of address: UInt) -> Place? {
        for i in 0..<count where (places + i).pointee.start <= address && address < (places + i).pointee.end {
            return places[i]
        }
        return nil
    }

    private static func say(_ text: UnsafeMutablePointer<CChar>) { _ = write(2, text, strlen(text)) }
}
