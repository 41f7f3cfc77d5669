import JSON
import PluginKit
import RowCheck
import Streams

/// The objects of a JSON file in constant memory: the elements of an array, of an array inside an object
/// (`{"data": [...]}`), or objects that follow each other.
package final class JSONArray: DatasetFormat {
    /// Members of a top-level object whose array holds the rows.
    private static let containers = ["data", "examples", "rows", "train"]

    private let window: ByteWindow
    private let checker: RowChecker
    private let isArray: Bool
    private var rows = 0
    private var isDone = false
    /// The first line of the element that was read last.
    private var line = 0

    package static func probe(_ path: String, head: UnsafeBufferPointer<UInt8>) -> Int {
        let first = head.first { ![0x20, 0x0A, 0x0D, 0x09, 0xEF, 0xBB, 0xBF].contains($0) }
        let named = Compression.bareName(path).hasSuffix(".json")
        switch first {
        case UInt8(ascii: "["): return named ? 100 : 50
        case UInt8(ascii: "{"): return named ? 90 : 20
        default: return named ? 10 : 0
        }
    }

    package init(path: String, options: JSON) throws {
        window = try ByteWindow(path, limit: LineReader.rowLimit(options))
        checker = try RowChecker()
        try window.skipByteOrderMark()
        let start = window.offset
        switch try Self.nextByte(window) {
        case UInt8(ascii: "["):
            window.consume(1)
            isArray = true
        case UInt8(ascii: "{"):
            isArray = try Self.enterContainer(window, options["field"]?.string)
            if !isArray { try window.seek(to: start, newlines: 0) }
        default:
            isArray = false
        }
    }

    package func next(_ row: inout [UInt8]) throws -> Bool {
        if isDone { return false }
        var byte = try nextByte()
        if isArray, byte == UInt8(ascii: ",") {
            window.consume(1)
            byte = try nextByte()
        }
        line = window.newlines + 1
        let place = "line \(line)"
        guard let byte else {
            isDone = true
            if let broken = window.broken { throw DamagedRow(broken.cause, at: place) }
            if isArray { throw DamagedRow("cut short: the file ends inside the array of rows", at: place) }
            return false
        }
        if isArray, byte == UInt8(ascii: "]") {
            isDone = true
            return false
        }
        rows += 1
        let value = try Self.value(window, at: place)
        defer { window.consume(value.count) }
        try checker.check(value, at: place)
        row.removeAll(keepingCapacity: true)
        row.append(contentsOf: value)
        return true
    }

    package var place: String? { "line \(line)" }

    package var cursor: String {
        StreamCursor(offset: window.offset, newlines: window.newlines, rows: rows, isAtEnd: isDone).text
    }

    package func seek(_ text: String) throws {
        let cursor = try StreamCursor(text)
        try window.seek(to: cursor.offset, newlines: cursor.newlines)
        rows = cursor.rows
        isDone = cursor.isAtEnd
    }

    package var count: Int? { nil }

    /// The next byte that is no blank, left in view.
    private func nextByte() throws -> UInt8? { try Self.nextByte(window) }

    private static func nextByte(_ window: ByteWindow) throws -> UInt8? {
        while true {
            let blanks = window.view.prefix { $0 == 0x20 || $0 == 0x0A || $0 == 0x0D || $0 == 0x09 }.count
            window.consume(blanks)
            if let byte = window.view.first { return byte }
            guard try window.extend() else { return nil }
        }
    }

    /// The bytes of the value that starts the view, left in view.
    private static func value(_ window: ByteWindow, at place: String) throws -> UnsafeBufferPointer<UInt8> {
        var scanner = ValueScanner()
        while true {
            if let end = scanner.end(in: window.view) { return UnsafeBufferPointer(rebasing: window.view[..<end]) }
            if try window.extend() { continue }
            let text = Array(window.view.prefix(DamagedRow.textLimit))
            if window.count >= window.limit {
                let length = try skip(window, scanner)
                throw DamagedRow(
                    "too long: \(length) bytes, at most \(window.limit) are read (max_row_bytes)", at: place, text: text
                )
            }
            let cause = window.broken?.cause ?? "cut short: the file ends inside a row"
            // A bare scalar may end with the file; the checker says what it thinks of it.
            if window.broken == nil, scanner.isWhole { return window.view }
            window.consume(window.count)
            throw DamagedRow(cause, at: place, text: text)
        }
    }

    /// Passes over a value that is longer than a row may be; its length.
    private static func skip(_ window: ByteWindow, _ scanner: ValueScanner) throws -> Int {
        var scanner = scanner
        var length = 0
        while true {
            if let end = scanner.end(in: window.view) {
                window.consume(end)
                return length + end
            }
            length += window.count
            scanner.dropped(window.count)
            window.consume(window.count)
            if !(try window.extend()) { return length }
        }
    }

    /// Walks the members of the object in view up to the array that holds the rows, and stops behind its "[".
    /// - Returns: false when there is none; the window then stands anywhere.
    private static func enterContainer(_ window: ByteWindow, _ field: String?) throws -> Bool {
        window.consume(1)
        while true {
            var byte = try nextByte(window)
            if byte == UInt8(ascii: ",") {
                window.consume(1)
                byte = try nextByte(window)
            }
            guard byte == UInt8(ascii: "\"") else { return false }
            let place = "line \(window.newlines + 1)"
            guard let key = try? value(window, at: place) else { return false }
            let name = (try? JSON(parsing: key))?.string ?? ""
            window.consume(key.count)
            guard try nextByte(window) == UInt8(ascii: ":") else { return false }
            window.consume(1)
            let first = try nextByte(window)
            if first == UInt8(ascii: "["), field.map({ $0 == name }) ?? containers.contains(name) {
                window.consume(1)
                if field != nil { return true }
                return try nextByte(window) == UInt8(ascii: "{")
            }
            do {
                window.consume(try value(window, at: place).count)
            } catch is DamagedRow {
                if window.count == 0 { return false }
            }
        }
    }
}
