import Files
import JSON

/// plugin.sig, beside plugin.json: a publisher's word for one manifest and one library.
package struct Signature: Sendable {
    package let publisher: String
    /// SHA-256 of plugin.json and of the library.
    package let manifest: String
    package let library: String
    /// Ed25519 over `statement`.
    let signature: String

    package static let fileName = "plugin.sig"

    static let schema = Schema.object([
        .required("schema", .integer(1...1), "version of this file's format: 1"),
        .required("publisher", .text(.identifier), "who signed"),
        .required("manifest", .text(.digest), "sha256 of plugin.json"),
        .required("library", .text(.digest), "sha256 of the library"),
        .required("signature", .text(.any), "Ed25519 signature, 128 hexadecimal digits"),
    ])

    /// What is signed.
    private static func statement(_ publisher: String, _ manifest: String, _ library: String) -> String {
        "martlet plugin signature 1\npublisher \(publisher)\nmanifest \(manifest)\nlibrary \(library)\n"
    }

    /// Signs a plugin and writes its plugin.sig.
    package static func write(
        for manifest: Manifest, library: String, publisher: String, secret: String
    ) throws(HostError) -> String {
        guard Schema.TextRule.identifier.holds(publisher) else {
            throw HostError(
                .policy, manifest.id, "the publisher \"\(publisher)\" is no name",
                fix: "use \(Schema.TextRule.identifier.wanted)")
        }
        if let named = manifest.publisher, named != publisher {
            throw HostError(
                .disagreement, manifest.path, "publisher is \(named), and \(publisher) is to sign",
                fix: "sign as \(named), or change the manifest")
        }
        let digests = (try Digest.sha256(file: manifest.path), try Digest.sha256(file: library))
        guard let signature = Digest.sign(statement(publisher, digests.0, digests.1), secret: secret) else {
            throw HostError(
                .policy, manifest.id, "the secret key is not 128 hexadecimal digits",
                fix: "martlet plugin keygen makes one")
        }
        let document: JSON = [
            "schema": 1, "publisher": .string(publisher), "manifest": .string(digests.0), "library": .string(digests.1),
            "signature": .string(signature),
        ]
        let path = "\(manifest.directory)/\(fileName)"
        do throws(FileError) {
            try ReplacementFile.write(Array((document.text(.pretty) + "\n").utf8), to: path)
        } catch {
            throw HostError(error)
        }
        return path
    }

    /// Who says to have signed the plugin; nil where it has no plugin.sig.
    static func publisher(of manifest: Manifest) throws(HostError) -> String? {
        let path = "\(manifest.directory)/\(fileName)"
        guard System.kind(of: path) == .file else { return nil }
        return try CheckedDocument(path: path, schema: schema, code: .policy).root["publisher"]?.string
    }

    /// Refuses a plugin that is not signed by one of `publishers`, or that was changed since.
    static func check(_ manifest: Manifest, library: String, publishers: [String: String]) throws(HostError) {
        func refuse(_ message: String, _ fix: String) -> HostError {
            HostError(.policy, manifest.id, message, fix: fix)
        }
        let path = "\(manifest.directory)/\(fileName)"
        guard System.kind(of: path) == .file else {
            throw refuse("is not signed: \(path) does not exist", "ask its publisher for a signed build")
        }
        let root = try CheckedDocument(path: path, schema: schema, code: .policy).root
        func text(_ key: String) -> String { root[key]?.string ?? "" }
        if let named = manifest.publisher, named != text("publisher") {
            throw refuse(
                "its manifest names the publisher \(named), and \(text("publisher")) signed it",
                "ask \(named) for a signed build")
        }
        guard let key = publishers[text("publisher")] else {
            let known = publishers.keys.sorted().joined(separator: ", ")
            throw refuse(
                "is signed by \(text("publisher")), whom policy.publishers does not name (it names \(known.isEmpty ? "nobody" : known))",
                "add the publisher's public key, if you trust it")
        }
        guard
            Digest.verify(
                text("signature"), of: statement(text("publisher"), text("manifest"), text("library")), publicKey: key)
        else {
            throw refuse("its signature is not that of \(text("publisher"))", "ask its publisher for a signed build")
        }
        for (file, field) in [(manifest.path, "manifest"), (library, "library")] {
            let found = try Digest.sha256(file: file)
            guard found == text(field) else {
                throw refuse(
                    "was modified after it was signed: \(file) has sha256 \(found), signed was \(text(field))",
                    "install it again")
            }
        }
    }
}
