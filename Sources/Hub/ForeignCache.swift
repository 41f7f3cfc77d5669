import Files
import Glibc
import JSON

/// Models that huggingface_hub or modelscope have fetched on this machine; they are used in place.
enum ForeignCache {
    /// The directory of a whole snapshot of `id`, or nil.
    static func path(_ id: String, kind: String, revision: String?) -> String? {
        let plain = ["hf:", "ms:"].contains { id.hasPrefix($0) } ? String(id.dropFirst(3)) : id
        guard kind == "model", plain.split(separator: "/").count == 2, !plain.contains("..") else { return nil }
        var candidates: [String] = []
        if !id.hasPrefix("ms:") { candidates += huggingFace(plain, revision ?? "main") }
        if !id.hasPrefix("hf:"), revision == nil { candidates += modelScope(plain) }
        return candidates.first(where: isWhole)
    }

    /// HF_HUB_CACHE, HF_HOME/hub or ~/.cache/huggingface/hub: models--OWNER--NAME/{refs/REVISION, snapshots/COMMIT}.
    private static func huggingFace(_ id: String, _ revision: String) -> [String] {
        let home = variable("HF_HOME") ?? variable("HOME").map { $0 + "/.cache/huggingface" }
        guard let root = variable("HF_HUB_CACHE") ?? home.map({ $0 + "/hub" }) else { return [] }
        let repository = System.join(root, "models--" + id.split(separator: "/").joined(separator: "--"))
        var commit = revision
        if let map = try? MappedFile(System.join(repository, "refs/" + revision)), map.bytes.count <= 200 {
            commit = String(decoding: map.contents.prefix { $0 > 0x20 }, as: UTF8.self)
        }
        guard !commit.isEmpty, !commit.contains("/"), commit != ".." else { return [] }
        return [System.join(repository, "snapshots/" + commit)]
    }

    /// MODELSCOPE_CACHE or ~/.cache/modelscope/hub: models/OWNER/NAME with "___" for each dot, in older versions without models/.
    private static func modelScope(_ id: String) -> [String] {
        guard let root = variable("MODELSCOPE_CACHE") ?? variable("HOME").map({ $0 + "/.cache/modelscope/hub" }) else {
            return []
        }
        let name = id.replacing(".", with: "___")
        return ["models/" + name, "models/" + id, name].map { System.join(root, $0) }
    }

    /// Whether a directory has a configuration and all the weights that its index names.
    private static func isWhole(_ directory: String) -> Bool {
        guard System.kind(of: System.join(directory, "config.json")) == .file else { return false }
        for index in ["model.safetensors.index.json", "pytorch_model.bin.index.json"] {
            guard let map = try? MappedFile(System.join(directory, index)) else { continue }
            let files = Set(
                ((try? JSON(parsing: map.contents))?["weight_map"]?.object ?? JSONObject()).map {
                    $0.value.string ?? ""
                })
            return !files.isEmpty && files.allSatisfy { System.kind(of: System.join(directory, $0)) == .file }
        }
        return ["model.safetensors", "pytorch_model.bin"].contains {
            System.kind(of: System.join(directory, $0)) == .file
        }
    }

    private static func variable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }
}
