internal import Files
import Glibc
import JSON

/// What was written before, the latest last; kept in a file when it has one, for the user alone to read.
package final class History {
    private static let limit = 1000
    private let path: String?
    private var entries: [String] = []
    /// The entry that is shown; the count of entries stands for the line that is being written.
    private var position = 0
    private var draft = ""

    /// - Parameter path: A file of JSON strings, one a line; what cannot be read of it is left out.
    package init(path: String? = nil) {
        self.path = path
        if let path, let file = try? MappedFile(path) {
            entries = file.contents.split(separator: 0x0A).suffix(Self.limit).compactMap {
                (try? JSON(parsing: String(decoding: $0, as: UTF8.self)))?.string
            }
        }
        position = entries.count
    }

    /// Adds a line, unless it is empty or the latest one again.
    package func add(_ text: String) {
        defer { position = entries.count }
        guard !text.isEmpty, text != entries.last else { return }
        entries.append(text)
        if entries.count > Self.limit { entries.removeFirst() }
        guard let path else { return }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        // One write, so that two programs' lines do not mix.
        let line = Array((JSON.string(text).text() + "\n").utf8)
        _ = write(descriptor, line, line.count)
    }

    /// The entry before the one that is shown.
    /// - Parameter current: What stands in the line now.
    package func previous(_ current: String) -> String? {
        guard position > 0 else { return nil }
        if position == entries.count { draft = current }
        position -= 1
        return entries[position]
    }

    /// The entry behind the one that is shown; at the end what was being written.
    package func next() -> String? {
        guard position < entries.count else { return nil }
        position += 1
        return position == entries.count ? draft : entries[position]
    }
}
