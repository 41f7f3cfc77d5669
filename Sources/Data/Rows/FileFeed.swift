import Files
import JSON
import PluginKit

/// The rows of files one after the other; of several readers, each takes its share.
package final class FileFeed: RowFeed {
    private let dataset: Int
    private let files: [String]
    private let format: String?
    private let options: JSON
    private let formats: RowFormats
    private let shard: Int
    private let shards: Int
    private var fileIndex = 0
    private var file: RowFile?
    /// Rows and damaged rows of the file so far.
    private var rowIndex = 0

    /// - Parameters:
    ///   - shard, shards: Of every `shards` rows this reader gives the one numbered `shard`; the others are read and
    ///     passed over, so that no reader depends on how long a file is.
    package init(
        _ files: [String], formats: RowFormats, format: String? = nil, options: JSON = [:], dataset: Int = 0,
        shard: Int = 0, shards: Int = 1
    ) {
        self.files = files
        self.formats = formats
        self.format = format
        self.options = options
        self.dataset = dataset
        self.shard = shard
        self.shards = max(1, shards)
    }

    package func next() throws -> FeedItem? {
        while fileIndex < files.count {
            let file = try opened()
            do {
                guard let row = try file.next() else {
                    advance()
                    continue
                }
                rowIndex += 1
                if (rowIndex - 1) % shards != shard { continue }
                return .row(SourceRow(dataset: dataset, source: file.path, place: place(row.place), text: row.text))
            } catch let damaged as DamagedRow {
                rowIndex += 1
                if (rowIndex - 1) % shards != shard { continue }
                return .reject(
                    Reject(source: file.path, place: place(damaged.place), cause: damaged.cause, text: damaged.text))
            }
        }
        return nil
    }

    package var state: JSON {
        var members: JSONObject = JSONObject([("file", .int(Int64(fileIndex))), ("row", .int(Int64(rowIndex)))])
        if let file, let cursor = try? file.cursor() {
            members["cursor"] = .string(cursor)
            members["path"] = .string(file.path)
            members["size"] = .int(Int64(System.size(of: file.path) ?? 0))
        }
        return .object(members)
    }

    package func restore(_ state: JSON) throws {
        guard let index = state["file"]?.int, let row = state["row"]?.int, (0...files.count).contains(index) else {
            throw DataError("cursor", found: state.text(), wanted: "a state of \(files.count) files")
        }
        fileIndex = index
        file = nil
        guard let cursor = state["cursor"]?.string, index < files.count else {
            rowIndex = 0
            return
        }
        if let size = state["size"]?.int, let now = System.size(of: files[index]), size != now {
            throw DataError(
                files[index], found: "\(now) bytes", wanted: "the \(size) bytes it had when the run was saved",
                fix: "Put the old file back, or start the epoch anew.")
        }
        try opened().seek(cursor)
        rowIndex = row
    }

    private func place(_ said: String) -> RowPlace { RowPlace(said) ?? .row(rowIndex) }

    private func opened() throws -> RowFile {
        if let file { return file }
        let path = files[fileIndex]
        let opened = try RowFile(path, try formats.format(for: path, named: format), options: options)
        file = opened
        rowIndex = 0
        return opened
    }

    private func advance() {
        fileIndex += 1
        file = nil
        rowIndex = 0
    }
}
