import JSON

/// What an installation allows to be loaded.
package struct Policy: Sendable {
    /// When not empty, manifests and libraries must lie below one of these directories, links resolved.
    package var searchDirectories: [String] = []
    /// When not nil, only these plugin ids.
    package var allow: Set<String>?
    package var deny: Set<String> = []
    /// SHA-256 of libraries, by plugin id.
    package var digests: [String: String] = [:]
    /// Ed25519 public keys by publisher.
    package var publishers: [String: String] = [:]
    /// Every plugin must be signed by one of the publishers.
    package var requiresSignature = false

    package init() {}

    package static let schema = Schema.object([
        .optional(
            "search_directories", .list(of: .text(.path)),
            "plugins must lie below one of these; relative to this file"),
        .optional("allow", .list(of: .text(.identifier)), "the only plugin ids that may be loaded"),
        .optional("deny", .list(of: .text(.identifier)), "plugin ids that are never loaded"),
        .optional("sha256", .map(of: .text(.digest)), "plugin id → digest that its library must have"),
        .optional("publishers", .map(of: .text(.publicKey)), "publisher → Ed25519 public key, 64 hexadecimal digits"),
        .optional("require_signed", .boolean, "true: every plugin must be signed by one of the publishers"),
    ])

    init(_ value: JSON?, base: String, document: CheckedDocument) throws(HostError) {
        for (i, path) in (value?["search_directories"]?.array ?? []).enumerated() {
            let path = FileSystem.absolute(path.string ?? "", from: base)
            guard let real = FileSystem.real(path) else {
                throw document.refusal(
                    "policy.search_directories[\(i)]", "\(path) does not exist", fix: "create or remove it")
            }
            searchDirectories.append(real)
        }
        allow = value?["allow"]?.array.map { Set($0.compactMap(\.string)) }
        func texts(_ key: String) -> [String: String] {
            Dictionary(
                (value?[key]?.object ?? JSONObject()).compactMap { key, value in value.string.map { (key, $0) } },
                uniquingKeysWith: { $1 })
        }
        digests = texts("sha256")
        publishers = texts("publishers")
        requiresSignature = value?["require_signed"]?.bool ?? false
        deny = Set((value?["deny"]?.array ?? []).compactMap(\.string))
    }

    /// Judges a plugin by its manifest.
    package func check(_ manifest: Manifest) throws(HostError) {
        try check(id: manifest.id)
        try checkPlace(manifest.path, of: manifest.id)
    }

    func check(id: String) throws(HostError) {
        if deny.contains(id) {
            throw HostError(.policy, id, "policy.deny names this plugin", fix: "use another, or change the policy")
        }
        if let allow, !allow.contains(id) {
            throw HostError(.policy, id, "policy.allow does not name this plugin", fix: "add its id to policy.allow")
        }
    }

    /// Judges the library before it is opened.
    package func check(library path: String, of manifest: Manifest) throws(HostError) {
        try checkPlace(path, of: manifest.id)
        if let wanted = digests[manifest.id] {
            let found = try Digest.sha256(file: path)
            guard found == wanted else {
                throw HostError(
                    .policy, manifest.id, "\(path) has sha256 \(found), policy.sha256 wants \(wanted)",
                    fix: "install it again, or run martlet plugin add if the change is meant")
            }
        }
        // A publisher whom the policy names always has to have signed, and what such a one signed has to be whole.
        let signer = try Signature.publisher(of: manifest)
        if requiresSignature
            || [manifest.publisher, signer].contains(where: { $0.map { publishers[$0] != nil } ?? false })
        {
            try Signature.check(manifest, library: path, publishers: publishers)
        }
    }

    func checkPlace(_ path: String, of id: String) throws(HostError) {
        guard !searchDirectories.isEmpty else { return }
        guard let real = FileSystem.real(path), searchDirectories.contains(where: { real.hasPrefix($0 + "/") }) else {
            throw HostError(
                .policy, id,
                "\(path) lies outside policy.search_directories (\(searchDirectories.joined(separator: ", ")))",
                fix: "move the plugin there, or add its directory")
        }
    }
}
