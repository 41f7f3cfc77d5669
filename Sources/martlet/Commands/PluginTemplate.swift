import Files
import Host
import Template

/// The examples that `plugin new` copies under a new name.
struct PluginTemplate {
    let language: String
    /// What it may be made to offer; the first is what the example itself offers.
    let kinds: [String]
    /// Below Examples/plugins.
    let folder: String
    /// The example's name: of its library, component and package.
    let name: String
    /// Spellings of the example's name in types and architectures.
    var spellings: [String] = []

    private static let rows = ["filter", "reward", "metric"]
    static let all = [
        PluginTemplate(
            language: "c", kinds: ["model"], folder: "c/model", name: "stablelm", spellings: ["StableLM", "StableLm"]),
        PluginTemplate(language: "c", kinds: ["logger"], folder: "c/logger", name: "filelog"),
        PluginTemplate(language: "c", kinds: ["reward", "filter", "metric"], folder: "c/row", name: "brevity"),
        PluginTemplate(language: "c", kinds: ["tuner"], folder: "c/tuner", name: "outscale"),
        PluginTemplate(language: "c", kinds: ["optimizer"], folder: "c/optimizer", name: "heavyball"),
        PluginTemplate(language: "c", kinds: ["loss"], folder: "c/loss", name: "polyloss"),
        PluginTemplate(language: "c", kinds: ["quantizer"], folder: "c/quantizer", name: "roundfour"),
        PluginTemplate(language: "c", kinds: ["dataset"], folder: "c/dataset", name: "tabrows"),
        PluginTemplate(language: "rust", kinds: ["model"], folder: "rust/model", name: "picolm", spellings: ["PicoLM"]),
        PluginTemplate(
            language: "rust", kinds: ["logger"], folder: "rust/logger", name: "countlog", spellings: ["CountLog"]),
        PluginTemplate(
            language: "rust", kinds: ["metric", "filter", "reward"], folder: "rust/row", name: "overlap",
            spellings: ["Overlap"]),
        PluginTemplate(
            language: "rust", kinds: ["tuner"], folder: "rust/tuner", name: "lowrank", spellings: ["LowRank"]),
        PluginTemplate(
            language: "rust", kinds: ["optimizer"], folder: "rust/optimizer", name: "infnorm", spellings: ["InfNorm"]),
        PluginTemplate(
            language: "rust", kinds: ["loss"], folder: "rust/loss", name: "slichinge", spellings: ["SlicHinge"]),
        PluginTemplate(
            language: "rust", kinds: ["quantizer"], folder: "rust/quantizer", name: "byteblock",
            spellings: ["ByteBlock"]),
        PluginTemplate(
            language: "rust", kinds: ["dataset"], folder: "rust/dataset", name: "stanzas", spellings: ["Stanzas"]),
        PluginTemplate(
            language: "swift", kinds: ["model"], folder: "swift/model", name: "tinylm", spellings: ["TinyLM", "Tinylm"]),
        PluginTemplate(language: "swift", kinds: ["loss"], folder: "swift/loss", name: "focal", spellings: ["Focal"]),
        PluginTemplate(
            language: "swift", kinds: ["filter", "reward", "metric"], folder: "swift/row", name: "ending",
            spellings: ["Ending"]),
        PluginTemplate(
            language: "swift", kinds: ["tuner"], folder: "swift/tuner", name: "rescale", spellings: ["Rescale"]),
        PluginTemplate(
            language: "swift", kinds: ["optimizer"], folder: "swift/optimizer", name: "signum", spellings: ["Signum"]),
        PluginTemplate(
            language: "swift", kinds: ["quantizer"], folder: "swift/quantizer", name: "absmax", spellings: ["Absmax"]),
        PluginTemplate(
            language: "swift", kinds: ["dataset"], folder: "swift/dataset", name: "qalist", spellings: ["QAList"]),
        PluginTemplate(
            language: "swift", kinds: ["tokenizer"], folder: "swift/tokenizer", name: "octets", spellings: ["Octets"]),
        PluginTemplate(
            language: "swift", kinds: ["checkpoint"], folder: "swift/checkpoint", name: "npyfolder",
            spellings: ["NpyFolder"]),
        PluginTemplate(
            language: "swift", kinds: ["hub"], folder: "swift/hub", name: "bookshelf", spellings: ["Bookshelf"]),
        PluginTemplate(
            language: "swift", kinds: ["logger"], folder: "swift/logger", name: "steplines", spellings: ["StepLines"]),
        PluginTemplate(
            language: "swift", kinds: ["op"], folder: "swift/op", name: "squaredrelu", spellings: ["SquaredReLU"]),
        // These two begin as what Martlet itself runs: links to the reference device's sources and to the native engine's.
        PluginTemplate(language: "swift", kinds: ["device"], folder: "swift/device", name: "slowchip"),
        PluginTemplate(language: "swift", kinds: ["engine"], folder: "swift/engine", name: "ownengine"),
    ]

    static func find(kind: String, language: String) throws -> PluginTemplate {
        let languages = ["c", "rust", "swift"]
        guard languages.contains(language) else {
            throw UsageError("--lang is \"\(language)\", wanted c, rust or swift")
        }
        if let template = all.first(where: { $0.language == language && $0.kinds.contains(kind) }) { return template }
        let known = all.filter { $0.language == language }.flatMap(\.kinds).sorted().joined(separator: ", ")
        throw UsageError("there is no template for --kind \(kind) in \(language); there are: \(known)")
    }

    /// The files of a new plugin: paths within its directory, and texts.
    func files(name: String, kind: String) throws -> [(path: String, text: String)] {
        let kit = try PluginKitPlaces()
        let directory = "\(kit.examples)/\(folder)"
        let sources = try Self.sources(directory, below: "").map { path in
            (path, String(decoding: try FileSystem.read("\(directory)/\(path)", limit: 1 << 20), as: UTF8.self))
        }
        let type = typeName(name, in: sources)
        var changes = [(self.name, name)] + spellings.map { ($0, type) }
        if let first = kinds.first, first != kind {
            changes += [
                ("martlet.\(first)/1", "martlet.\(kind)/1"),
                ("MT_KIND_\(first.uppercased())", "MT_KIND_\(kind.uppercased())"),
                ("$0.\(first)(", "$0.\(kind)("),
            ]
        }
        changes += [
            ("$(shell pkg-config --variable=includedir martlet)", kit.include),
            ("../../../../Tools/PluginKit", kit.swift),
            ("../../../../Sources/PluginRust", kit.rust), ("swift-6.3", Machine.current.swiftRuntime),
        ]
        return sources.map { (Self.changed($0.0, changes), Self.changed($0.1, changes)) }
    }

    /// Files that were written and not built.
    private static func sources(_ directory: String, below prefix: String) throws -> [String] {
        var found: [String] = []
        for name in try System.list("\(directory)/\(prefix)").sorted() where !name.hasPrefix(".") && name != "target" {
            let path = prefix + name
            if FileSystem.isDirectory("\(directory)/\(path)") {
                found += try sources(directory, below: path + "/")
            } else if ![".so", ".lock", ".resolved"].contains(where: name.hasSuffix) {
                found.append(path)
            }
        }
        return found
    }

    private static func changed(_ text: String, _ changes: [(String, String)]) -> String {
        changes.reduce(text) { $0.replacing($1.0, with: $1.1) }
    }

    /// Types that a Rust or Swift file may mean without naming them.
    private static let reserved: Set<Substring> = ["Self", "Any", "Type", "Protocol"]

    /// "my_model" is MyModel in types, and "self" SelfPlugin: the language's types and the example's others keep their names.
    private func typeName(_ name: String, in sources: [(path: String, text: String)]) -> String {
        let type = name.split(separator: "_").map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
        let code = sources.filter { $0.path.hasSuffix(".rs") || $0.path.hasSuffix(".swift") }
        let words = code.flatMap { $0.text.split { !$0.isLetter && !$0.isNumber && $0 != "_" } }
        let taken = Self.reserved.union(words).subtracting(spellings.map { Substring($0) })
        return taken.contains(Substring(type)) ? type + "Plugin" : type
    }
}

/// Where this installation keeps what plugins are built against.
private struct PluginKitPlaces {
    let examples, include, swift, rust: String

    init() throws {
        guard let share = ResourceFolder.installed()?.path else {
            throw HostError(
                .io, "share/martlet", "is not beside the program, and plugin new copies from it", fix: "make install")
        }
        let root = FileSystem.parent(of: share)
        if System.kind(of: "\(share)/examples/plugins") == .directory {
            let prefix = FileSystem.parent(of: root)
            (examples, include) = ("\(share)/examples/plugins", "\(prefix)/include")
            (swift, rust) = ("\(share)/PluginKit", "\(share)/rust")
        } else {  // A development tree: share is Resources.
            (examples, include) = ("\(root)/Examples/plugins", "\(root)/Sources/PluginAPI/include")
            (swift, rust) = ("\(root)/Tools/PluginKit", "\(root)/Sources/PluginRust")
        }
    }
}
