public import JSON
import PluginAPI

/// Where a run's metrics go.
public protocol Logger: AnyObject {
    /// - Parameters:
    ///   - directory: The run's output directory.
    ///   - run: Its name.
    ///   - configuration: The command's arguments.
    init(directory: String, run: String, configuration: JSON) throws
    /// One record: "step", "time" (seconds since 1970), and numbers by name.
    func event(_ record: JSON) throws
    /// Makes what was logged so far visible to other programs.
    func flush() throws
}

private final class LoggerContext {
    let type: any Logger.Type
    init(_ type: any Logger.Type) { self.type = type }
}

/// A run as the contract's opaque handle.
private final class LoggerRun {
    let logger: any Logger
    init(_ logger: any Logger) { self.logger = logger }
}

extension Components {
    /// Offers a logger under `id`.
    public func logger(_ id: String, _ type: any Logger.Type, summary: String, priority: Int = 0) {
        var table = mt_logger_table()
        table.struct_size = UInt32(MemoryLayout<mt_logger_table>.size)
        table.open = { context, settings, out, error in
            guarded(error) {
                let type = try Handle.context(context, as: LoggerContext.self).type
                let settings: JSON = settings.size == 0 ? [:] : try JSON(parsing: settings.bytes)
                guard let directory = settings["directory"]?.string else {
                    throw PluginError(.invalid, "\"directory\" is missing", at: "logger settings")
                }
                let run = LoggerRun(
                    try type.init(
                        directory: directory, run: settings["run"]?.string ?? "run",
                        configuration: settings["config"] ?? [:]))
                out?.pointee = Handle.make(run)
            }
        }
        table.event = { _, run, record, error in
            guarded(error) { try Handle.object(run, as: LoggerRun.self).logger.event(try JSON(parsing: record.bytes)) }
        }
        table.flush = { _, run, error in guarded(error) { try Handle.object(run, as: LoggerRun.self).logger.flush() } }
        table.close = { _, run in Handle.release(run, as: LoggerRun.self) }
        add(
            kind: MT_KIND_LOGGER, id: id, summary: summary, priority: priority, table: table,
            context: LoggerContext(type))
    }
}
