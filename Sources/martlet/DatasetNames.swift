import Data
import Files
import Host
import Hub
import JSON
import Template

/// From what `--dataset` names to files: a registration, a path, or a data set of the catalogue or a hub, fetched if it has to be.
struct DatasetNames {
    private let resolver: DatasetResolver
    private let names: NameResolver
    private let usesHuggingFace: Bool
    private var options: DownloadOptions

    /// - Parameter onlyLooks: Nothing is fetched; the error then says what would be.
    init(_ arguments: Arguments, _ registry: Registry, onlyLooks: Bool = false) throws {
        var columns = ColumnMapping()
        if let text = arguments.text("columns") {
            guard let renames = (try? JSON(parsing: text))?.object else {
                throw UsageError("--columns is \"\(text)\", wanted JSON such as {\"question\": \"query\"}")
            }
            for (column, known) in renames {
                guard let known = known.string else {
                    throw UsageError("--columns names \(known.text()) for \"\(column)\", wanted a text")
                }
                columns.renames[column] = known
            }
            try Self.check(columns, "--columns")
        }
        resolver = DatasetResolver(registrations: try Self.registrations(arguments), columns: columns)
        names = NameResolver(registry)
        usesHuggingFace = Session.usesHuggingFace(arguments)
        options = Session.downloadOptions(arguments)
        options.kind = "dataset"
        options.revision = nil
        options.onlyLooks = onlyLooks
    }

    private static func registrations(_ arguments: Arguments) throws -> Registrations {
        var registrations = Registrations()
        for path in arguments.list("custom_dataset_info") { registrations.add(try Registrations(path: path)) }
        for (name, entry) in registrations.entries.sorted(by: { $0.key < $1.key }) {
            try check(entry.columns, "the columns of \(name)")
        }
        return registrations
    }

    private static func check(_ columns: ColumnMapping, _ place: String) throws {
        let known = ColumnMapping.knownNames
        for (column, target) in columns.renames.sorted(by: { $0.key < $1.key }) where !known.contains(target) {
            let near = nearest(target, in: known.sorted()).map { "did you mean \($0)?" }
            throw UsageError(
                "\(place): no schema knows the column \"\(target)\" that \"\(column)\" should be; "
                    + (near ?? "known are \(known.sorted().joined(separator: ", "))"))
        }
    }

    /// What the registrations of the data sets of a run say that they are for, as (data set, task).
    static func tasks(_ arguments: Arguments) throws -> [(name: String, task: String)] {
        let registrations = try registrations(arguments)
        return try ["dataset", "val_dataset"].flatMap(arguments.list).compactMap { text in
            let name = try DatasetName(text).id
            return registrations.entries[name]?.task.map { (name, $0) }
        }
    }

    func resolve(_ text: String) throws -> ResolvedDataset {
        let name = try DatasetName(text)
        let isPath = System.kind(of: name.id) != nil || name.id.contains { "*?[".contains($0) }
        if let entry = resolver.registrations.entries[name.id] {
            guard entry.train.isEmpty, entry.validation.isEmpty else { return try resolver.resolve(text) }
            let ids = [entry.modelScopeID, entry.huggingFaceID]
            guard let id = (usesHuggingFace ? ids.reversed() : ids).compactMap({ $0 }).first else {
                return try resolver.resolve(text)
            }
            var found = try fetched(
                id, usesHuggingFace: id != entry.modelScopeID, name, entry.columns.overlaid(by: resolver.columns))
            (found.name, found.task) = (text, entry.task)
            return found
        }
        // "./file" and "data.jsonl" are files that are not there, not data sets of a hub.
        if name.hub == nil && isPath || name.id.hasPrefix(".") || name.id.hasPrefix("/") || name.id.hasSuffix(".jsonl")
        {
            return try resolver.resolve(text)
        }
        var columns = resolver.columns
        if let entry = names.dataset(name.id) { columns = try Self.columns(entry, columns, text) }
        var found = try fetched(
            name.id, usesHuggingFace: name.hub == nil ? usesHuggingFace : name.hub == .huggingFace, name, columns)
        found.name = text
        return found
    }

    private func fetched(
        _ id: String, usesHuggingFace: Bool, _ name: DatasetName, _ columns: ColumnMapping
    ) throws -> ResolvedDataset {
        let path = try Self.path(id, subsets: name.subsets, names, usesHuggingFace: usesHuggingFace, options)
        let rest =
            (name.subsets.isEmpty ? "" : ":" + name.subsets.joined(separator: "/"))
            + (name.sample.map { "#\($0)" } ?? "")
        var resolver = resolver
        resolver.columns = columns
        return try resolver.resolve(path + rest)
    }

    /// The user's columns over the catalogue's.
    private static func columns(
        _ entry: DatasetCatalogue.Entry, _ own: ColumnMapping, _ text: String
    ) throws -> ColumnMapping {
        guard let known = entry.columns else {
            if !own.renames.isEmpty { return own }
            throw DataError(
                text, found: "rows that need code of their own (\(entry.form)), which is not here",
                wanted: "a data set whose columns are known",
                fix: "Say how they are read with --columns, or register \(entry.id) in a file for "
                    + "--custom_dataset_info: [{\"ms_dataset_id\": \"\(entry.id)\", \"dataset_name\": \"mine\", "
                    + "\"columns\": {\"its_question\": \"query\", \"its_answer\": \"response\"}}]; see Documentation/Datasets.md."
            )
        }
        var columns = ColumnMapping(renames: known)
        columns.optional = Set(known.keys)
        return columns.overlaid(by: own)
    }

    /// The directory of a data set that the catalogue or a hub names.
    /// - Throws: `UsageError` for a sub-set that is none of those that the catalogue knows.
    static func path(
        _ id: String, subsets wanted: [String], _ names: NameResolver, usesHuggingFace: Bool, _ options: DownloadOptions
    ) throws -> String {
        do {
            return try names.path(id, usesHuggingFace: usesHuggingFace, options)
        } catch let error as HubError where error.code == .absent || error.code == .offline {
            // Once it is here its directories say which there are.
            guard let known = names.dataset(id) else { throw error }
            let subsets = known.subsets.isEmpty ? ["default"] : known.subsets
            if let other = wanted.first(where: { !(subsets + ["all", "default"]).contains($0) }) {
                throw UsageError(
                    "\(id) has no sub-set \"\(other)\" that is known; known are \(subsets.joined(separator: ", "))"
                )
            }
            throw error
        }
    }
}
