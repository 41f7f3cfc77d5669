import JSON
import PluginKit

/// The lines of a file in constant memory. A line ends with LF, CR LF or the file.
package final class LineReader {
    private let window: ByteWindow
    /// Bytes of the view that were given and not passed over yet.
    private var given = 0
    private var hasReportedBreak = false
    /// Rows that the format has taken from the lines; kept here because the cursor holds it.
    package var rows = 0
    /// The number of the line that was given last, from 1.
    package private(set) var lineNumber = 0

    /// Bytes a row may have where the options do not say: `max_row_bytes`.
    package static let defaultRowLimit = 64 << 20

    package static func rowLimit(_ options: JSON) -> Int {
        min(max(options["max_row_bytes"]?.int ?? defaultRowLimit, 1024), 1 << 30)
    }

    package init(_ path: String, rowLimit: Int) throws {
        window = try ByteWindow(path, limit: rowLimit)
        try window.skipByteOrderMark()
    }

    /// The next line without its end, valid until the next call; nil at the end of the file. 64 readable bytes follow.
    /// - Throws: `DamagedRow` for a line that is too long or that a broken compressed stream cut off.
    package func next() throws -> UnsafeBufferPointer<UInt8>? {
        if hasReportedBreak { return nil }
        settle()
        lineNumber = window.newlines + 1
        var searched = 0
        while true {
            if let found = newline(from: searched) {
                given = found + 1
                return line(found)
            }
            searched = window.count
            if try window.extend() { continue }
            if window.count >= window.limit { throw try skipLongLine() }
            if let broken = window.broken {
                hasReportedBreak = true
                let text = Array(window.view.prefix(DamagedRow.textLimit))
                window.consume(window.count)
                throw DamagedRow(broken.cause, at: "line \(lineNumber)", text: text)
            }
            if window.count == 0 { return nil }
            given = window.count
            return line(window.count)
        }
    }

    /// Where the line after the last one starts.
    package var cursor: String {
        settle()
        return StreamCursor(offset: window.offset, newlines: window.newlines, rows: rows, isAtEnd: hasReportedBreak)
            .text
    }

    package func seek(_ text: String) throws {
        let cursor = try StreamCursor(text)
        given = 0
        hasReportedBreak = cursor.isAtEnd
        try window.seek(to: cursor.offset, newlines: cursor.newlines)
        rows = cursor.rows
    }

    private func settle() {
        window.consume(given)
        given = 0
    }

    private func newline(from start: Int) -> Int? {
        let view = window.view
        guard start < view.count, let base = view.baseAddress else { return nil }
        return firstIndex(of: 0x0A, base + start, view.count - start).map { $0 + start }
    }

    private func line(_ length: Int) -> UnsafeBufferPointer<UInt8> {
        let line = UnsafeBufferPointer(rebasing: window.view[..<length])
        return line.last == 0x0D ? UnsafeBufferPointer(rebasing: line.dropLast()) : line
    }

    /// Passes over a line that is longer than a row may be, a view at a time.
    private func skipLongLine() throws -> DamagedRow {
        let text = Array(window.view.prefix(DamagedRow.textLimit))
        var length = 0
        while true {
            if let found = newline(from: 0) {
                length += found
                window.consume(found + 1)
                break
            }
            length += window.count
            window.consume(window.count)
            if !(try window.extend()) { break }
        }
        return DamagedRow(
            "too long: \(length) bytes, at most \(window.limit) are read (max_row_bytes)", at: "line \(lineNumber)",
            text: text)
    }
}
