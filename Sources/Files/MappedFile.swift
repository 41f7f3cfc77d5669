import Glibc

/// A regular file mapped for reading. Its bytes are valid for as long as this object lives.
package final class MappedFile: @unchecked Sendable {
    package let path: String
    package let bytes: UnsafeRawBufferPointer

    package init(_ path: String) throws(FileError) {
        self.path = path
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw System.error(path, "opening", wanted: "a readable file") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw System.error(path, "its size", wanted: "a readable file") }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw FileError(path, "opening", found: "a directory, device or pipe", wanted: "a regular file")
        }
        guard status.st_size > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        let size = Int(status.st_size)
        guard let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED else {
            throw System.error(path, "mapping", wanted: "address space for \(size) bytes")
        }
        bytes = UnsafeRawBufferPointer(start: base, count: size)
    }

    /// A copy of the bytes. `bytes` of an object that nothing else holds may be gone before they are read.
    package var contents: [UInt8] { withExtendedLifetime(self) { Array(bytes) } }

    deinit {
        if let base = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), bytes.count) }
    }
}
