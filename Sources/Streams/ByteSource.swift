import Glibc
import PluginKit

/// How the bytes of a file are packed.
package enum Compression: String, Sendable {
    case none, gzip, zstd

    /// Told by the file's first bytes: RFC 1952 section 2.3.1, RFC 8878 section 3.1.1.
    package init(head: UnsafeBufferPointer<UInt8>) {
        let head = Array(head.prefix(4))
        if head.starts(with: [0x1F, 0x8B]) {
            self = .gzip
        } else if head == [0x28, 0xB5, 0x2F, 0xFD] {
            self = .zstd
        } else {
            self = .none
        }
    }

    /// `path` without the suffix of a compression, in lower case.
    package static func bareName(_ path: String) -> String {
        let name = path.lowercased()
        for suffix in [".gz", ".gzip", ".zst", ".zstd"] where name.hasSuffix(suffix) {
            return String(name.dropLast(suffix.count))
        }
        return name
    }
}

/// The compressed text ends or breaks before its own end mark.
package struct BrokenStream: Error, Equatable, CustomStringConvertible {
    package let cause: String
    package var description: String { cause }
}

/// The bytes of a file from front to back, decompressed on the way.
///
/// It reads with `read`, never by mapping: a file that shrinks meanwhile then ends early and does not end the process.
package final class ByteSource {
    package let path: String
    package let compression: Compression
    /// Bytes given so far, counted after decompression.
    package private(set) var offset = 0
    private let descriptor: Int32
    private var decoder: (any StreamDecoder)?
    private var input = InputBuffer()

    package init(_ path: String) throws {
        self.path = path
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            let code = errno
            throw PluginError(
                code == ENOENT ? .notFound : .io, "cannot open the file: \(String(cString: strerror(code)))", at: path)
        }
        self.descriptor = descriptor
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw PluginError(.invalid, "found a directory, device or pipe, wanted a regular file", at: path)
        }
        compression = try input.peek(descriptor, path) { Compression(head: $0) }
        decoder = try makeDecoder(compression)
    }

    deinit { close(descriptor) }

    /// Bytes of the file on disk, as of now.
    package var fileSize: Int {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0
    }

    /// Fills `buffer` as far as bytes are there; 0 at the end.
    /// - Throws: `BrokenStream` when compressed bytes end early or make no sense.
    package func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let count =
            try decoder?.read(&input, from: descriptor, path, into: buffer)
            ?? input.read(descriptor, path, into: buffer)
        offset += count
        return count
    }

    /// Goes to a place counted in decompressed bytes. Backwards in a compressed file means from its start.
    package func seek(to target: Int) throws {
        guard target >= 0 else { throw PluginError(.invalid, "cannot go to byte \(target)", at: path) }
        if decoder == nil {
            guard lseek(descriptor, off_t(target), SEEK_SET) == off_t(target) else {
                throw PluginError(.io, "cannot go to byte \(target): \(String(cString: strerror(errno)))", at: path)
            }
            input.clear()
            offset = target
            return
        }
        if target < offset {
            guard lseek(descriptor, 0, SEEK_SET) == 0 else {
                throw PluginError(.io, "cannot go back to the start: \(String(cString: strerror(errno)))", at: path)
            }
            input.clear()
            decoder = try makeDecoder(compression)
            offset = 0
        }
        let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
        defer { scratch.deallocate() }
        while offset < target {
            let part = UnsafeMutableRawBufferPointer(rebasing: scratch[..<min(scratch.count, target - offset)])
            if try read(into: part) == 0 {
                throw PluginError(.invalid, "the file ends at byte \(offset), before the cursor's \(target)", at: path)
            }
        }
    }

    private func makeDecoder(_ compression: Compression) throws -> (any StreamDecoder)? {
        switch compression {
        case .none: return nil
        case .gzip: return try GzipDecoder()
        case .zstd: return try ZstdDecoder()
        }
    }
}

/// Turns compressed input into bytes, a part at a time.
protocol StreamDecoder: AnyObject {
    func read(
        _ input: inout InputBuffer, from descriptor: Int32, _ path: String, into buffer: UnsafeMutableRawBufferPointer
    ) throws -> Int
}
