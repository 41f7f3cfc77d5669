import JSON

/// What has to be known of a data set's columns before its rows are used.
struct ColumnSurvey {
    /// Columns that are to be renamed and were in no row so far.
    private(set) var missing: Set<String>
    /// Rows bring an answer that was not chosen.
    private(set) var hasRejected = false
    /// Columns of the first rows, for messages.
    private(set) var columns: [String] = []
    private let mapping: ColumnMapping
    private var seen = 0
    /// Rows whose columns are looked at in any case, and those that a stream is searched for missing ones.
    private static let firstRows = 32
    static let streamRows = 1000

    init(_ mapping: ColumnMapping) {
        self.mapping = mapping
        missing = mapping.wanted
    }

    var isDone: Bool { missing.isEmpty && seen >= Self.firstRows }

    mutating func look(at row: [UInt8]) {
        guard let object = (try? JSON(parsing: row))?.object else { return }
        missing.subtract(object.keys)
        guard seen < Self.firstRows else { return }
        seen += 1
        columns += object.keys.filter { !columns.contains($0) }
        let renamed = mapping.renamed(object)
        hasRejected =
            hasRejected
            || ["rejected_response", "rejected_messages", "rejected"].contains { renamed[$0]?.isNull == false }
    }

    /// - Parameter surveys: Of each data set, with its name. A column may be missing where another data set has it.
    /// - Throws: `DataError` that names a column which no data set has.
    static func check(_ surveys: [(name: String, survey: ColumnSurvey)]) throws {
        for column in Set(surveys.flatMap { $0.survey.missing }).sorted() {
            let asked = surveys.filter { $0.survey.mapping.wanted.contains(column) }
            guard asked.allSatisfy({ $0.survey.missing.contains(column) }), let first = asked.first else { continue }
            let names = asked.map { $0.name }.joined(separator: ", ")
            throw DataError(
                "columns", found: "\"\(column)\", which stands in no row of \(names)",
                wanted: "one of its columns: \(first.survey.columns.prefix(20).joined(separator: ", "))")
        }
    }
}
