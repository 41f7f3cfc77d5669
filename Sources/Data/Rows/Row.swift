import JSON

/// A row as it stands in a file.
package struct SourceRow: Sendable, Equatable {
    /// Which data set of the run it belongs to.
    package var dataset: Int
    /// The file.
    package var source: String
    /// "row 12", counted from 1 in the file.
    package var place: String
    /// One JSON object.
    package var text: [UInt8]

    package init(dataset: Int = 0, source: String, place: String, text: [UInt8]) {
        self.dataset = dataset
        self.source = source
        self.place = place
        self.text = text
    }
}

/// A row that is not trained on, and why.
package struct Reject: Error, Sendable, Equatable, CustomStringConvertible {
    package var source: String
    package var place: String
    /// A few words that rows with the same trouble share; the details follow a colon.
    package var cause: String
    /// The row's text, cut.
    package var text: String

    package init(source: String, place: String, cause: String, text: some Sequence<UInt8> = []) {
        self.source = source
        self.place = place
        self.cause = cause
        self.text = String(decoding: Array(text.prefix(512)), as: UTF8.self)
    }

    package init(_ row: SourceRow, _ cause: String) {
        self.init(source: row.source, place: row.place, cause: cause, text: row.text)
    }

    /// The cause without its details, for counting.
    package var kind: String { cause.split(separator: ":", maxSplits: 1).first.map { String($0) } ?? cause }

    package var description: String { "\(source), \(place): \(cause)" }

    var json: JSON {
        ["source": .string(source), "line": .string(place), "cause": .string(cause), "row": .string(text)]
    }
}

/// What a feed gives.
package enum FeedItem: Sendable, Equatable {
    case row(SourceRow)
    case reject(Reject)
}

/// Rows in a fixed order that can be left and taken up again. One thread at a time uses it.
package protocol RowFeed: AnyObject {
    /// The next row or damaged row; nil at the end.
    func next() throws -> FeedItem?
    /// A small document that leads back to the row that `next` would give.
    var state: JSON { get }
    func restore(_ state: JSON) throws
}
