import JSON

/// The published models that are known by id: where they are, of what type, and which chat format they speak.
package struct ModelCatalogue: Sendable {
    package struct Entry: Sendable, Equatable {
        /// At ModelScope; empty if it is not there.
        package let modelScopeID: String
        /// At Hugging Face; empty if it is not there.
        package let huggingFaceID: String
        package let modelType: String
        package let architectures: [String]
        package let template: String
        package let isMultimodal: Bool
        /// Such as "reward", "embedding", "reranker"; nil is text generation.
        package let task: String?
        /// How its weights are already quantized.
        package let quantization: String?

        package var id: String { modelScopeID.isEmpty ? huggingFaceID : modelScopeID }
    }

    package let entries: [Entry]
    private let byID: [String: Int]

    package init(_ folder: ResourceFolder) throws(CatalogueError) {
        try self.init(folder.json("catalogue.json"))
    }

    package init(_ json: JSON) throws(CatalogueError) {
        guard json["version"]?.int == 1, let models = json["models"]?.array else {
            throw CatalogueError("catalogue.json: expected version 1 and \"models\"")
        }
        entries = models.map { model in
            let id = model["id"]?.string ?? ""
            return Entry(
                modelScopeID: id, huggingFaceID: model["hf"]?.string ?? id, modelType: model["type"]?.string ?? "",
                architectures: model["architecture"]?.array?.compactMap(\.string) ?? [],
                template: model["template"]?.string ?? "", isMultimodal: model["multimodal"]?.bool ?? false,
                task: model["task"]?.string, quantization: model["quantization"]?.string)
        }
        var byID: [String: Int] = [:]
        for (at, entry) in entries.enumerated() {
            for id in [entry.modelScopeID, entry.huggingFaceID] where !id.isEmpty && byID[Text.lower(id)] == nil {
                byID[Text.lower(id)] = at
            }
        }
        self.byID = byID
    }

    // MARK: By name

    /// The model that `name` means: an id of either hub in any case, its last part, or a short spelling such as
    /// `qwen-7b` or `llama3-8b`.
    /// - Throws: `CatalogueError` with candidates if it may mean several, or the nearest names if it means none.
    package func resolve(_ name: String) throws(CatalogueError) -> Entry {
        if let at = byID[Text.lower(name)] { return entries[at] }
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        let query = Names.words(parts.last.map(String.init) ?? name)
        var scored: [(at: Int, cost: Double)] = []
        if parts.count <= 2, !query.isEmpty {
            for at in entries.indices {
                if parts.count == 2, !hasOwner(String(parts[0]), entries[at]) { continue }
                let words = Names.words(entries[at].id.split(separator: "/").last.map(String.init) ?? entries[at].id)
                if let cost = Names.distance(query, words) { scored.append((at, cost)) }
            }
        }
        scored.sort { $0.cost < $1.cost }
        guard let best = scored.first else {
            throw CatalogueError(
                "no model is known as '\(name)'; give an id of ModelScope or Hugging Face, or a folder. Near it are",
                candidates: Names.nearest(to: name, in: entries.map(\.id)))
        }
        let equal = scored.prefix { $0.cost == best.cost }
        // A name of a series, with neither version nor size, is no model.
        if equal.count == 1, best.cost < 3 { return entries[best.at] }
        throw CatalogueError(
            "'\(name)' may mean several models; give one of",
            candidates: Array(Names.unique(scored.map { entries[$0.at].id }).prefix(8)))
    }

    private func hasOwner(_ owner: String, _ entry: Entry) -> Bool {
        [entry.modelScopeID, entry.huggingFaceID].contains { Text.hasPrefix(Text.lower($0), Text.lower(owner) + "/") }
    }

    // MARK: By what a checkpoint says

    /// Types of models whose checkpoints name this architecture, the most frequent first.
    package func modelTypes(architecture: String) -> [String] {
        frequent(entries.filter { $0.architectures.contains(architecture) }.map(\.modelType))
    }

    /// The chat formats that models of a type speak, the most frequent first.
    package func templates(modelType: String) -> [String] {
        frequent(entries.filter { $0.modelType == modelType }.map(\.template))
    }

    private func frequent(_ names: [String]) -> [String] {
        var counts: [String: Int] = [:]
        for name in names { counts[name, default: 0] += 1 }
        return counts.sorted { $0.value == $1.value ? $0.key < $1.key : $0.value > $1.value }.map(\.key)
    }
}
