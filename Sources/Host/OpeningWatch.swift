import Glibc

/// Names the plugin that ends the process, or does not return, while it is being opened: its code runs in this process, so
/// a crash of it is a crash of ours. An `exit` of one that is called later is not taken for success. Programs turn it on; `plugin check` asks such questions in processes of their own.
package enum OpeningWatch {
    /// What a signal handler may touch: texts made beforehand, written as they are.
    nonisolated(unsafe) private static var crashText: UnsafeMutablePointer<CChar>?
    nonisolated(unsafe) private static var hangText: UnsafeMutablePointer<CChar>?
    nonisolated(unsafe) private static var exitText: UnsafeMutablePointer<CChar>?
    /// For an end of the process that is not the program's own, when no plugin is being opened.
    nonisolated(unsafe) private static var strayText: UnsafeMutablePointer<CChar>?
    nonisolated(unsafe) private static var exitStatus: Int32 = 3
    nonisolated(unsafe) private static var secondsAllowed: UInt32 = 0

    /// Turns the watch on for this process.
    /// - Parameters:
    ///   - seconds: How long an opening may take.
    ///   - status: The exit status when a plugin ends the process.
    package static func start(seconds: Int, status: Int32) {
        secondsAllowed = UInt32(clamping: max(1, seconds))
        exitStatus = status
        CrashNames.start()
        strayText = strdup(
            "martlet: a plugin or a foreign function ended the process in the midst of the work, which is not complete\n"
        )
        atexit { OpeningWatch.end(OpeningWatch.exitText ?? OpeningWatch.strayText) }
    }

    /// From here on an end of the process is the program's own.
    package static func stop() { strayText = nil }

    /// Runs `body`, which runs code of `plugin`.
    static func during<Result, Failure: Error>(_ plugin: String, _ body: () throws(Failure) -> Result) throws(Failure)
        -> Result
    {
        // A plugin may ask for another while it is opened; the outer one is watched.
        guard secondsAllowed > 0, crashText == nil else { return try body() }
        let advice =
            "while it was being opened; martlet plugin check tells more, and plugins.\(plugin).enabled false keeps it out\n"
        (crashText, exitText) = (
            strdup("martlet: \(plugin): crashed \(advice)"), strdup("martlet: \(plugin): ended the process \(advice)")
        )
        hangText = strdup("martlet: \(plugin): did not return within \(secondsAllowed) s \(advice)")
        let signals = [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGALRM]
        var before: [sigaction] = signals.map { _ in sigaction() }
        for (i, signal) in signals.enumerated() {
            var action = sigaction()
            action.sa_flags = SA_ONSTACK
            action.__sigaction_handler.sa_handler = { signal in
                OpeningWatch.end(signal == SIGALRM ? OpeningWatch.hangText : OpeningWatch.crashText)
            }
            sigaction(signal, &action, &before[i])
        }
        // A program may be started with signals blocked.
        var (mask, blocked) = (sigset_t(), sigset_t())
        sigemptyset(&mask)
        for signal in signals { sigaddset(&mask, signal) }
        pthread_sigmask(SIG_UNBLOCK, &mask, &blocked)
        alarm(secondsAllowed)
        defer {
            alarm(0)
            pthread_sigmask(SIG_SETMASK, &blocked, nil)
            for (i, signal) in signals.enumerated() { sigaction(signal, &before[i], nil) }
            for text in [crashText, hangText, exitText] { free(text) }
            (crashText, hangText, exitText) = (nil, nil, nil)
        }
        return try body()
    }

    private static func end(_ text: UnsafeMutablePointer<CChar>?) {
        guard let text else { return }
        _ = write(2, text, strlen(text))
        _exit(exitStatus)
    }
}
