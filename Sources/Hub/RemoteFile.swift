import Files
import JSON

/// A file as a hub lists it.
package struct RemoteFile: Sendable, Equatable {
    package let name: String
    package let size: Int?
    package let sha256: String?
    package let gitSHA1: String?
    package let url: String
    let headers: [String: String]
    /// Whether its content is what is wanted, not itself: a wheel.
    package let isArchive: Bool

    init(_ entry: JSON, at place: String) throws(HubError) {
        guard let name = entry["name"]?.string, let url = entry["url"]?.string else {
            throw HubError(.invalid, "found a file without name or address in the listing", at: place)
        }
        if let fault = FileName.fault(name) {
            throw HubError(
                .invalid,
                "found the file name \(FileError.quote(name)) (\(fault)), wanted a plain relative one; the listing may be hostile",
                at: place)
        }
        self.name = name
        self.url = url
        size = entry["size"]?.int
        if let size, size < 0 { throw HubError(.invalid, "found the size \(size) for \(name)", at: place) }
        sha256 = try Self.digest(entry["sha256"], 64, name, place)
        gitSHA1 = try Self.digest(entry["git_sha1"], 40, name, place)
        var headers: [String: String] = [:]
        for (key, value) in entry["headers"]?.object ?? JSONObject() { headers[key] = value.string }
        self.headers = headers
        isArchive = entry["unpack"]?.string == "zip"
    }

    private static func digest(_ value: JSON?, _ count: Int, _ name: String, _ place: String) throws(HubError)
        -> String?
    {
        guard let text = value?.string?.lowercased() else { return nil }
        guard text.utf8.count == count,
            text.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else { throw HubError(.invalid, "found the digest \(FileError.quote(text)) for \(name)", at: place) }
        return text
    }
}
