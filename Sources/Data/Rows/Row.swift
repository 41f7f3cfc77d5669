import JSON

/// Where a row starts in its file, counted from 1.
package enum RowPlace: Sendable, Equatable, CustomStringConvertible {
    case line(Int)
    /// Of formats without lines, and of those that do not say them.
    case row(Int)

    /// What a format says: "line 12" or "row 3".
    init?(_ text: String) {
        let words = text.split(separator: " ")
        guard words.count == 2, let number = Int(words[1]) else { return nil }
        switch words[0] {
        case "line": self = .line(number)
        case "row": self = .row(number)
        default: return nil
        }
    }

    package var description: String {
        switch self {
        case .line(let number): "line \(number)"
        case .row(let number): "row \(number)"
        }
    }

    /// With the file, in the form that editors open.
    func inside(_ file: String) -> String {
        if case .line(let number) = self { "\(file):\(number)" } else { "\(file), \(self)" }
    }
}

/// A row as it stands in a file.
package struct SourceRow: Sendable, Equatable {
    /// Which data set of the run it belongs to.
    package var dataset: Int
    /// The file.
    package var source: String
    package var place: RowPlace
    /// One JSON object.
    package var text: [UInt8]

    package init(dataset: Int = 0, source: String, place: RowPlace, text: [UInt8]) {
        self.dataset = dataset
        self.source = source
        self.place = place
        self.text = text
    }

    /// File and place.
    package var location: String { place.inside(source) }
}

/// A row that is not trained on, and why.
package struct Reject: Error, Sendable, Equatable, CustomStringConvertible {
    package var source: String
    package var place: RowPlace
    /// A few words that rows with the same trouble share; the details follow a colon.
    package var cause: String
    /// The row's text, cut.
    package var text: String

    package init(source: String, place: RowPlace, cause: String, text: some Sequence<UInt8> = []) {
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

    package var description: String { "\(place.inside(source)): \(cause)" }

    /// A line of rejects.jsonl.
    package var json: JSON {
        ["place": .string(place.inside(source)), "cause": .string(cause), "row": .string(text)]
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
