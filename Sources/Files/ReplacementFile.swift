import Glibc

/// A file written beside its final name and given that name once it is whole and on disk.
///
/// A process that dies half-way leaves a ".partial" file and the old content untouched.
package final class ReplacementFile {
    package let path: String
    private let partialPath: String
    private var descriptor: Int32
    private var isPlaced = false

    package init(_ path: String) throws(FileError) {
        self.path = path
        let directory = System.parent(of: path) ?? ""
        partialPath = System.join(directory, ".\(System.lastComponent(of: path)).\(getpid()).partial")
        descriptor = open(partialPath, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o666)
        guard descriptor >= 0 else { throw System.error(partialPath, "creating", wanted: "a file that may be written") }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
        if !isPlaced { unlink(partialPath) }
    }

    /// Sets the file's length, reserving the space so that a full disk is found now and not half-way.
    package func reserve(_ size: Int) throws(FileError) {
        guard ftruncate(descriptor, off_t(size)) == 0 else {
            throw System.error(path, "reserving \(size) bytes", wanted: "free space on the disk")
        }
        if size > 0 {
            let code = posix_fallocate(descriptor, 0, off_t(size))
            if code == ENOSPC || code == EDQUOT || code == EFBIG {
                throw FileError(
                    path, "reserving \(size) bytes", found: String(cString: strerror(code)),
                    wanted: "free space on the disk")
            }
        }
    }

    package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        var done = 0
        while done < bytes.count {
            guard let base = bytes.baseAddress else { return }
            let count = pwrite(descriptor, base + done, bytes.count - done, off_t(offset + done))
            if count < 0 {
                if errno == EINTR { continue }
                throw System.error(path, "writing \(bytes.count) bytes at \(offset)", wanted: "all of them written")
            }
            done += count
        }
    }

    package func write(_ bytes: [UInt8], at offset: Int) throws(FileError) {
        let outcome = bytes.withUnsafeBytes { buffer in
            Result { () throws(FileError) in try write(buffer, at: offset) }
        }
        try outcome.get()
    }

    /// Flushes the content to disk; the file keeps its partial name.
    package func flush() throws(FileError) {
        guard fsync(descriptor) == 0 else { throw System.error(path, "flushing", wanted: "its bytes on disk") }
    }

    /// Gives the file its name. Call `flush` before, and flush the directory after.
    package func place() throws(FileError) {
        guard rename(partialPath, path) == 0 else {
            throw System.error(path, "renaming \(partialPath)", wanted: "the finished file under its name")
        }
        isPlaced = true
    }

    /// Writes a whole small file in one call, flushed and renamed, its directory flushed too.
    package static func write(_ bytes: [UInt8], to path: String) throws(FileError) {
        let file = try ReplacementFile(path)
        try file.write(bytes, at: 0)
        try file.flush()
        try file.place()
        try System.flush(directory: System.parent(of: path) ?? "")
    }
}
