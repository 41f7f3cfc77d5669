import Conformance
import Host

/// `martlet plugin add PATH`: checks a plugin out of process, then records where it is and its digest.
enum PluginAdd: Command {
    static let name = "add"
    static let summary = "Check a plugin, then record its directory and digest in plugins.json"
    static let operands = "PATH"
    static let operandCount = 1...1
    static let flags = [Flag("no_check", .boolean, "Do not run plugin check first", default: "false")]

    static func run(_ arguments: Arguments) throws {
        let subject = try Subject(arguments.positional[0])
        let manifest = try Manifest(path: subject.manifestPath)
        let installed = try Session.installed(arguments)
        if let other = installed.plugins.first(where: {
            $0.manifest.id == manifest.id && $0.manifest.path != manifest.path
        }) {
            throw HostError(
                .conflict, manifest.path, "the id \(manifest.id) is already that of \(other.manifest.path)",
                fix: "martlet plugin remove \(manifest.id)")
        }
        if !arguments.bool("no_check") {
            let failures = try PluginCheck.findings(subject, timeout: 10) { _ in }.filter(PluginCheck.isFailure)
            for failure in failures { Terminal.error(PluginCheck.line(failure)) }
            if !failures.isEmpty { throw ExitStatus.plugin }
        }
        let library = try installed.installation.library(of: manifest)
        // The digest of an earlier build is about to be replaced; everything else that the policy asks holds now.
        var policy = installed.installation.policy
        policy.digests[manifest.id] = nil
        try policy.check(manifest)
        try policy.check(library: library, of: manifest)
        let file = try InstallationFile.current()
        try file.add(manifest, digest: try Digest.sha256(file: library))
        Terminal.line("added \(manifest.id) \(manifest.version) to \(file.path)")
        for claim in manifest.provides where installed.installation.preferences[claim.kind]?[claim.id] == nil {
            guard
                let other = installed.claims(kind: claim.kind).first(where: {
                    $0.id == claim.id && $0.plugin != manifest.id
                })
            else { continue }
            Terminal.error(
                "\(claim.kind) \(claim.id) is offered by \(other.plugin) too, and neither is used until preferences.\(claim.kind).\(claim.id) names one of them in \(file.path)"
            )
        }
    }
}

/// `martlet plugin remove ID`
enum PluginRemove: Command {
    static let name = "remove"
    static let summary = "Take a plugin out of plugins.json; its files stay"
    static let operands = "ID"
    static let operandCount = 1...1

    static func run(_ arguments: Arguments) throws {
        let record = try Session.installed(arguments).record(arguments.positional[0])
        let file = try InstallationFile.current()
        try file.remove(record.manifest)
        Terminal.line("removed \(record.manifest.id) from \(file.path); its files are in \(record.manifest.directory)")
    }
}
