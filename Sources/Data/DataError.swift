/// What keeps a data set from being used as a whole. Single rows that fail are `Reject`s.
package struct DataError: Error, Sendable, Equatable, CustomStringConvertible {
    /// File, data set or setting.
    package var place: String
    package var found: String
    package var wanted: String
    package var fix: String?

    package init(_ place: String, found: String, wanted: String, fix: String? = nil) {
        self.place = place
        self.found = found
        self.wanted = wanted
        self.fix = fix
    }

    package var description: String { "\(place): found \(found), wanted \(wanted)" + (fix.map { ". \($0)" } ?? "") }
}
