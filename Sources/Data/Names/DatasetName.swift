import Files

/// What a user calls a data set: `[hf::|ms::]id_or_path[:subset1/subset2][#n]`.
package struct DatasetName: Sendable, Equatable {
    package enum Hub: String, Sendable { case huggingFace = "hf", modelScope = "ms" }
    package var hub: Hub?
    /// A name of the catalogue or of a registration, a hub's id, or a path.
    package var id: String
    /// Empty for the default; `["all"]` for all.
    package var subsets: [String] = []
    /// Rows wanted; more than there are means with repetition.
    package var sample: Int?

    /// - Throws: `DataError` where `#` is followed by no number.
    package init(_ text: String) throws {
        var rest = Substring(text)
        if let end = rest.firstRange(of: "::"), let hub = Hub(rawValue: String(rest[..<end.lowerBound])) {
            self.hub = hub
            rest = rest[end.upperBound...]
        }
        // A file's own name may hold "#" and ":".
        if System.kind(of: String(rest)) == nil {
            if let hash = rest.lastIndex(of: "#") {
                guard let count = Int(rest[rest.index(after: hash)...]), count > 0 else {
                    throw DataError(
                        text, found: "\"\(rest[hash...])\"",
                        wanted: "a number of rows above 0 behind \"#\", such as name#500")
                }
                sample = count
                rest = rest[..<hash]
            }
            if System.kind(of: String(rest)) == nil, let colon = rest.lastIndex(of: ":") {
                subsets = rest[rest.index(after: colon)...].split(separator: "/").map(String.init)
                rest = rest[..<colon]
            }
        }
        if rest.isEmpty { throw DataError(text, found: "no name", wanted: "a path, or the name of a data set") }
        id = String(rest)
    }
}
