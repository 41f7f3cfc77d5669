import JSON
import PluginKit

/// A web server that has each model as a directory of files, with their list beside them: ENDPOINT/ID/files.json is
/// [{"name", "size"?, "sha256"?}]. Asked for by "shelf:ID" with --endpoint.
final class Bookshelf: Hub {
    private static let prefix = "shelf:"

    func probe(_ id: String) -> Int { id.hasPrefix(Self.prefix) ? 100 : 0 }

    func listing(_ query: JSON) throws -> JSON {
        ["url": .string(try Self.address(query) + "/files.json"), "headers": [:]]
    }

    func files(_ query: JSON, answer: UnsafeRawBufferPointer) throws -> JSON {
        let address = try Self.address(query)
        guard let listed = try JSON(parsing: answer.bindMemory(to: UInt8.self)).array else {
            throw PluginError(.invalid, "found no list", at: "\(address)/files.json")
        }
        let files = try listed.map { file -> JSON in
            guard let name = file["name"]?.string, !name.isEmpty else {
                throw PluginError(.invalid, "found a file without a name", at: "\(address)/files.json")
            }
            let path = name.split(separator: "/").map(Self.escaped).joined(separator: "/")
            return [
                "name": .string(name), "size": file["size"] ?? .null, "sha256": file["sha256"] ?? .null,
                "url": .string("\(address)/\(path)"), "headers": [:],
            ]
        }
        return ["revision": query["revision"] ?? "main", "files": .array(files)]
    }

    private static func address(_ query: JSON) throws -> String {
        guard let id = query["id"]?.string, id.hasPrefix(prefix) else {
            throw PluginError(.invalid, "wanted a name that begins with \(prefix)", at: "id")
        }
        let endpoint = query["endpoint"]?.string ?? "http://localhost"
        return "\(endpoint)/" + id.dropFirst(prefix.count).split(separator: "/").map(escaped).joined(separator: "/")
    }

    /// A path's part in a URL (RFC 3986, section 2.3: what need not be escaped).
    private static func escaped(_ part: Substring) -> String {
        part.utf8.map { byte in
            switch UInt8(byte) {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
                String(UnicodeScalar(byte))
            default: "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }.joined()
    }
}
