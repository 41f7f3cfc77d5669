import Files
import JSON
import PluginAPI
import PluginKit
import Streams

/// A dataset format as the host knows it: a component of kind "martlet.dataset/1".
package struct RowFormat: @unchecked Sendable {
    package let id: String
    package let priority: Int
    /// Lives as long as the process, as the context does (contract, section "Ownership").
    let table: UnsafePointer<mt_dataset_table>
    let context: UnsafeMutableRawPointer?

    package init(id: String, priority: Int, table: UnsafeRawPointer, context: UnsafeMutableRawPointer?) {
        self.id = id
        self.priority = priority
        self.table = table.assumingMemoryBound(to: mt_dataset_table.self)
        self.context = context
    }

    /// A component of kind "martlet.dataset/1", as the host's registry gives it; nil where it has no table.
    package init?(_ component: mt_component) {
        guard let table = component.table else { return nil }
        self.init(
            id: component.id.string, priority: Int(component.priority), table: table, context: component.ctx)
    }
}

/// The formats of this installation; finds the one that reads a file.
package struct RowFormats: Sendable {
    package let all: [RowFormat]

    package init(_ all: [RowFormat]) { self.all = all }

    /// Bytes of a file, decompressed, that a format sees when it is asked.
    private static let headSize = 4096

    /// The format named `id`, or the one that says it reads the file best.
    package func format(for path: String, named id: String? = nil) throws -> RowFormat {
        if let id {
            if let format = all.first(where: { $0.id == id }) { return format }
            throw DataError(
                path, found: "the format \"\(id)\"", wanted: "one of \(all.map(\.id).joined(separator: ", "))")
        }
        let head = try Self.head(path)
        let scored = all.map { format in (format, Self.score(format, path, head)) }.filter { $0.1 > 0 }
        guard let best = scored.max(by: { ($0.1, $0.0.priority) < ($1.1, $1.0.priority) }) else {
            throw DataError(
                path, found: "a file that no data set format reads",
                wanted: "one of \(all.map(\.id).joined(separator: ", "))",
                fix: "Name the format, or give the file its usual suffix.")
        }
        return best.0
    }

    private static func score(_ format: RowFormat, _ path: String, _ head: [UInt8]) -> Int {
        guard let probe = format.table.pointee.probe else { return 0 }
        return head.withUnsafeBytes { bytes in
            path.lent { Int(probe(format.context, $0, mt_bytes(data: bytes.baseAddress, size: bytes.count))) }
        }
    }

    private static func head(_ path: String) throws -> [UInt8] {
        let source = try ByteSource(path)
        var bytes = [UInt8](repeating: 0, count: headSize)
        var count = 0
        while count < headSize {
            do {
                let got = try bytes.withUnsafeMutableBytes { buffer in
                    try source.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[count...]))
                }
                if got == 0 { break }
                count += got
            } catch is BrokenStream {
                // The format's reader meets it too, and says at which line.
                break
            }
        }
        return Array(bytes.prefix(count))
    }
}

/// An open file of rows: the handle of a plugin's reader.
package final class RowFile {
    package let path: String
    private let format: RowFormat
    private var handle: OpaquePointer?

    package init(_ path: String, _ format: RowFormat, options: JSON = [:]) throws {
        self.path = path
        self.format = format
        guard let open = format.table.pointee.open else {
            throw DataError(path, found: "the format \(format.id) without open", wanted: "a complete plugin")
        }
        var handle: OpaquePointer?
        try path.lent { (path: mt_str) throws in
            try options.text().lent { (options: mt_str) throws in
                try checked { open(format.context, path, options, &handle, $0) }
            }
        }
        self.handle = handle
    }

    deinit {
        if let handle { format.table.pointee.close?(format.context, handle) }
    }

    /// The next row's text, and where it starts if the format says so ("line 12"); nil at the end.
    /// - Throws: `DamagedRow` for a row that is passed over.
    package func next() throws -> (text: [UInt8], place: String)? {
        guard let next = format.table.pointee.next else { return nil }
        var found = false
        var failure: PluginError?
        var place = ""
        let bytes = try collected { sink in
            do {
                try checked { error in
                    defer { place = error.pointee.location }
                    return next(format.context, handle, sink, &found, error)
                }
            } catch let error as PluginError {
                failure = error
            }
        }
        if let failure {
            guard failure.code == .invalid else { throw failure }
            throw DamagedRow(failure.message, at: place, text: bytes)
        }
        return found ? (bytes, place) : nil
    }

    package func cursor() throws -> String {
        guard let cursor = format.table.pointee.cursor else { return "" }
        let bytes = try collected { sink in try checked { cursor(format.context, handle, sink, $0) } }
        return String(decoding: bytes, as: UTF8.self)
    }

    package func seek(_ cursor: String) throws {
        guard let seek = format.table.pointee.seek else { return }
        try cursor.lent { (cursor: mt_str) throws in try checked { seek(format.context, handle, cursor, $0) } }
    }

    /// The number of rows, where it is known without reading them.
    package var count: Int? {
        guard let count = format.table.pointee.count?(format.context, handle), count >= 0 else { return nil }
        return Int(count)
    }
}
