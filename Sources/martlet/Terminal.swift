import Files
import Glibc
import Host

/// Standard output and standard error.
enum Terminal {
    /// Where the program's own output goes.
    nonisolated(unsafe) private(set) static var output: Int32 = 1

    static var isInteractive: Bool { isatty(output) == 1 }

    /// Keeps standard output for the program: what plugins print to it goes to standard error from here on.
    static func keepOutput() {
        guard output == 1 else { return }
        let own = fcntl(1, F_DUPFD_CLOEXEC, 3)
        guard own >= 0 else { return }
        output = own
        dup2(2, 1)
    }

    static func write(_ text: String) {
        var copy = text
        copy.withUTF8 { bytes in
            var sent = 0
            while sent < bytes.count {
                let count = Glibc.write(output, bytes.baseAddress.map { $0 + sent }, bytes.count - sent)
                if count < 0 && errno == EINTR { continue }
                if count <= 0 { return }
                sent += count
            }
        }
    }

    /// Writes a file for the user alone to change; refuses to write over one when it is to be new.
    static func save(_ text: String, to path: String, isNew: Bool = false) throws {
        if isNew, System.kind(of: path) != nil { throw UsageError("\(path) exists already; move it away") }
        let mode: mode_t = path.hasSuffix(".secret") ? 0o600 : 0o644
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw HostError(.io, path, "cannot be created: \(System.lastError)") }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw HostError(.io, path, "cannot be written: \(System.lastError)")
        }
    }

    /// A number with three significant digits or so, for people.
    static func short(_ value: Double) -> String {
        guard value.isFinite, value != 0 else { return String(value) }
        let size = log10(value.magnitude)
        if size < -3 || size >= 6 {
            let exponent = size.rounded(.down)
            return short(value / pow(10, exponent)) + "e\(Int(exponent))"
        }
        let scale = pow(10, max(0, 2 - size.rounded(.down)))
        let rounded = (value * scale).rounded() / scale
        return rounded == rounded.rounded() ? String(Int(rounded)) : String(rounded)
    }

    /// A line of standard input without its end; nil when the input has ended or a signal came.
    static func readLine() -> String? {
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        while true {
            let count = read(0, &byte, 1)
            if count < 0 || (count == 0 && bytes.isEmpty) { return nil }
            if count == 0 || byte == 0x0A { return String(decoding: bytes, as: UTF8.self) }
            bytes.append(byte)
        }
    }

    static func line(_ text: String) { write(text + "\n") }

    /// Columns of text, two spaces between them, the last one unpadded.
    static func table(_ rows: [[String]]) -> String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            rows.map { column < $0.count - 1 ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            row.enumerated().map { column, cell in
                column == row.count - 1
                    ? cell : cell + String(repeating: " ", count: max(0, widths[column] - cell.count) + 2)
            }.joined()
        }.joined(separator: "\n")
    }

    /// A line about the work, for a reader: on standard error, so that the output stays what it is.
    static func note(_ text: String) {
        var copy = text + "\n"
        copy.withUTF8 { _ = Glibc.write(2, $0.baseAddress, $0.count) }
    }

    static func error(_ text: String) {
        var copy = "martlet: \(text)\n"
        copy.withUTF8 { _ = Glibc.write(2, $0.baseAddress, $0.count) }
    }
}
