import Data
import Files
import Host
import Hub
import JSON

/// From what `--dataset` names to files: a registration, a path, or a data set of the catalogue or a hub, fetched if it has to be.
struct DatasetNames {
    private let resolver: DatasetResolver
    private let names: NameResolver
    private let usesHuggingFace: Bool
    private var options: DownloadOptions

    /// - Parameter isOffline: Nothing is fetched; the error then says what would be.
    init(_ arguments: Arguments, _ registry: Registry, isOffline: Bool = false) throws {
        var columns = ColumnMapping()
        if let text = arguments.text("columns") {
            guard let renames = (try? JSON(parsing: text))?.object else {
                throw UsageError("--columns is \"\(text)\", wanted JSON such as {\"question\": \"query\"}")
            }
            for (column, known) in renames { columns.renames[column] = known.string }
        }
        var registrations = Registrations()
        for path in arguments.list("custom_dataset_info") { registrations.add(try Registrations(path: path)) }
        resolver = DatasetResolver(registrations: registrations, columns: columns)
        names = NameResolver(registry)
        usesHuggingFace = Session.usesHuggingFace(arguments)
        options = Session.downloadOptions(arguments)
        options.kind = "dataset"
        options.revision = nil
        if isOffline { options.offline = true }
    }

    func resolve(_ text: String) throws -> ResolvedDataset {
        let name = try DatasetName(text)
        let isPath = System.kind(of: name.id) != nil || name.id.contains { "*?[".contains($0) }
        if name.hub == nil, isPath || resolver.registrations.entries[name.id] != nil {
            return try resolver.resolve(text)
        }
        // "./file" and "data.jsonl" are files that are not there, not data sets of a hub.
        if name.id.hasPrefix(".") || name.id.hasPrefix("/") || name.id.hasSuffix(".jsonl") {
            return try resolver.resolve(text)
        }
        let path = try names.path(
            name.id, usesHuggingFace: name.hub == nil ? usesHuggingFace : name.hub == .huggingFace, options)
        let rest =
            (name.subsets.isEmpty ? "" : ":" + name.subsets.joined(separator: "/"))
            + (name.sample.map { "#\($0)" } ?? "")
        var found = try resolver.resolve(path + rest)
        found.name = text
        return found
    }
}
