import JSON
import PluginKit
import Streams

/// Plain text as rows of `{"text": …}`.
///
/// Option `unit`: "paragraph" (lines up to a blank one; the default), "line" or "document".
package final class PlainText: DatasetFormat {
    private enum Unit: String { case paragraph, line, document }

    private let lines: LineReader
    private let unit: Unit
    private let limit: Int
    /// The first line of the row that was given last.
    private var first = 0

    package static func probe(_ path: String, head: UnsafeBufferPointer<UInt8>) -> Int {
        let name = Compression.bareName(path)
        if name.hasSuffix(".txt") || name.hasSuffix(".text") || name.hasSuffix(".md") { return 100 }
        return 0
    }

    package init(path: String, options: JSON) throws {
        limit = LineReader.rowLimit(options)
        lines = try LineReader(path, rowLimit: limit)
        let name = options["unit"]?.string ?? Unit.paragraph.rawValue
        guard let unit = Unit(rawValue: name) else {
            throw PluginError(.error, "found \"\(name)\", wanted paragraph, line or document", at: "unit")
        }
        self.unit = unit
    }

    package func next(_ row: inout [UInt8]) throws -> Bool {
        var text: [UInt8] = []
        var first = 0
        var isTooLong = false
        while let line = try lines.next() {
            let blank = isBlank(line)
            if blank, first == 0 || unit == .line { continue }
            if blank, unit == .paragraph { break }
            if first == 0 {
                first = lines.lineNumber
            } else {
                text.append(0x0A)
            }
            if text.count + line.count > limit {
                isTooLong = true
                text.removeLast(text.count - min(text.count, DamagedRow.textLimit))
            } else {
                text.append(contentsOf: line)
            }
            if unit == .line { break }
        }
        guard first > 0 else { return false }
        lines.rows += 1
        self.first = first
        let place = "line \(first)"
        if isTooLong {
            throw DamagedRow("too long: more than \(limit) bytes (max_row_bytes)", at: place, text: text)
        }
        if unit == .document { while text.last == 0x0A { text.removeLast() } }
        switch text.withUnsafeBufferPointer(checkedText) {
        case .success(let value): row = Array((["text": .string(value)] as JSON).text().utf8)
        case .failure(let flaw): throw DamagedRow(flaw.cause, at: place, text: text)
        }
        return true
    }

    package var place: String? { "line \(first)" }
    package var cursor: String { lines.cursor }
    package func seek(_ cursor: String) throws { try lines.seek(cursor) }
    package var count: Int? { nil }
}
