import HubSupport
import JSON
import PluginKit

/// huggingface.co and its mirrors (HF_ENDPOINT), by the API of huggingface_hub: one answer lists a revision's files
/// with sizes, git hashes and, for large ones, SHA-256.
package final class HuggingFace: Hub {
    package init() {}

    package func probe(_ id: String) -> Int {
        if id.hasPrefix("hf:") { return 100 }
        // Below ModelScope, which is the first choice where a plain name is given.
        return HubText.isRepository(id)
            ? (HubText.environment("USE_HF").map { $0 == "1" || $0 == "true" } ?? false ? 90 : 40) : 0
    }

    package func listing(_ query: JSON) throws -> JSON {
        let place = try Place(query)
        let revision = HubText.escaped(place.revision, keepsSlash: false)
        return [
            "url": .string("\(place.endpoint)/api/\(place.kind)s/\(place.id)/revision/\(revision)?blobs=true"),
            "headers": place.headers,
        ]
    }

    package func files(_ query: JSON, answer: UnsafeRawBufferPointer) throws -> JSON {
        let place = try Place(query)
        let document = try JSON(parsing: answer.bindMemory(to: UInt8.self))
        guard let siblings = document["siblings"]?.array else {
            throw PluginError(.invalid, "found no \"siblings\" in the hub's answer for \(place.id)", at: place.endpoint)
        }
        let commit = document["sha"]?.string ?? place.revision
        let prefix = place.kind == "dataset" ? "datasets/" : ""
        var files: [JSON] = []
        for file in siblings {
            let name = try HubText.required(file["rfilename"]?.string, "rfilename in the hub's answer")
            let large = file["lfs"]
            let address =
                "\(place.endpoint)/\(prefix)\(place.id)/resolve/\(HubText.escaped(commit))/\(HubText.escaped(name))"
            var entry = JSONObject([("name", .string(name)), ("url", .string(address)), ("headers", place.headers)])
            entry["size"] = large?["size"] ?? file["size"]
            if large?.object == nil {
                entry["git_sha1"] = file["blobId"]
            } else {
                entry["sha256"] = large?["sha256"] ?? large?["oid"]
            }
            files.append(.object(entry))
        }
        return ["revision": .string(commit), "files": .array(files), "next": nil]
    }

    private struct Place {
        let id: String
        let revision: String
        let kind: String
        let endpoint: String
        let headers: JSON

        init(_ query: JSON) throws {
            let name = try HubText.required(query["id"]?.string, "id")
            id = name.hasPrefix("hf:") ? String(name.dropFirst(3)) : name
            guard HubText.isRepository(id) || !id.contains("/") else {
                throw PluginError(.invalid, "found the id \"\(name)\", wanted \"owner/name\"")
            }
            revision = query["revision"]?.string ?? "main"
            kind = query["kind"]?.string == "dataset" ? "dataset" : "model"
            endpoint = HubText.endpoint(
                query["endpoint"]?.string ?? HubText.environment("HF_ENDPOINT") ?? "https://huggingface.co")
            let token =
                query["token"]?.string ?? HubText.environment("HF_TOKEN") ?? HubText.environment(
                    "HUGGING_FACE_HUB_TOKEN")
                ?? HubText.token(file: HubText.environment("HF_TOKEN_PATH") ?? "~/.cache/huggingface/token")
            headers = token.map { ["Authorization": .string("Bearer \($0)")] } ?? [:]
        }
    }
}
