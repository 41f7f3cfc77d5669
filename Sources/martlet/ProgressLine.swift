import Glibc
import Hub

/// How far a download or another long task is: one line that is written over on a terminal, a line every ten seconds elsewhere; on standard
/// error, so that what a program reads stays clean.
final class ProgressLine {
    private let isTerminal = isatty(2) == 1
    private let isQuiet: Bool
    private var lastTime = 0
    private var isOpen = false

    init(isQuiet: Bool) { self.isQuiet = isQuiet }

    func note(_ text: String) {
        if isQuiet { return }
        end()
        write("\(text)\n")
    }

    func report(_ progress: DownloadProgress) -> Bool {
        let now = time(nil)
        let isDone = progress.files == progress.totalFiles
        guard !isQuiet, isTerminal || now - lastTime >= 10 || isDone else { return true }
        lastTime = now
        let left = progress.totalBytes - progress.bytes
        let rate = max(progress.bytesPerSecond, 1)
        var text =
            "\(progress.files)/\(progress.totalFiles) files, \(Self.size(progress.bytes)) of \(Self.size(progress.totalBytes))"
        if progress.bytesPerSecond > 0 { text += ", \(Self.size(Int(rate)))/s" }
        if left > 0, progress.bytesPerSecond > 0 { text += ", \(Self.duration(Double(left) / rate)) left" }
        write(isTerminal ? "\r\u{1B}[K\(text)" : "\(text)\n")
        isOpen = isTerminal
        return true
    }

    /// - Parameter share: From 0 to 1.
    func report(_ what: String, share: Double) {
        let now = time(nil)
        guard !isQuiet, isTerminal || now - lastTime >= 10 else { return }
        lastTime = now
        let text = "\(what): \(Int(100 * share)) %"
        write(isTerminal ? "\r\u{1B}[K\(text)" : "\(text)\n")
        isOpen = isTerminal
    }

    /// Leaves the line as it stands.
    func end() {
        if isOpen { write("\n") }
        isOpen = false
    }

    private func write(_ text: String) {
        var copy = text
        copy.withUTF8 { _ = Glibc.write(2, $0.baseAddress, $0.count) }
    }

    static func size(_ bytes: Int) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        var value = Double(bytes)
        var unit = 0
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        let tenths = Int((value * 10).rounded())
        return unit == 0 ? "\(bytes) B" : "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }

    private static func duration(_ seconds: Double) -> String {
        let whole = Int(min(seconds, 1e9))
        return whole >= 3600
            ? "\(whole / 3600) h \(whole / 60 % 60) min" : whole >= 60 ? "\(whole / 60) min" : "\(whole) s"
    }
}
