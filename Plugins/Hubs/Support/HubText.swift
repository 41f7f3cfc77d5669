import Glibc
import PluginKit

/// What the hub plugins share: names, addresses and settings of the environment.
package enum HubText {
    /// The value of an environment variable, if it is set and not empty.
    package static func environment(_ name: String) -> String? {
        guard let value = getenv(name) else { return nil }
        let text = String(cString: value)
        return text.isEmpty ? nil : text
    }

    /// The first line of a small file that holds a token, if it is there.
    package static func token(file: String) -> String? {
        let path = file.hasPrefix("~/") ? (environment("HOME") ?? "") + file.dropFirst() : file
        guard let handle = fopen(path, "re") else { return nil }
        defer { fclose(handle) }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = fread(&buffer, 1, buffer.count, handle)
        let line = buffer[..<count].prefix { $0 > 0x20 && $0 < 0x7F }
        return line.isEmpty ? nil : String(decoding: line, as: UTF8.self)
    }

    /// Whether `id` reads "owner/name", each of letters, digits, '-', '_' and '.'.
    package static func isRepository(_ id: String) -> Bool {
        let parts = id.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count == 2
            && parts.allSatisfy { part in
                !part.isEmpty && part.utf8.count <= 128 && part != "." && part != ".."
                    && part.utf8.allSatisfy { isWord($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") }
            }
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
            || byte == UInt8(ascii: "_")
    }

    /// `text` with all but letters, digits, "-_.~" and, where told, "/" as %XX (RFC 3986).
    package static func escaped(_ text: String, keepsSlash: Bool = true) -> String {
        var out = ""
        for byte in text.utf8 {
            if isWord(byte) || "-.~".utf8.contains(byte) || keepsSlash && byte == UInt8(ascii: "/") {
                out.unicodeScalars.append(UnicodeScalar(byte))
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                out += "%" + (digits.count == 1 ? "0" : "") + digits
            }
        }
        return out
    }

    /// An address without its last "/"; one without a scheme gets https.
    package static func endpoint(_ text: String) -> String {
        let whole = text.hasPrefix("http://") || text.hasPrefix("https://") ? text : "https://" + text
        return whole.hasSuffix("/") ? String(whole.dropLast()) : whole
    }

    package static func required(_ text: String?, _ what: String) throws -> String {
        guard let text, !text.isEmpty else { throw PluginError(.invalid, "found no \(what); give one") }
        return text
    }
}
