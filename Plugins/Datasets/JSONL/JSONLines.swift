import JSON
import PluginKit
import RowCheck
import Streams

/// JSON Lines: one object a line (jsonlines.org). Blank lines are no rows.
package final class JSONLines: DatasetFormat {
    private let lines: LineReader
    private let checker: RowChecker

    package static func probe(_ path: String, head: UnsafeBufferPointer<UInt8>) -> Int {
        let name = Compression.bareName(path)
        if name.hasSuffix(".jsonl") || name.hasSuffix(".ndjson") { return 100 }
        let first = head.first { $0 != 0x20 && $0 != 0x0A && $0 != 0x0D && $0 != 0x09 }
        // An object that closes within its line.
        let line = head.prefix { $0 != 0x0A }
        let closes = line.count < head.count && line.last { $0 != 0x0D && $0 != 0x20 } == UInt8(ascii: "}")
        return first == UInt8(ascii: "{") && closes ? 40 : 0
    }

    package init(path: String, options: JSON) throws {
        lines = try LineReader(path, rowLimit: LineReader.rowLimit(options))
        checker = try RowChecker()
    }

    package func next(_ row: inout [UInt8]) throws -> Bool {
        while let line = try lines.next() {
            if isBlank(line) { continue }
            lines.rows += 1
            try checker.check(line, at: "line \(lines.lineNumber)")
            row.removeAll(keepingCapacity: true)
            row.append(contentsOf: line)
            return true
        }
        return false
    }

    package var place: String? { "line \(lines.lineNumber)" }
    package var cursor: String { lines.cursor }
    package func seek(_ cursor: String) throws { try lines.seek(cursor) }
    package var count: Int? { nil }
}
