import HubSupport
import JSON
import PluginKit

/// modelscope.cn and its mirrors (MODELSCOPE_DOMAIN), by the API of the modelscope package: one answer lists a
/// revision's files with sizes and SHA-256.
package final class ModelScope: Hub {
    package init() {}

    package func probe(_ id: String) -> Int {
        if id.hasPrefix("ms:") { return 100 }
        return HubText.isRepository(id) ? 60 : 0
    }

    package func listing(_ query: JSON) throws -> JSON {
        let place = try Place(query)
        let revision = HubText.escaped(place.revision, keepsSlash: false)
        let path =
            place.kind == "dataset"
            ? "repo/tree?Recursive=True&PageNumber=1&PageSize=100000&Root=/&Revision="
            : "repo/files?Recursive=True&Revision="
        return ["url": .string("\(place.root)/\(path)\(revision)"), "headers": place.headers]
    }

    package func files(_ query: JSON, answer: UnsafeRawBufferPointer) throws -> JSON {
        let place = try Place(query)
        let document = try JSON(parsing: answer.bindMemory(to: UInt8.self))
        guard let list = document["Data"]?["Files"]?.array else {
            let message = document["Message"]?.string ?? "no \"Data.Files\""
            throw PluginError(.notFound, "the hub answers \"\(message)\" for \(place.id)", at: place.endpoint)
        }
        var files: [JSON] = []
        for file in list where file["Type"]?.string != "tree" {
            let name = try HubText.required(file["Path"]?.string, "Path in the hub's answer")
            let digest = file["Sha256"]?.string ?? ""
            let address =
                "\(place.root)/repo?Revision=\(HubText.escaped(place.revision, keepsSlash: false))"
                + "&FilePath=\(HubText.escaped(name, keepsSlash: false))"
                + (place.kind == "dataset" ? "&Source=SDK" : "")
            files.append([
                "name": .string(name), "size": file["Size"] ?? .null, "git_sha1": nil,
                "sha256": digest.isEmpty ? .null : .string(digest), "url": .string(address), "headers": place.headers,
            ])
        }
        return ["revision": .string(place.revision), "files": .array(files), "next": nil]
    }

    private struct Place {
        let id: String
        let revision: String
        let kind: String
        let endpoint: String
        let headers: JSON
        var root: String { "\(endpoint)/api/v1/\(kind)s/\(id)" }

        init(_ query: JSON) throws {
            let name = try HubText.required(query["id"]?.string, "id")
            id = name.hasPrefix("ms:") ? String(name.dropFirst(3)) : name
            guard HubText.isRepository(id) else {
                throw PluginError(.invalid, "found the id \"\(name)\", wanted \"owner/name\"")
            }
            revision = query["revision"]?.string ?? "master"
            kind = query["kind"]?.string == "dataset" ? "dataset" : "model"
            endpoint = HubText.endpoint(
                query["endpoint"]?.string ?? HubText.environment("MODELSCOPE_DOMAIN") ?? "https://www.modelscope.cn")
            let token =
                query["token"]?.string ?? HubText.environment("MODELSCOPE_API_TOKEN")
                ?? HubText.token(file: "~/.modelscope/credentials/git_token")
            headers =
                token.map { ["Authorization": .string("Bearer \($0)"), "Cookie": .string("m_session_id=\($0)")] } ?? [:]
        }
    }
}
