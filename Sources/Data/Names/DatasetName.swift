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

    /// - Throws: `DataError` where `#` is followed by no number, or `::` follows no hub.
    package init(_ text: String) throws {
        var rest = Substring(text)
        if System.kind(of: text) == nil, let colon = rest.firstIndex(of: ":") {
            let mark = rest[colon...].prefix { $0 == ":" }
            if mark.count <= 2, let hub = Hub(rawValue: rest[..<colon].lowercased()) {
                self.hub = hub
                rest = rest[mark.endIndex...]
            } else if mark.count == 2 {
                throw DataError(
                    text, found: "\"\(rest[..<mark.endIndex])\"",
                    wanted: "hf:: for Hugging Face, ms:: for ModelScope, or neither")
            }
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
            if System.kind(of: String(rest)) == nil, let colon = rest.lastIndex(of: ":"),
                !rest[colon...].hasPrefix("://"), !rest.hasPrefix("wheel:")
            {
                subsets = rest[rest.index(after: colon)...].split(separator: "/").map(String.init)
                rest = rest[..<colon]
            }
        }
        if rest.isEmpty { throw DataError(text, found: "no name", wanted: "a path, or the name of a data set") }
        id = String(rest)
    }
}
