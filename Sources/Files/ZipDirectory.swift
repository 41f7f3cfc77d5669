/// The entries of a zip archive, from its central directory (PKWARE APPNOTE 6.3.10), zip64 included.
///
/// Every entry lies inside the archive, apart from the others, and is called the same in both places that name it.
package struct ZipDirectory: Sendable {
    package struct Entry: Sendable, Equatable {
        package let name: String
        /// 0 = stored as it is, 8 = deflate.
        package let method: Int
        /// CRC-32 of the content.
        package let checksum: UInt32
        /// Where its bytes stand in the archive, compressed if they are.
        package let range: Range<Int>
        /// Bytes of the content; what the archive says, to be checked when inflating.
        package let size: Int
    }

    package private(set) var entries: [Entry] = []
    private var positions: [String: Int] = [:]

    package static let maximumEntries = 1 << 18

    package subscript(name: String) -> Entry? { positions[name].map { entries[$0] } }

    package init(_ bytes: UnsafeRawBufferPointer, path: String) throws(FileError) {
        let end = try ZipEnd(bytes, path: path)
        var reader = ByteReader(
            UnsafeRawBufferPointer(rebasing: bytes[..<end.directory.upperBound]), path: path,
            at: end.directory.lowerBound)
        guard end.count <= Self.maximumEntries, end.count <= end.directory.count / 46 else {
            throw FileError(
                path, at: end.directory.lowerBound, "entry count", found: "\(end.count)",
                wanted: "at most \(min(Self.maximumEntries, end.directory.count / 46))")
        }
        entries.reserveCapacity(end.count)
        for _ in 0..<end.count {
            let at = reader.position
            let entry = try Self.entry(&reader, bytes, path, limit: end.directory.lowerBound)
            guard positions.updateValue(entries.count, forKey: entry.name) == nil else {
                throw FileError(
                    path, at: at, "entry \(FileError.quote(entry.name))", found: "the name twice", wanted: "each once")
            }
            entries.append(entry)
        }
        let sorted = entries.filter { !$0.range.isEmpty }.sorted { $0.range.lowerBound < $1.range.lowerBound }
        for (one, next) in zip(sorted, sorted.dropFirst()) where one.range.upperBound > next.range.lowerBound {
            throw FileError(
                path, at: next.range.lowerBound, "entry \(FileError.quote(next.name))",
                found: "bytes that \(FileError.quote(one.name)) has too", wanted: "entries apart from each other",
                fix: "The archive may be hostile; do not use it.")
        }
    }

    private static func entry(
        _ reader: inout ByteReader, _ bytes: UnsafeRawBufferPointer, _ path: String, limit: Int
    ) throws(FileError) -> Entry {
        let at = reader.position
        let fixed = try reader.take(46, "directory entry")
        func u16(_ at: Int) -> Int {
            Int(UInt16(littleEndian: fixed.loadUnaligned(fromByteOffset: at, as: UInt16.self)))
        }
        func u32(_ at: Int) -> Int {
            Int(UInt32(littleEndian: fixed.loadUnaligned(fromByteOffset: at, as: UInt32.self)))
        }
        guard u32(0) == 0x0201_4b50 else {
            throw FileError(path, at: at, "directory entry", found: "another mark", wanted: "\"PK\" 1 2")
        }
        let rawName = try reader.take(u16(28), "entry name")
        let extra = try reader.take(u16(30), "entry extra field")
        try reader.skip(u16(32), "entry comment")
        guard let name = String(validating: rawName, as: UTF8.self), !name.isEmpty else {
            throw FileError(path, at: at, "entry name", found: "\(rawName.count) bytes", wanted: "UTF-8 text")
        }
        let what = "entry \(FileError.quote(name))"
        guard u16(8) & 1 == 0, u16(10) == 0 || u16(10) == 8, u16(34) == 0 else {
            throw FileError(
                path, at: at, what, found: "flags \(u16(8)), method \(u16(10)), disk \(u16(34))",
                wanted: "no encryption, stored or deflated, one disk")
        }
        var sizes = [u32(24), u32(20), u32(42)]  // content, compressed, local header
        try widen(&sizes, extra, path, at, what)
        guard sizes[2] <= limit - 30 else {
            throw FileError(path, at: at, what, found: "an offset of \(sizes[2])", wanted: "at most \(limit - 30)")
        }
        var local = ByteReader(bytes, path: path, at: sizes[2])
        let header = try local.take(30, "\(what), local header")
        func half(_ at: Int) -> Int {
            Int(UInt16(littleEndian: header.loadUnaligned(fromByteOffset: at, as: UInt16.self)))
        }
        let mark = UInt32(littleEndian: header.loadUnaligned(as: UInt32.self))
        guard mark == 0x0403_4b50, try local.take(half(26), "\(what), local name").elementsEqual(rawName) else {
            throw FileError(path, at: sizes[2], what, found: "another local header", wanted: "the same name there")
        }
        try local.skip(half(28), "\(what), local extra field")
        guard sizes[1] <= limit - local.position, u16(10) == 8 || sizes[0] == sizes[1] else {
            throw FileError(
                path, at: at, what, found: "\(sizes[1]) bytes for \(sizes[0]) bytes of content",
                wanted: "all of it before the directory")
        }
        return Entry(
            name: name, method: u16(10), checksum: UInt32(u32(16)),
            range: local.position..<local.position + sizes[1], size: sizes[0])
    }

    /// Replaces sizes of 2^32 - 1 by those of the zip64 extra field (id 1), in their order.
    private static func widen(
        _ sizes: inout [Int], _ extra: UnsafeRawBufferPointer, _ path: String, _ at: Int, _ what: String
    ) throws(FileError) {
        let wide = sizes.indices.filter { sizes[$0] == 0xFFFF_FFFF }
        if wide.isEmpty { return }
        var reader = ByteReader(extra, path: path)
        while reader.remaining >= 4 {
            let id = try reader.integer(UInt16.self, "\(what), extra field")
            let size = Int(try reader.integer(UInt16.self, "\(what), extra field"))
            var field = ByteReader(try reader.take(size, "\(what), extra field"), path: path)
            guard id == 1 else { continue }
            for i in wide { sizes[i] = try field.length("\(what), zip64 size") }
            return
        }
        throw FileError(path, at: at, what, found: "no zip64 sizes", wanted: "them, as the short ones are 2^32 - 1")
    }
}

/// Where the central directory stands, from the record at an archive's end.
private struct ZipEnd {
    let directory: Range<Int>
    let count: Int

    init(_ bytes: UnsafeRawBufferPointer, path: String) throws(FileError) {
        guard let at = Self.find(bytes) else {
            throw FileError(
                path, at: max(0, bytes.count - 22), "end of the archive", found: "no end record", wanted: "one",
                fix: "The file is cut short, or no zip archive; fetch it again.")
        }
        var reader = ByteReader(bytes, path: path, at: at + 4)
        let disks = try reader.integer(UInt32.self, "disk numbers")
        try reader.skip(2, "entries on this disk")
        var count = Int(try reader.integer(UInt16.self, "entry count"))
        var size = Int(try reader.integer(UInt32.self, "directory size"))
        var start = Int(try reader.integer(UInt32.self, "directory offset"))
        guard disks == 0 || disks == 0xFFFF_FFFF else {
            throw FileError(path, at: at + 4, "disk numbers", found: "\(disks)", wanted: "an archive in one part")
        }
        if count == 0xFFFF || size == 0xFFFF_FFFF || start == 0xFFFF_FFFF, at >= 20 {
            var locator = ByteReader(bytes, path: path, at: at - 20)
            if try locator.integer(UInt32.self, "zip64 locator") == 0x0706_4b50 {
                try locator.skip(4, "zip64 locator")
                let end64 = try locator.length("zip64 end record's offset")
                guard end64 <= at - 20 - 56 else {
                    throw FileError(
                        path, at: at - 12, "zip64 end record's offset", found: "\(end64)", wanted: "a place before it")
                }
                var wide = ByteReader(bytes, path: path, at: end64)
                guard try wide.integer(UInt32.self, "zip64 end record") == 0x0606_4b50 else {
                    throw FileError(path, at: end64, "zip64 end record", found: "another mark", wanted: "\"PK\" 6 6")
                }
                try wide.skip(28, "zip64 end record")
                count = try wide.length("zip64 entry count")
                size = try wide.length("zip64 directory size")
                start = try wide.length("zip64 directory offset")
            }
        }
        guard let end = checkedSum(start, size), end <= at else {
            throw FileError(
                path, at: at, "central directory", found: "\(size) bytes at \(start)", wanted: "a place before \(at)")
        }
        directory = start..<end
        self.count = count
    }

    /// The last place with the record's mark whose comment reaches to the end exactly.
    private static func find(_ bytes: UnsafeRawBufferPointer) -> Int? {
        var at = bytes.count - 22
        while at >= max(0, bytes.count - 22 - 65535) {
            let mark = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
            if mark == 0x0605_4b50 {
                let comment = UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: at + 20, as: UInt16.self))
                if at + 22 + Int(comment) == bytes.count { return at }
            }
            at -= 1
        }
        return nil
    }
}
