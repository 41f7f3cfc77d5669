import JSON
import PluginKit

/// Apache Parquet: plain, dictionary and run-length pages of both versions; snappy, gzip, zstd or no compression;
/// nested columns. A page of each column is in memory at a time.
package final class Parquet: DatasetFormat {
    private static let magic = Array("PAR1".utf8)
    private static let footerLimit = 1 << 28
    /// Lost rows that are reported one by one.
    private static let lossLimit = 100_000

    private let file: RandomFile
    private let schema: ParquetSchema
    private let groups: [Thrift]
    private let rowCount: Int
    private var groupIndex = 0
    private var rowInGroup = 0
    private var rowNumber = 0
    private var assembly: RecordAssembly?
    /// Why the rest of the row group cannot be read, and how many of its rows are still to be reported.
    private var loss: (cause: String, rows: Int)?

    package static func probe(_ path: String, head: UnsafeBufferPointer<UInt8>) -> Int {
        head.starts(with: magic) ? 100 : path.lowercased().hasSuffix(".parquet") ? 60 : 0
    }

    package init(path: String, options: JSON) throws {
        file = try RandomFile(path)
        do {
            let footer = try Self.footer(file)
            schema = try ParquetSchema(footer[2]?.list ?? [])
            groups = footer[4]?.list ?? []
            rowCount = footer[3]?.int ?? 0
        } catch let flaw as ParquetFlaw {
            throw PluginError(.error, flaw.cause, at: path)
        }
    }

    package var count: Int? { rowCount >= 0 ? rowCount : nil }

    package func next(_ row: inout [UInt8]) throws -> Bool {
        while true {
            if let lost = loss {
                rowInGroup += 1
                rowNumber += 1
                if lost.rows > 1 {
                    loss?.rows -= 1
                } else {
                    nextGroup()
                }
                throw DamagedRow(lost.cause, at: "row \(rowNumber)")
            }
            guard groupIndex < groups.count else { return false }
            guard rowInGroup < rows(in: groupIndex) else {
                nextGroup()
                continue
            }
            do {
                let record = try assembled().next()
                rowInGroup += 1
                rowNumber += 1
                row = Array(record.text().utf8)
                return true
            } catch let flaw as ParquetFlaw {
                loss = (flaw.cause, min(max(1, rows(in: groupIndex) - rowInGroup), Self.lossLimit))
            }
        }
    }

    /// "group row number": rows of the group before the one that comes.
    package var cursor: String { "\(groupIndex) \(rowInGroup) \(rowNumber)" }

    package func seek(_ cursor: String) throws {
        let parts = cursor.split(separator: " ").map { Int($0) ?? -1 }
        guard parts.count == 3, (0...groups.count).contains(parts[0]), parts[1] >= 0, parts[2] >= 0 else {
            throw PluginError(
                .error, "found the cursor \"\(cursor)\", wanted three numbers: group, row, row of the file")
        }
        groupIndex = parts[0]
        rowInGroup = 0
        assembly = nil
        loss = nil
        rowNumber = parts[2] - parts[1]
        var row: [UInt8] = []
        while rowInGroup < parts[1], groupIndex == parts[0] {
            do {
                guard try next(&row) else { break }
            } catch is DamagedRow {}
        }
    }

    private func rows(in group: Int) -> Int { max(0, groups[group][3]?.int ?? 0) }

    private func nextGroup() {
        groupIndex += 1
        rowInGroup = 0
        assembly = nil
        loss = nil
    }

    private func assembled() throws -> RecordAssembly {
        if let assembly { return assembly }
        let chunks = groups[groupIndex][1]?.list ?? []
        guard chunks.count == schema.leaves.count else {
            throw ParquetFlaw(
                "damaged metadata: a row group of \(chunks.count) columns, the schema has \(schema.leaves.count)")
        }
        let made = RecordAssembly(
            schema.root, try zip(schema.leaves, chunks).map { try ColumnReader(file, $0, chunk: $1) })
        assembly = made
        return made
    }

    /// The footer: metadata, its length as u32, "PAR1".
    private static func footer(_ file: RandomFile) throws -> Thrift {
        guard file.size >= 12 else { throw ParquetFlaw("not Parquet: \(file.size) bytes") }
        let tail = try file.read(at: file.size - 8, count: 8)
        guard Array(tail[4...]) == magic else {
            throw ParquetFlaw(
                Array(tail[4...]) == Array("PARE".utf8)
                    ? "not supported: an encrypted file" : "not Parquet: it does not end in PAR1; it may be cut short")
        }
        let length = tail[..<4].enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
        guard length <= min(footerLimit, file.size - 12) else {
            throw ParquetFlaw("damaged footer: says \(length) bytes of metadata, the file has \(file.size)")
        }
        return try file.read(at: file.size - 8 - length, count: length).withUnsafeBytes { bytes in
            var reader = ThriftReader(bytes)
            return try reader.structure()
        }
    }
}
