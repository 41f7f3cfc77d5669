import Files
import JSON

/// A data set of a run: its files and how they are read.
package struct ResolvedDataset: Sendable {
    /// As the user wrote it.
    package var name: String
    package var files: [String]
    package var columns: ColumnMapping
    /// What its registration says that it is for.
    package var task: String?
    package var sample: Int?
    /// Files that its registration keeps for validation.
    package var validationFiles: [String] = []
}

/// Finds the files behind a name: what is registered, then what lies on disk, then what was downloaded.
package struct DatasetResolver: Sendable {
    package var registrations: Registrations
    /// Data sets known by name: objects with `name`, `ms_id`, `hf_id`, `aliases`.
    package var catalogue: [JSON]
    /// Where downloaded data sets lie, by id.
    package var downloads: String?
    package var columns: ColumnMapping

    package init(
        registrations: Registrations = Registrations(), catalogue: [JSON] = [], downloads: String? = nil,
        columns: ColumnMapping = ColumnMapping()
    ) {
        self.registrations = registrations
        self.catalogue = catalogue
        self.downloads = downloads
        self.columns = columns
    }

    /// - Throws: `DataError`; for a known name that is not on disk it says what would be downloaded from where.
    package func resolve(_ text: String) throws -> ResolvedDataset {
        let name = try DatasetName(text)
        if let entry = registrations.entries[name.id] { return try registered(entry, name, text) }
        if name.hub == nil, System.kind(of: name.id) != nil || name.id.contains(where: { "*?[".contains($0) }) {
            return ResolvedDataset(
                name: text, files: try DatasetFiles.find(name.id, subsets: name.subsets), columns: columns,
                sample: name.sample)
        }
        let known = catalogue.first { entry in
            [entry["name"], entry["ms_id"], entry["hf_id"]].contains { $0?.string == name.id }
                || entry["aliases"]?.array?.contains(.string(name.id)) == true
        }
        let ids = [name.id, known?["ms_id"]?.string, known?["hf_id"]?.string].compactMap { $0 }
        if let downloads {
            for id in ids {
                let path = System.join(downloads, id)
                if System.kind(of: path) != nil {
                    return ResolvedDataset(
                        name: text, files: try DatasetFiles.find(path, subsets: name.subsets), columns: columns,
                        sample: name.sample)
                }
            }
        }
        let sources = [
            known?["ms_id"]?.string.map { "ModelScope (ms::\($0))" },
            known?["hf_id"]?.string.map { "Hugging Face (hf::\($0))" },
        ].compactMap { $0 }.joined(separator: " or ")
        throw DataError(
            text,
            found: known == nil ? "no such file, registration or known name" : "a known data set that is not on disk",
            wanted: "a data set on disk",
            fix: known == nil
                ? nearest(name.id).map { "Did you mean \"\($0)\"?" }
                : "It can be downloaded from \(sources)" + (downloads.map { " into \($0)" } ?? "") + ".")
    }

    private func registered(_ entry: Registration, _ name: DatasetName, _ text: String) throws -> ResolvedDataset {
        let mapping = entry.columns.overlaid(by: columns)
        guard entry.train.isEmpty, entry.validation.isEmpty else {
            return ResolvedDataset(
                name: text, files: try entry.train.flatMap { try DatasetFiles.find($0, subsets: name.subsets) },
                columns: mapping, task: entry.task, sample: name.sample,
                validationFiles: try entry.validation.flatMap { try DatasetFiles.find($0) })
        }
        for id in [entry.modelScopeID, entry.huggingFaceID].compactMap({ $0 }) {
            guard let downloads, System.kind(of: System.join(downloads, id)) != nil else { continue }
            let path = System.join(downloads, id)
            return ResolvedDataset(
                name: text, files: try DatasetFiles.find(path, subsets: name.subsets), columns: mapping,
                task: entry.task,
                sample: name.sample)
        }
        throw DataError(
            text, found: "a registration without files on disk", wanted: "a data set on disk",
            fix: "Download \(entry.modelScopeID ?? entry.huggingFaceID ?? name.id) first.")
    }

    /// The registered or catalogued name that is closest, when one is close.
    private func nearest(_ id: String) -> String? {
        let names =
            Array(registrations.entries.keys)
            + catalogue.flatMap { entry in
                [entry["name"]?.string].compactMap { $0 } + (entry["aliases"]?.array ?? []).compactMap(\.string)
            }
        let wanted = id.lowercased()
        return names.sorted().first { $0.lowercased().contains(wanted) || wanted.contains($0.lowercased()) }
    }
}
