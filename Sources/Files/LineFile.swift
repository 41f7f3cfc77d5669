import Glibc

/// A file of lines that grows; each line reaches the system whole, so that a process that is killed leaves no half of one.
package final class LineFile {
    package let path: String
    private let descriptor: Int32

    /// - Parameter continues: Adds to what is there, rather than beginning anew.
    package init(_ path: String, continues: Bool = false) throws {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (continues ? O_APPEND : O_TRUNC), 0o644)
        guard descriptor >= 0 else { throw System.error(path, "opening", wanted: "a file that may be written") }
    }

    deinit { close(descriptor) }

    /// - Parameter line: Without its end.
    package func write(_ line: String) throws {
        var text = line + "\n"
        let isWritten = text.withUTF8 { Glibc.write(descriptor, $0.baseAddress, $0.count) == $0.count }
        guard isWritten else { throw System.error(path, "writing", wanted: "a whole line written") }
    }

    /// Waits until the lines are on disk.
    package func flush() throws {
        guard fsync(descriptor) == 0 else { throw System.error(path, "flushing", wanted: "its lines on disk") }
    }
}
