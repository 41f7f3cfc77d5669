import JSON
import PluginAPI

/// A row that cannot be given. Reading goes on behind it.
public struct DamagedRow: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong with it.
    public var cause: String
    /// Where it starts, such as "line 12" or "row 3".
    public var place: String
    /// Its text as it stands in the file, cut to `textLimit` bytes; may be empty and need not be UTF-8.
    public var text: [UInt8]
    /// Bytes of a damaged row that are kept for the report.
    public static let textLimit = 512

    public init(_ cause: String, at place: String, text: some Sequence<UInt8> = []) {
        self.cause = cause
        self.place = place
        self.text = Array(text.prefix(Self.textLimit))
    }

    public var description: String { "\(place): \(cause)" }
}

/// The rows of a file, one after the other. One thread at a time uses an instance.
public protocol DatasetFormat: AnyObject {
    /// How well this format reads the file: 0 = not at all, 100 = exactly its own.
    /// - Parameters:
    ///   - path: The file's name; a suffix of compression is taken off by the format.
    ///   - head: The file's first bytes, decompressed.
    static func probe(_ path: String, head: UnsafeBufferPointer<UInt8>) -> Int
    /// - Parameter options: The format's settings, an object; what a format does not know it passes over.
    init(path: String, options: JSON) throws
    /// Replaces `row` by the text of the next row, one JSON object; false at the end.
    /// - Throws: `DamagedRow` for a row that is passed over; any other error ends the reading.
    func next(_ row: inout [UInt8]) throws -> Bool
    /// Where the row that `next` gave starts, such as "line 12"; nil lets the host count rows.
    var place: String? { get }
    /// A text that `seek` understands, for the row that `next` would give.
    var cursor: String { get }
    /// Goes to a row whose cursor was taken from the same file.
    func seek(_ cursor: String) throws
    /// The number of rows, when it is known without reading them all.
    var count: Int? { get }
}

extension DatasetFormat {
    public var place: String? { nil }
}

private final class DatasetContext {
    let type: any DatasetFormat.Type
    init(_ type: any DatasetFormat.Type) { self.type = type }
}

private final class RowsBox {
    let format: any DatasetFormat
    var row: [UInt8] = []
    init(_ format: any DatasetFormat) { self.format = format }

    static func from(_ handle: OpaquePointer?) throws -> RowsBox { try Handle.object(handle, as: RowsBox.self) }
}

extension Components {
    /// Offers a dataset format under `id`.
    public func dataset(_ id: String, _ type: any DatasetFormat.Type, summary: String, priority: Int = 0) {
        var table = mt_dataset_table()
        table.struct_size = UInt32(MemoryLayout<mt_dataset_table>.size)
        table.probe = { context, path, head in
            let bytes = UnsafeBufferPointer(
                start: head.data?.assumingMemoryBound(to: UInt8.self), count: head.data == nil ? 0 : head.size)
            let type = (try? Handle.context(context, as: DatasetContext.self))?.type
            return Int32(clamping: type?.probe(path.string, head: bytes) ?? 0)
        }
        table.open = { context, path, options, out, error in
            guarded(error) {
                let type = try Handle.context(context, as: DatasetContext.self).type
                let settings = try parsedOptions(options)
                out?.pointee = Handle.make(RowsBox(try type.init(path: path.string, options: settings)))
            }
        }
        table.next = { _, handle, out, found, error in
            guarded(error) {
                let box = try RowsBox.from(handle)
                found?.pointee = false
                do {
                    guard try box.format.next(&box.row) else { return }
                } catch let damaged as DamagedRow {
                    try damaged.text.withUnsafeBytes { try out.put($0) }
                    throw PluginError(.invalid, damaged.cause, at: damaged.place)
                } catch let failure as PluginError where failure.code == .invalid {
                    // INVALID means a row that is passed over; what ends the reading must not look like one.
                    throw PluginError(.error, failure.message, at: failure.location)
                }
                try box.row.withUnsafeBytes { try out.put($0) }
                if let place = box.format.place { error?.pointee.location = place }
                found?.pointee = true
            }
        }
        table.cursor = { _, handle, out, error in
            guarded(error) { try out.put(try RowsBox.from(handle).format.cursor) }
        }
        table.seek = { _, handle, cursor, error in
            guarded(error) { try RowsBox.from(handle).format.seek(cursor.string) }
        }
        table.count = { _, handle in (try? RowsBox.from(handle))?.format.count.map(Int64.init) ?? -1 }
        table.close = { _, handle in Handle.release(handle, as: RowsBox.self) }
        add(
            kind: MT_KIND_DATASET, id: id, summary: summary, priority: priority, table: table,
            context: DatasetContext(type))
    }
}

private func parsedOptions(_ text: mt_str) throws -> JSON {
    guard text.size > 0 else { return [:] }
    do {
        let options = try JSON(parsing: text.bytes)
        guard options.object != nil else {
            throw PluginError(.invalid, "found \(options.typeName), wanted an object", at: "options")
        }
        return options
    } catch let failure as JSONError {
        throw PluginError(.invalid, failure.description, at: "options")
    }
}
