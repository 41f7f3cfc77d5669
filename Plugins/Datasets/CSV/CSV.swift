import JSON
import PluginKit
import Streams

/// Comma-, tab-, semicolon- or bar-separated values (RFC 4180), the first record naming the columns.
///
/// Options: `delimiter` (else told from the header), `header` (a list of names for a file that has none, or false for
/// "column1", "column2" …). Values are text; an empty field without quotes is null.
package final class CSV: DatasetFormat {
    private let window: ByteWindow
    private let delimiter: UInt8
    private let names: [String]
    private var rows = 0
    private var isBroken = false
    /// The first line of the record that was read last.
    private var line = 0

    package static func probe(_ path: String, head: UnsafeBufferPointer<UInt8>) -> Int {
        let name = Compression.bareName(path)
        return name.hasSuffix(".csv") || name.hasSuffix(".tsv") ? 100 : 0
    }

    package init(path: String, options: JSON) throws {
        window = try ByteWindow(path, limit: LineReader.rowLimit(options))
        try window.skipByteOrderMark()
        while window.count < 1 << 16, try window.extend() {}
        let named = options["delimiter"]?.string
        if let named, named.utf8.count != 1 || named == "\"" || named == "\n" {
            throw PluginError(.error, "found \"\(named)\", wanted one byte", at: "delimiter")
        }
        delimiter = named?.utf8.first ?? Self.sniff(window.view, isTSV: Compression.bareName(path).hasSuffix(".tsv"))
        if let header = options["header"]?.array {
            names = header.map { $0.string ?? "" }
        } else {
            let start = window.offset
            let first: [JSON]
            do {
                first = try Self.record(window, delimiter)?.fields ?? []
            } catch let damaged as DamagedRow {
                throw PluginError(.error, "the header cannot be read: \(damaged.cause)", at: path)
            }
            if options["header"]?.bool == false {
                names = first.indices.map { "column\($0 + 1)" }
                try window.seek(to: start, newlines: 0)
            } else {
                names = first.map { $0.string ?? "" }
            }
        }
        var seen: Set<String> = []
        if let twice = names.first(where: { !seen.insert($0).inserted }) {
            throw PluginError(
                .error, "the header names the column \"\(twice)\" twice; give other names with \"header\"", at: path)
        }
    }

    package func next(_ row: inout [UInt8]) throws -> Bool {
        if isBroken { return false }
        while true {
            line = window.newlines + 1
            guard let record = try Self.record(window, delimiter) else {
                if let broken = window.broken {
                    isBroken = true
                    throw DamagedRow(broken.cause, at: "line \(line)")
                }
                return false
            }
            if record.isBlank { continue }
            rows += 1
            guard record.fields.count == names.count else {
                throw DamagedRow(
                    "wrong number of fields: found \(record.fields.count), the header has \(names.count)",
                    at: "line \(line)", text: record.text)
            }
            row = Array(JSON.object(JSONObject(Array(zip(names, record.fields)))).text().utf8)
            return true
        }
    }

    package var place: String? { "line \(line)" }

    package var cursor: String {
        StreamCursor(offset: window.offset, newlines: window.newlines, rows: rows, isAtEnd: isBroken).text
    }

    package func seek(_ text: String) throws {
        let cursor = try StreamCursor(text)
        try window.seek(to: cursor.offset, newlines: cursor.newlines)
        rows = cursor.rows
        isBroken = cursor.isAtEnd
    }

    package var count: Int? { nil }

    private struct Record {
        var fields: [JSON]
        var isBlank: Bool
        var text: [UInt8]
    }

    /// The record at the start of the view, passed over; nil at the end.
    private static func record(_ window: ByteWindow, _ delimiter: UInt8) throws -> Record? {
        var scanner = RecordScanner(delimiter: delimiter)
        let place = "line \(window.newlines + 1)"
        if window.count == 0, !(try window.extend()) { return nil }
        var end = scanner.end(in: window.view, isLast: false)
        while end == nil {
            if try window.extend() {
                end = scanner.end(in: window.view, isLast: false)
            } else if window.count >= window.limit {
                let text = Array(window.view.prefix(DamagedRow.textLimit))
                try skipLine(window)
                throw DamagedRow(
                    "too long: more than \(window.limit) bytes (max_row_bytes)"
                        + (scanner.isInsideQuotes ? "; a quote stands open" : ""), at: place, text: text)
            } else {
                end = scanner.end(in: window.view, isLast: true)
            }
        }
        let bytes = UnsafeBufferPointer(rebasing: window.view[..<(end ?? 0)])
        defer { window.consume(bytes.count) }
        if let broken = window.broken, bytes.last != 0x0A {
            throw DamagedRow(broken.cause, at: place, text: bytes)
        }
        if let flaw = scanner.flaw { throw DamagedRow(flaw, at: place, text: bytes) }
        if case .failure(let flaw) = checkedText(bytes) { throw DamagedRow(flaw.cause, at: place, text: bytes) }
        let only = scanner.fields.count == 1 ? scanner.fields[0] : nil
        return Record(
            fields: scanner.fields.map { value($0, bytes) },
            isBlank: only?.range.isEmpty == true && only?.isQuoted == false,
            text: Array(bytes.prefix(DamagedRow.textLimit)))
    }

    private static func value(_ field: RecordScanner.Field, _ bytes: UnsafeBufferPointer<UInt8>) -> JSON {
        if field.range.isEmpty, !field.isQuoted { return .null }
        let raw = bytes[field.range]
        guard field.hasDoubled else { return .string(String(decoding: raw, as: UTF8.self)) }
        var out: [UInt8] = []
        var skipsQuote = false
        for byte in raw {
            if skipsQuote {
                skipsQuote = false
            } else {
                out.append(byte)
                skipsQuote = byte == UInt8(ascii: "\"")
            }
        }
        return .string(String(decoding: out, as: UTF8.self))
    }

    private static func skipLine(_ window: ByteWindow) throws {
        repeat {
            if let base = window.view.baseAddress, let at = firstIndex(of: 0x0A, base, window.count) {
                window.consume(at + 1)
                return
            }
            window.consume(window.count)
        } while try window.extend()
    }

    /// The separator that stands most often in the first line outside quotes; a comma if none does.
    private static func sniff(_ head: UnsafeBufferPointer<UInt8>, isTSV: Bool) -> UInt8 {
        if isTSV { return 0x09 }
        var counts: [UInt8: Int] = [:]
        var isQuoted = false
        for byte in head {
            if byte == 0x0A, !isQuoted { break }
            if byte == UInt8(ascii: "\"") { isQuoted.toggle() }
            if !isQuoted { counts[byte, default: 0] += 1 }
        }
        let candidates = [UInt8(ascii: ","), 0x09, UInt8(ascii: ";"), UInt8(ascii: "|")]
        let best = candidates.max { (counts[$0] ?? 0) < (counts[$1] ?? 0) } ?? UInt8(ascii: ",")
        return (counts[best] ?? 0) > (counts[UInt8(ascii: ",")] ?? 0) ? best : UInt8(ascii: ",")
    }
}
