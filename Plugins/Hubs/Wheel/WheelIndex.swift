import JSON
import PluginKit

/// A project's page of a package index, as JSON (PEP 691) or HTML (PEP 503).
package enum WheelIndex {
    struct Link {
        let name: String
        let url: String
        let sha256: String?
        let size: Int?
    }

    /// - Parameter page: The page's own address, against which its links are read.
    static func links(_ answer: UnsafeRawBufferPointer, page: String) throws -> [Link] {
        let bytes = answer.bindMemory(to: UInt8.self)
        if bytes.first(where: { $0 > 0x20 }) == UInt8(ascii: "{") {
            guard let files = try JSON(parsing: bytes)["files"]?.array else {
                throw PluginError(.invalid, "found no \"files\" in the index's answer", at: page)
            }
            return files.compactMap { file in
                guard let name = file["filename"]?.string, let url = file["url"]?.string else { return nil }
                return Link(
                    name: name, url: absolute(url, page), sha256: file["hashes"]?["sha256"]?.string,
                    size: file["size"]?.int)
            }
        }
        return anchors(String(decoding: bytes, as: UTF8.self)).compactMap { anchor in
            let parts = anchor.split(separator: "#", maxSplits: 1)
            guard let address = parts.first else { return nil }
            let file = address.split(separator: "?")[0].split(separator: "/").last.map(String.init) ?? ""
            let digest = parts.count > 1 && parts[1].hasPrefix("sha256=") ? String(parts[1].dropFirst(7)) : nil
            return Link(name: unescaped(file), url: absolute(String(address), page), sha256: digest, size: nil)
        }
    }

    /// The values of the href attributes of a page, with the few character references that addresses use.
    private static func anchors(_ page: String) -> [String] {
        var out: [String] = []
        var rest = Substring(page)
        while let href = rest.firstRange(of: "href=") {
            rest = rest[href.upperBound...]
            guard let quote = rest.first, quote == "\"" || quote == "'" else { continue }
            rest = rest.dropFirst()
            guard let end = rest.firstIndex(of: quote) else { break }
            out.append(String(rest[..<end]).replacing("&amp;", with: "&").replacing("&#43;", with: "+"))
            rest = rest[end...].dropFirst()
        }
        return out
    }

    /// %XX undone.
    private static func unescaped(_ text: String) -> String {
        var out: [UInt8] = []
        var bytes = Array(text.utf8)[...]
        while let byte = bytes.popFirst() {
            if byte == UInt8(ascii: "%"), bytes.count >= 2,
                let value = UInt8(String(decoding: bytes.prefix(2), as: UTF8.self), radix: 16)
            {
                out.append(value)
                bytes = bytes.dropFirst(2)
            } else {
                out.append(byte)
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// `link` as a whole address: whole itself, from the host's root, or beside the page (RFC 3986, 5.2).
    private static func absolute(_ link: String, _ page: String) -> String {
        if link.hasPrefix("http://") || link.hasPrefix("https://") { return link }
        guard let scheme = page.firstRange(of: "://") else { return link }
        if link.hasPrefix("//") { return page[..<scheme.lowerBound] + ":" + link }
        let host = page[scheme.upperBound...].firstIndex(of: "/") ?? page.endIndex
        if link.hasPrefix("/") { return page[..<host] + link }
        var parts = page[host...].split(separator: "/")
        if !page.hasSuffix("/") { parts = parts.dropLast() }
        for part in link.split(separator: "/") {
            if part == ".." { parts = parts.dropLast() } else if part != "." { parts.append(part) }
        }
        return page[..<host] + "/" + parts.joined(separator: "/")
    }
}
