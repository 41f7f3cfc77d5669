import Files
import JSON
import Streams

/// The values of one column chunk with their levels, a page in memory at a time (parquet.thrift, PageHeader).
final class ColumnReader {
    private enum PageKind: Int { case data = 0, index, dictionary, dataV2 }
    private enum Codec: Int { case none = 0, snappy, gzip, lzo, brotli, lz4, zstd, lz4Raw }

    let node: SchemaNode
    private let file: RandomFile
    private let codec: Codec
    private var offset: Int
    private let end: Int
    private var valuesLeft: Int
    private var dictionary: [JSON]?
    // The page in hand.
    private var definitions: [Int32] = []
    private var repetitions: [Int32] = []
    private var values: [JSON] = []
    private var indices: [Int32]?
    private var place = 0
    private var valuePlace = 0
    private var pageCount = 0
    /// Bytes of a page, packed or not.
    private static let pageLimit = 1 << 28

    init(_ file: RandomFile, _ node: SchemaNode, chunk: Thrift) throws {
        self.file = file
        self.node = node
        guard let meta = chunk[3], let data = meta[9]?.int, let size = meta[7]?.int, let count = meta[5]?.int,
            meta[1]?.int == node.physical?.rawValue
        else { throw ParquetFlaw("damaged metadata: column \"\(node.name)\"") }
        guard chunk[1] == nil else {
            throw ParquetFlaw("not supported: the column \"\(node.name)\" stands in another file")
        }
        guard let codec = Codec(rawValue: meta[4]?.int ?? 0) else {
            throw ParquetFlaw("not supported: compression \(meta[4]?.int ?? -1)")
        }
        self.codec = codec
        let first = meta[11]?.int.flatMap { $0 > 0 ? min($0, data) : nil } ?? data
        guard first >= 4, size >= 0, let stop = checkedSum(first, size), stop <= file.size, count >= 0 else {
            throw ParquetFlaw("damaged metadata: column \"\(node.name)\" lies outside the file")
        }
        offset = first
        end = stop
        valuesLeft = count
    }

    /// Levels of the value in hand; nil at the end of the chunk.
    func levels() throws -> (definition: Int, repetition: Int)? {
        while place == pageCount {
            if valuesLeft == 0 { return nil }
            try readPage()
        }
        return (
            definitions.isEmpty ? node.definition : Int(definitions[place]),
            repetitions.isEmpty ? 0 : Int(repetitions[place])
        )
    }

    /// The value in hand, passed over; null where its levels say that none is there.
    func take() throws -> JSON {
        guard let levels = try levels() else { throw ParquetFlaw("damaged page: column \"\(node.name)\" ends early") }
        place += 1
        guard levels.definition == node.definition else { return .null }
        defer { valuePlace += 1 }
        if let indices {
            guard valuePlace < indices.count, let dictionary, dictionary.indices.contains(Int(indices[valuePlace]))
            else {
                throw ParquetFlaw("damaged page: an index outside the dictionary of \"\(node.name)\"")
            }
            return dictionary[Int(indices[valuePlace])]
        }
        guard valuePlace < values.count else {
            throw ParquetFlaw("damaged page: values of \"\(node.name)\" are missing")
        }
        return values[valuePlace]
    }

    private func readPage() throws {
        guard offset < end else { throw ParquetFlaw("damaged page: column \"\(node.name)\" ends early") }
        let window = try file.read(at: offset, count: min(1 << 16, end - offset))
        let (header, size) = try window.withUnsafeBytes { bytes in
            var reader = ThriftReader(bytes)
            let header = try reader.structure()
            return (header, reader.position)
        }
        guard let kind = header[1]?.int.flatMap(PageKind.init(rawValue:)), let packed = header[3]?.int,
            let unpacked = header[2]?.int, (0...Self.pageLimit).contains(packed),
            (0...Self.pageLimit).contains(unpacked),
            packed <= end - offset - size
        else { throw ParquetFlaw("damaged page: its header makes no sense") }
        let body = try file.read(at: offset + size, count: packed)
        offset += size + packed
        switch kind {
        case .index: break
        case .dictionary:
            let count = try countOf(header[7]?[1], limit: unpacked)
            let bytes = try unpack(body, size: unpacked)
            dictionary = try bytes.withUnsafeBytes { try PlainValues.decode($0, node, count: count) }
        case .data: try readData(header[5], try unpack(body, size: unpacked))
        case .dataV2: try readDataV2(header[8], body, unpacked)
        }
    }

    /// A number of values: each takes at least a bit where something is there, and levels say where nothing is.
    private func countOf(_ value: Thrift?, limit: Int) throws -> Int {
        guard let count = value?.int, count >= 0, count <= 1 << 26 else {
            throw ParquetFlaw("damaged page: a page of \(value?.int ?? -1) values")
        }
        return count
    }

    private func readData(_ header: Thrift?, _ bytes: [UInt8]) throws {
        let count = try countOf(header?[1], limit: bytes.count)
        try bytes.withUnsafeBytes { bytes in
            var rest = bytes
            func levels(_ maximum: Int) throws -> [Int32] {
                if maximum == 0 { return [] }
                guard rest.count >= 4 else { throw ParquetFlaw("damaged page: no levels") }
                let size = Int(UInt32(littleEndian: rest.loadUnaligned(as: UInt32.self)))
                guard size <= rest.count - 4 else { throw ParquetFlaw("damaged page: levels cut short") }
                defer { rest = UnsafeRawBufferPointer(rebasing: rest[(4 + size)...]) }
                return try decodeLevels(UnsafeRawBufferPointer(rebasing: rest[4..<4 + size]), maximum, count)
            }
            guard header?[3]?.int ?? 3 == 3 || node.definition == 0, header?[4]?.int ?? 3 == 3 || node.level == 0 else {
                throw ParquetFlaw("not supported: levels in the old bit-packed form")
            }
            repetitions = try levels(node.level)
            definitions = try levels(node.definition)
            try readValues(rest, header?[2]?.int ?? -1, count)
        }
    }

    private func readDataV2(_ header: Thrift?, _ body: [UInt8], _ unpacked: Int) throws {
        let count = try countOf(header?[1], limit: unpacked)
        guard let definitionSize = header?[5]?.int, let repetitionSize = header?[6]?.int, definitionSize >= 0,
            repetitionSize >= 0, let levelSize = checkedSum(definitionSize, repetitionSize), levelSize <= body.count,
            levelSize <= unpacked
        else { throw ParquetFlaw("damaged page: levels cut short") }
        try body.withUnsafeBytes { bytes in
            let parts = (
                UnsafeRawBufferPointer(rebasing: bytes[..<repetitionSize]),
                UnsafeRawBufferPointer(rebasing: bytes[repetitionSize..<levelSize])
            )
            repetitions = node.level == 0 ? [] : try decodeLevels(parts.0, node.level, count)
            definitions = node.definition == 0 ? [] : try decodeLevels(parts.1, node.definition, count)
        }
        let data = Array(body[levelSize...])
        let isPacked = header?[7]?.bool ?? true
        let values = isPacked && !data.isEmpty ? try unpack(data, size: unpacked - levelSize) : data
        try values.withUnsafeBytes { try readValues($0, header?[4]?.int ?? -1, count) }
    }

    private func decodeLevels(_ bytes: UnsafeRawBufferPointer, _ maximum: Int, _ count: Int) throws -> [Int32] {
        let width = Int.bitWidth - maximum.leadingZeroBitCount
        let levels = try HybridRuns.decode(bytes, width: width, count: count)
        guard levels.allSatisfy({ $0 >= 0 && $0 <= maximum }) else {
            throw ParquetFlaw("damaged page: a level above its maximum")
        }
        return levels
    }

    private func readValues(_ bytes: UnsafeRawBufferPointer, _ encoding: Int, _ count: Int) throws {
        let present = definitions.isEmpty ? count : definitions.reduce(0) { Int($1) == node.definition ? $0 + 1 : $0 }
        indices = nil
        values = []
        switch encoding {
        case 0: values = try PlainValues.decode(bytes, node, count: present)
        case 2, 8:
            guard dictionary != nil else { throw ParquetFlaw("damaged page: no dictionary for \"\(node.name)\"") }
            if present == 0 {
                indices = []
            } else {
                guard let width = bytes.first else { throw ParquetFlaw("damaged page: no width of indices") }
                indices = try HybridRuns.decode(
                    UnsafeRawBufferPointer(rebasing: bytes[1...]), width: Int(width), count: present)
            }
        case 3 where node.physical == .boolean:
            guard bytes.count >= 4 else { throw ParquetFlaw("damaged page: values cut short") }
            values = try HybridRuns.decode(UnsafeRawBufferPointer(rebasing: bytes[4...]), width: 1, count: present)
                .map { .bool($0 == 1) }
        default:
            throw ParquetFlaw(
                "not supported: encoding \(encoding) of \"\(node.name)\"; write the file with plain or dictionary pages"
            )
        }
        place = 0
        valuePlace = 0
        pageCount = count
        guard count <= valuesLeft else { throw ParquetFlaw("damaged page: more values than the column has") }
        valuesLeft -= count
    }

    private func unpack(_ body: [UInt8], size: Int) throws -> [UInt8] {
        let flaw = ParquetFlaw("damaged page: the \(codec) block of \"\(node.name)\"")
        return try body.withUnsafeBytes { bytes in
            switch codec {
            case .none:
                guard body.count == size else { throw flaw }
                return body
            case .snappy: return try Snappy.decompress(bytes, size: size)
            case .gzip:
                guard let out = OneShot.gzip(bytes, size: size) else { throw flaw }
                return out
            case .zstd:
                guard let out = OneShot.zstd(bytes, size: size) else { throw flaw }
                return out
            case .lzo, .brotli, .lz4, .lz4Raw:
                throw ParquetFlaw("not supported: \(codec) compression; write the file with zstd, snappy, gzip or none")
            }
        }
    }
}
