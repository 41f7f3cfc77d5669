import Files
package import Host
package import Template

/// Finds the files behind what a person calls a model or a data set: a path, an id of a hub, or a short spelling such as
/// `qwen-7b`. What is on this machine goes first.
package struct NameResolver {
    private let registry: Registry
    private let folder: ResourceFolder?
    package var cache = Cache.standard

    package init(_ registry: Registry, resources: ResourceFolder? = .installed()) {
        self.registry = registry
        folder = resources
    }

    /// What a name means.
    package struct Target: Equatable, Sendable {
        /// The id at the hub.
        package var id: String
        /// The hub that has it; nil leaves the choice to the hubs.
        package var hub: String?
    }

    /// The local path of `name`, fetched if it has to be.
    /// - Parameter usesHuggingFace: Hugging Face is asked rather than ModelScope.
    package func path(_ name: String, usesHuggingFace: Bool, _ options: DownloadOptions) throws -> String {
        if options.directory == nil, System.kind(of: name) != nil { return name }
        let target = try target(name, kind: options.kind, usesHuggingFace: usesHuggingFace)
        if !options.refresh, options.directory == nil, options.endpoint == nil,
            let path = ForeignCache.path(target.id, kind: options.kind, revision: options.revision)
        {
            return path
        }
        return try cache.fetch(
            target.id, from: HubHandle(for: target.id, named: target.hub, registry: registry), options)
    }

    /// The id and hub that `name` means.
    /// - Throws: `CatalogueError` for a name without an owner that the catalogue does not know, or knows several of.
    package func target(_ name: String, kind: String, usesHuggingFace: Bool) throws -> Target {
        let prefixed = ["hf:", "ms:", "wheel:", "file://", "~/", "/", "./", "../"].contains { name.hasPrefix($0) }
        if prefixed { return Target(id: name) }
        guard let ids = try known(name, kind: kind) else {
            return Target(id: name, hub: usesHuggingFace ? "huggingface" : nil)
        }
        let (first, second) = usesHuggingFace ? (ids.huggingFace, ids.modelScope) : (ids.modelScope, ids.huggingFace)
        let isHuggingFace = usesHuggingFace != first.isEmpty
        return Target(id: first.isEmpty ? second : first, hub: isHuggingFace ? "huggingface" : "modelscope")
    }

    /// What the catalogue says of a model; nil where it knows none of that name.
    package func known(model name: String) -> ModelCatalogue.Entry? {
        folder.flatMap { try? ModelCatalogue($0).resolve(name) }
    }

    /// The catalogue's ids for `name`; nil where it is not needed to read the name.
    private func known(_ name: String, kind: String) throws -> (modelScope: String, huggingFace: String)? {
        let isWhole = name.contains("/")
        guard let folder else {
            if isWhole { return nil }
            throw HubError(
                .notFound,
                "this is no path, and the catalogue of known names is not installed; give \"owner/name\" or a path",
                at: name)
        }
        do {
            let ids: (modelScope: String, huggingFace: String)
            if kind == "dataset" {
                let entry = try DatasetCatalogue(folder).resolve(name)
                ids = (entry.modelScopeID, entry.huggingFaceID)
            } else {
                let entry = try ModelCatalogue(folder).resolve(name)
                ids = (entry.modelScopeID, entry.huggingFaceID)
            }
            return Self.isMeant(name, ids.modelScope, ids.huggingFace) ? ids : nil
        } catch {
            if isWhole { return nil }
            throw error
        }
    }

    /// "owner/name" is taken for another only where letters differ in case alone.
    private static func isMeant(_ name: String, _ ids: String...) -> Bool {
        !name.contains("/") || ids.contains { $0.lowercased() == name.lowercased() }
    }

    /// What the catalogue knows of a data set; nil for one that it does not have.
    package func dataset(_ name: String) -> DatasetCatalogue.Entry? {
        guard let folder, let entry = try? DatasetCatalogue(folder).resolve(name) else { return nil }
        return Self.isMeant(name, entry.modelScopeID, entry.huggingFaceID) ? entry : nil
    }
}
