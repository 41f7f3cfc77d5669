import JSON

/// The published datasets that are known by id, and how their rows are read.
package struct DatasetCatalogue: Sendable {
    package struct Entry: Sendable, Equatable {
        package let modelScopeID: String
        package let huggingFaceID: String
        package let name: String
        package let task: String
        package let subsets: [String]
        package let splits: [String]
        /// What turns its rows into conversations, by the name under which the training tools know it.
        package let form: String
        /// From its columns to those that schemas know; nil where the form is not known here.
        package let columns: [String: String]?
        /// Too large to fetch unasked.
        package let isHuge: Bool

        package var id: String { modelScopeID.isEmpty ? huggingFaceID : modelScopeID }
    }

    package let entries: [Entry]
    private let byID: [String: Int]

    package init(_ folder: ResourceFolder) throws(CatalogueError) {
        try self.init(folder.json("datasets.json"))
    }

    package init(_ json: JSON) throws(CatalogueError) {
        guard json["version"]?.int == 1, let datasets = json["datasets"]?.array else {
            throw CatalogueError("datasets.json: expected version 1 and \"datasets\"")
        }
        func columns(_ json: JSON?) -> [String: String]? {
            json?.object.map { $0.reduce(into: [:]) { $0[$1.key] = $1.value.string } }
        }
        let forms = json["forms"]
        entries = datasets.map { dataset in
            let form = dataset["form"]?.string ?? ""
            let id = dataset["id"]?.string ?? ""
            let hf = dataset["hf"]?.string ?? id
            return Entry(
                modelScopeID: id, huggingFaceID: hf, name: dataset["name"]?.string ?? (id.isEmpty ? hf : id),
                task: dataset["task"]?.string ?? "", subsets: dataset["subsets"]?.array?.compactMap(\.string) ?? [],
                splits: dataset["split"]?.array?.compactMap(\.string) ?? [], form: form,
                columns: columns(dataset["columns"]) ?? columns(forms?[form]),
                isHuge: dataset["huge"]?.bool ?? false)
        }
        var byID: [String: Int] = [:]
        for (at, entry) in entries.enumerated() {
            for id in [entry.modelScopeID, entry.huggingFaceID, entry.name] where !id.isEmpty {
                byID[Text.lower(id)] = byID[Text.lower(id)] ?? at
            }
        }
        for (alias, id) in json["aliases"]?.object ?? JSONObject() {
            if let at = byID[Text.lower(id.string ?? "")] { byID[Text.lower(alias)] = at }
        }
        self.byID = byID
    }

    /// The dataset that `name` means: an id of either hub in any case, its last part, an alias, or a short spelling.
    /// - Throws: `CatalogueError` with candidates if it may mean several, or the nearest names if it means none.
    package func resolve(_ name: String) throws(CatalogueError) -> Entry {
        if let at = byID[Text.lower(name)] { return entries[at] }
        let query = Names.words(name.split(separator: "/").last.map(String.init) ?? name)
        var scored: [(entry: Entry, cost: Double)] = []
        for entry in entries where !query.isEmpty && !name.contains("/") {
            let words = Names.words(entry.id.split(separator: "/").last.map(String.init) ?? entry.id)
            if let cost = Names.distance(query, words) { scored.append((entry, cost)) }
        }
        scored.sort { $0.cost < $1.cost }
        guard let best = scored.first else {
            throw CatalogueError(
                "no dataset is known as '\(name)'; give an id of ModelScope or Hugging Face, or a path. Near it are",
                candidates: Names.nearest(to: name, in: entries.map(\.id)))
        }
        if scored.count == 1 || (best.cost < 1 && scored[1].cost > best.cost) { return best.entry }
        throw CatalogueError(
            "'\(name)' may mean several datasets; give one of",
            candidates: Array(Names.unique(scored.map(\.entry.id)).prefix(8)))
    }
}
