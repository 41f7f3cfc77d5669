import Glibc
import PluginKit

/// A file read at any place. It is not mapped: a file that shrinks meanwhile is an error and no signal.
final class RandomFile {
    let path: String
    let size: Int
    private let descriptor: Int32

    init(_ path: String) throws {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw PluginError(
                errno == ENOENT ? .notFound : .io, "cannot open the file: \(String(cString: strerror(errno)))", at: path
            )
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw PluginError(.error, "found a directory, device or pipe, wanted a regular file", at: path)
        }
        size = Int(status.st_size)
    }

    deinit { close(descriptor) }

    func read(at offset: Int, count: Int) throws -> [UInt8] {
        guard offset >= 0, count >= 0, count <= size, offset <= size - count else {
            throw ParquetFlaw("cut short: \(count) bytes wanted at \(offset), the file has \(size)")
        }
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
            while done < count, let base = buffer.baseAddress {
                let got = pread(descriptor, base + done, count - done, off_t(offset + done))
                if got < 0, errno == EINTR { continue }
                if got <= 0 { break }
                done += got
            }
        }
        guard bytes.count == count else { throw ParquetFlaw("cut short: the file became smaller while it was read") }
        return bytes
    }
}
