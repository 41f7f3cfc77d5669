/// Names of files that come from outside: an index, an archive, a hub's listing.
package enum FileName {
    /// Checks that `name` is a relative path of plain parts, so that joined to a directory it stays within.
    ///
    /// Refused are what leaves the directory on some system ("..", absolute, drives, backslashes), what another
    /// system cannot hold (control characters, trailing dots or spaces, reserved characters) and parts over 255 bytes.
    package static func check(_ name: String, in path: String, _ field: String) throws(FileError) {
        if let fault = fault(name) {
            throw FileError(
                path, field, found: "\(FileError.quote(name)) (\(fault))",
                wanted: "a relative file name without \"..\"", fix: "The file may be hostile; do not use it.")
        }
    }

    /// Why `name` may not be used, or nil when it may.
    package static func fault(_ name: String) -> String? {
        if name.isEmpty { return "empty" }
        if name.utf8.count > 4096 { return "longer than 4096 bytes" }
        if name.utf8.first == UInt8(ascii: "/") { return "absolute" }
        for byte in name.utf8 {
            if byte < 0x20 || byte == 0x7F { return "a control character" }
            if #"\:*?"<>|"#.utf8.contains(byte) { return "the character '\(UnicodeScalar(byte))'" }
        }
        for part in name.split(separator: "/", omittingEmptySubsequences: false) {
            if part.isEmpty { return "an empty part" }
            if part == "." || part == ".." { return "the part \"\(part)\"" }
            if part.utf8.count > 255 { return "a part longer than 255 bytes" }
            if part.hasSuffix(".") || part.hasSuffix(" ") || part.hasPrefix(" ") {
                return "a part that ends in a dot or has outer spaces"
            }
        }
        return nil
    }
}
