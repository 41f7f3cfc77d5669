import Files
import Glibc
package import JSON
internal import Model

/// Where a run's records go: logging.jsonl, the index of all runs, logger plugins, and whoever watches.
package final class RunLog {
    /// What there is to be seen of a run.
    package enum Event {
        /// After every step.
        case progress(RunProgress)
        /// A record of steps or of an evaluation, as it is logged.
        case record(JSON)
        case note(String)
    }

    private let file: LineFile
    private var loggers: [LoggerHandle]
    private let index: RunIndex?
    private let watch: (Event) -> Void
    private var lastFlush = 0.0

    /// - Parameters:
    ///   - continues: Adds to the log of a run that was resumed.
    ///   - index: The index of all runs; nil leaves this one out.
    package init(
        directory: String, continues: Bool, loggers: [LoggerHandle] = [], index: RunIndex? = nil,
        watch: @escaping (Event) -> Void = { _ in }
    ) throws {
        file = try LineFile(System.join(directory, "logging.jsonl"), continues: continues)
        self.loggers = loggers
        self.index = index
        self.watch = watch
    }

    func show(_ progress: RunProgress) { watch(.progress(progress)) }
    func note(_ text: String) { watch(.note(text)) }

    /// Logs a record. A logger that fails is named and left out from then on: that must not end a run.
    package func write(_ record: JSON) throws {
        try file.write(record.text())
        watch(.record(record))
        var timed = record.object ?? JSONObject()
        timed["time"] = .double(Self.seconds)
        let text = JSON.object(timed).text()
        attempt { try $0.event(text) }
        inIndex { try $0.add(record) }
        if Clock.now - lastFlush > 5 { flush() }
    }

    /// Logs what is of no step: the file alone gets it.
    package func summarize(_ record: JSON) throws { try file.write(record.text()) }

    /// The index is for looking things up; a run goes on without it.
    private func inIndex(_ body: (RunIndex) throws -> Void) {
        do {
            if let index { try body(index) }
        } catch {
            note("the index of runs: \(error)")
        }
    }

    private func flush() {
        lastFlush = Clock.now
        attempt { try $0.flush() }
    }

    private func attempt(_ body: (LoggerHandle) throws -> Void) {
        loggers = loggers.filter { logger in
            do {
                try body(logger)
                return true
            } catch {
                note("logger \(logger.id) is left out from here on: \(error)")
                return false
            }
        }
    }

    /// Flushes everything and says how the run ended.
    package func close(_ ending: String) throws {
        flush()
        inIndex { try $0.end(ending) }
        try file.flush()
    }

    /// Says that the run ended by an error.
    package func fail(_ error: any Error) {
        let message = String(describing: error).split(separator: "\n").first.map(String.init) ?? ""
        flush()
        inIndex { try $0.end("failed: " + message.prefix(200)) }
    }

    /// Seconds since 1970.
    static var seconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
