import Files
import JSON

/// A function of a plain shared library that plugins.json offers as a component: the library knows nothing of Martlet.
package struct ForeignEntry: Sendable {
    package let kind: String
    package let id: String
    package let summary: String
    /// As written: a path, relative to plugins.json, or a file name that is looked for in the library directories.
    package let library: String
    /// The function's C prototype.
    package let prototype: String
    /// Where in the row a parameter's value stands; a parameter that is not named takes the field of its own name.
    package let arguments: [String: String]
    /// Values that are the same in every call, by parameter.
    package let constants: [String: JSON]
    package let digest: String?
    /// False: one call at a time.
    package let isThreadSafe: Bool
    /// File, line and field, for messages.
    package let place: String

    /// What stands for a plugin's id in the policy, in preferences and in listings.
    package var plugin: String { "foreign.\(id)" }

    static let schema = Schema.object([
        .required(
            "kind", .text(.interface),
            "what the function is used as: martlet.filter/1, martlet.reward/1 or martlet.metric/1"),
        .required("id", .text(.identifier), "the component's name within its kind"),
        .required(
            "library", .text(.path), "the shared library: a path relative to this file, or a name in `libraries`"),
        .required("function", .text(.any), "the function's C prototype, such as double f(const char *completion)"),
        .optional(
            "arguments", .map(of: .text(.any)),
            "parameter → where its value stands in the row, such as messages[0].content; by default the field of its name"
        ),
        .optional("constants", .anyObject, "parameter → a value that is the same in every call"),
        .optional("sha256", .text(.digest), "digest that the library must have"),
        .optional("thread_safe", .boolean, "true: may be called by several threads at once"),
        .optional("summary", .text(.any), "one line for listings"),
    ])

    init(_ value: JSON, place: String) {
        func text(_ key: String) -> String { value[key]?.string ?? "" }
        kind = text("kind")
        id = text("id")
        summary = text("summary")
        library = text("library")
        prototype = text("function")
        digest = value["sha256"]?.string
        isThreadSafe = value["thread_safe"]?.bool ?? false
        arguments = (value["arguments"]?.object ?? JSONObject()).reduce(into: [:]) { $0[$1.0] = $1.1.string }
        constants = (value["constants"]?.object ?? JSONObject()).reduce(into: [:]) { $0[$1.0] = $1.1 }
        self.place = place
    }
}

extension Installation {
    /// The library of a foreign function.
    func library(of entry: ForeignEntry) throws(HostError) -> String {
        let base = path.map { FileSystem.parent(of: $0) } ?? "."
        let places =
            entry.library.contains("/")
            ? [FileSystem.absolute(entry.library, from: base)]
            : ([base] + libraryDirectories).map { "\($0)/\(entry.library)" }
        if let found = places.first(where: { System.kind(of: $0) == .file }) { return found }
        throw HostError(
            .library, entry.plugin,
            "its library \(entry.library) is not there; looked for \(places.joined(separator: ", "))",
            fix: "correct `library` at \(entry.place)")
    }
}

extension Policy {
    /// Judges a foreign function. No publisher signs a plain library, so where signatures are required it must be pinned.
    func check(_ entry: ForeignEntry, library path: String) throws(HostError) {
        try check(id: entry.plugin)
        try checkPlace(path, of: entry.plugin)
        let pins = [
            (entry.digest, "the entry at \(entry.place)"), (digests[entry.plugin], "policy.sha256.\(entry.plugin)"),
        ]
        guard pins.contains(where: { $0.0 != nil }) else {
            guard requiresSignature else { return }
            throw HostError(
                .policy, entry.plugin, "policy.require_signed holds, and a plain library carries no signature",
                fix: "give the entry at \(entry.place) a sha256")
        }
        let found = try Digest.sha256(file: path)
        for case (let wanted?, let who) in pins where found != wanted {
            throw HostError(
                .policy, entry.plugin, "\(path) has sha256 \(found), \(who) wants \(wanted)",
                fix: "restore the library, or change the digest if the change is meant")
        }
    }
}
