import Conformance
import Files
import Host

/// `martlet plugin keygen NAME`
enum PluginKeygen: Command {
    static let name = "keygen"
    static let summary = "Make an Ed25519 key pair for signing plugins"
    static let operands = "NAME"
    static let operandCount = 1...1

    static func run(_ arguments: Arguments) throws {
        let name = arguments.positional[0]
        let (publisher, rule) = (System.lastComponent(of: name), Schema.TextRule.identifier)
        guard rule.holds(publisher) else { throw UsageError("NAME is \"\(publisher)\", wanted \(rule.wanted)") }
        let keys = try Digest.makeKeys()
        try Terminal.save(keys.secret + "\n", to: "\(name).secret", isNew: true)
        try Terminal.save(keys.publicKey + "\n", to: "\(name).public", isNew: true)
        Terminal.line("\(name).secret signs; keep it to yourself")
        Terminal.line("policy.publishers in plugins.json: \"\(publisher)\": \"\(keys.publicKey)\"")
    }
}

/// `martlet plugin sign PATH --key FILE --publisher NAME`
enum PluginSign: Command {
    static let name = "sign"
    static let summary = "Sign a plugin's manifest and library: writes plugin.sig beside them"
    static let operands = "PATH"
    static let operandCount = 1...1
    static let flags = [
        Flag("key", .text, "File with the secret key, from plugin keygen"),
        Flag("publisher", .text, "Name under which policy.publishers lists the public key"),
    ]

    static func run(_ arguments: Arguments) throws {
        let subject = try Subject(arguments.positional[0])
        let manifest = try Manifest(path: subject.manifestPath)
        let library = try Session.installed(arguments).installation.library(of: manifest)
        let secret = try Input.lines(try arguments.required("key")).first ?? ""
        let path = try Signature.write(
            for: manifest, library: library, publisher: try arguments.required("publisher"), secret: secret)
        Terminal.line("wrote \(path)")
    }
}
