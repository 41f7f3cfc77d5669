internal import JSON

/// What plugin.json says of a plugin; read before any of its code runs.
package struct Manifest: Sendable, Equatable {
    package struct Component: Sendable, Equatable {
        package let kind: String
        package let id: String
        package let summary: String
    }
    package let path: String
    package let id: String
    package let version: String
    package let abiMajor: Int
    package let abiMinor: Int
    /// File name of the library.
    package let library: String
    /// "c", or "swift-6.3": what it needs of the process.
    package let runtime: String
    package let architectures: [String]
    package let provides: [Component]
    package let summary: String
    package let publisher: String?

    package static let fields = [
        "schema", "id", "version", "abi", "library", "runtime", "os", "architectures", "license", "description", "provides",
        "publisher", "$schema",
    ]

    package init(path: String) throws(HostError) { try self.init(Document(path: path)) }

    package init(_ document: Document) throws(HostError) {
        path = document.path
        try document.refuseUnknown("", known: Self.fields)
        let schema = try document.value("schema", "1") { $0.int } ?? 1
        guard schema == 1 else { throw document.error("schema", "found \(schema), wanted 1; update martlet for newer manifests") }
        id = try document.required("id", "a name of letters, digits, '.', '-' and '_'") { $0.string.flatMap(Self.name) }
        version = try document.required("version", "a semantic version such as \"1.0.0\"") { $0.string.flatMap(Self.version) }
        try document.refuseUnknown("abi", known: ["major", "minor"])
        abiMajor = try document.required("abi.major", "a whole number") { $0.int }
        abiMinor = try document.required("abi.minor", "a whole number") { $0.int }
        library = try document.required("library", "a file name such as \"libName.so\"") {
            $0.string.flatMap { $0.contains("/") || $0.isEmpty || $0 == ".." ? nil : $0 }
        }
        runtime = try document.required("runtime", "\"c\" or \"swift-6.3\"") { $0.string }
        let os = try document.required("os", "\"linux\"") { $0.string }
        guard os == "linux" else { throw document.error("os", "found \"\(os)\", this machine runs linux") }
        architectures = try document.required("architectures", "a list such as [\"x86_64\"]") { Self.strings($0) }
        summary = try document.value("description", "a text") { $0.string } ?? ""
        publisher = try document.value("publisher", "a text") { $0.string }
        let count = try document.required("provides", "a list of components") { $0.array }.count
        var provides: [Component] = []
        for i in 0..<count {
            let at = "provides[\(i)]"
            try document.refuseUnknown(at, known: ["kind", "id", "summary"])
            let component = Component(
                kind: try document.required("\(at).kind", "an interface id such as \"martlet.model/1\"") {
                    $0.string.flatMap { $0.contains("/") ? $0 : nil }
                }, id: try document.required("\(at).id", "a name") { $0.string.flatMap(Self.name) },
                summary: try document.value("\(at).summary", "a text") { $0.string } ?? "")
            if provides.contains(where: { $0.kind == component.kind && $0.id == component.id }) {
                throw document.error("\(at).id", "\(component.kind) \"\(component.id)\" stands twice")
            }
            provides.append(component)
        }
        self.provides = provides
    }

    private static func strings(_ value: JSON) -> [String]? {
        guard let list = value.array else { return nil }
        let texts = list.compactMap(\.string)
        return texts.count == list.count && !texts.isEmpty ? texts : nil
    }

    private static func name(_ text: String) -> String? {
        let isName = text.utf8.allSatisfy { byte in
            (0x61...0x7A).contains(byte) || (0x41...0x5A).contains(byte) || (0x30...0x39).contains(byte)
                || byte == 0x2E || byte == 0x2D || byte == 0x5F
        }
        return isName && !text.isEmpty && text.utf8.count <= 128 ? text : nil
    }

    private static func version(_ text: String) -> String? {
        let parts = text.prefix { $0 != "-" && $0 != "+" }.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 3 && parts.allSatisfy { Int($0) != nil } ? text : nil
    }
}
