/// What is wrong with a file: where it stands, what was found, what was wanted and how to go on.
package struct FileError: Error, Equatable, Sendable, CustomStringConvertible {
    package var path: String
    /// Byte offset in the file, where one is known.
    package var offset: Int?
    /// The part of the file that is wrong, such as "header length" or a tensor's name and member.
    package var field: String
    package var found: String
    package var wanted: String
    package var fix: String?

    package init(
        _ path: String, at offset: Int? = nil, _ field: String, found: String, wanted: String, fix: String? = nil
    ) {
        self.path = path
        self.offset = offset
        self.field = field
        self.found = found
        self.wanted = wanted
        self.fix = fix
    }

    package var description: String {
        let place = offset.map { "\(path), byte \($0)" } ?? path
        return "\(place): \(field): found \(found), wanted \(wanted)" + (fix.map { ". \($0)" } ?? "")
    }

    /// Text from a file as it may stand in a message: control characters escaped, at most 80 characters.
    package static func quote(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars.prefix(80) {
            out += scalar.value < 0x20 || scalar.value == 0x7F ? scalar.escaped(asASCII: true) : String(scalar)
        }
        return out + (text.unicodeScalars.count > 80 ? "…\"" : "\"")
    }
}
