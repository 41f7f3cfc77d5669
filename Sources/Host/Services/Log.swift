import CLinux
import PluginAPI
import PluginKit
import Synchronization

/// Where messages of the host and of plugins go.
package final class Log: Sendable {
    package enum Level: Int32, Sendable, Comparable {
        case debug, info, warning, error
        package static func < (a: Level, b: Level) -> Bool { a.rawValue < b.rawValue }
        var name: String {
            switch self {
            case .debug: return "debug"
            case .info: return "info"
            case .warning: return "warning"
            case .error: return "error"
            }
        }
    }
    private let least: Level
    private let write: Mutex<@Sendable (Level, String, String) -> Void>

    /// - Parameters:
    ///   - least: Messages below it are dropped; by default what MARTLET_LOG names, else `info`.
    ///   - write: Takes level, source and message; by default a line on standard error.
    package init(
        least: Level? = nil, write: @escaping @Sendable (Level, String, String) -> Void = Log.toStandardError
    ) {
        let named: [String: Level] = ["debug": .debug, "info": .info, "warning": .warning, "error": .error]
        self.least = least ?? FileSystem.environment("MARTLET_LOG").flatMap { named[$0] } ?? .info
        self.write = Mutex(write)
    }

    package static let toStandardError: @Sendable (Level, String, String) -> Void = { level, source, message in
        var line = "\(level.name): \(source): \(message)\n"
        line.withUTF8 { martlet_write_error($0.baseAddress, $0.count) }
    }

    package func callAsFunction(_ level: Level, _ source: String, _ message: String) {
        if level >= least { write.withLock { $0 }(level, source, message) }
    }

    /// Sends messages elsewhere.
    package func redirect(_ write: @escaping @Sendable (Level, String, String) -> Void) {
        self.write.withLock { $0 = write }
    }

    var table: mt_log {
        var table = mt_log()
        table.struct_size = UInt32(MemoryLayout<mt_log>.size)
        table.ctx = Unmanaged.passRetained(self).toOpaque()
        table.write = { context, level, source, message in
            guard let log = try? Handle.context(context, as: Log.self) else { return }
            // One line, and no orders to the terminal.
            func plain(_ text: mt_str) -> String {
                String(
                    String.UnicodeScalarView(
                        text.string.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }))
            }
            log(Level(rawValue: min(max(level, 0), 3)) ?? .error, plain(source), plain(message))
        }
        return table
    }
}
