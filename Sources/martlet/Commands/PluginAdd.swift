import Conformance
import Host

/// `martlet plugin add PATH`: checks a plugin out of process, then records where it is and its digest.
enum PluginAdd: Command {
    static let name = "add"
    static let summary = "Check a plugin, then record its directory and digest in plugins.json"
    static let operands = "PATH"
    static let operandCount = 1...1
    static let flags = [Flag("no_check", .boolean, "Do not run plugin check first", default: "false")]

    static func plan(_ plan: inout Plan) throws {
        let candidate = try Candidate(plan.arguments)
        let manifest = candidate.manifest
        plan.add("plugin", "\(manifest.id) \(manifest.version), \(manifest.path)")
        plan.add("library", "\(try candidate.checkedLibrary()), allowed by the policy")
        for claim in manifest.provides { plan.add("offers", "\(claim.kind) \(claim.id)") }
        if !plan.arguments.bool("no_check") { plan.add("check", "martlet plugin check runs first, and is not run now") }
        plan.add("into", try InstallationFile.current().path)
    }

    /// A plugin that is to be added.
    private struct Candidate {
        let subject: Subject
        let manifest: Manifest
        let installed: Registry

        /// - Throws: `HostError` for a manifest that cannot be read, or an id that is another plugin's.
        init(_ arguments: Arguments) throws {
            subject = try Subject(arguments.positional[0])
            let manifest = try Manifest(path: subject.manifestPath)
            self.manifest = manifest
            installed = try Session.installed(arguments)
            if let other = installed.plugins.first(where: {
                $0.manifest.id == manifest.id && $0.manifest.path != manifest.path
            }) {
                throw HostError(
                    .conflict, manifest.path, "the id \(manifest.id) is already that of \(other.manifest.path)",
                    fix: "martlet plugin remove \(manifest.id)")
            }
        }

        /// The library, once the policy allows it.
        func checkedLibrary() throws -> String {
            let library = try installed.installation.library(of: manifest)
            // The digest of an earlier build is about to be replaced; everything else that the policy asks holds now.
            var policy = installed.installation.policy
            policy.digests[manifest.id] = nil
            try policy.check(manifest)
            try policy.check(library: library, of: manifest)
            return library
        }
    }

    static func run(_ arguments: Arguments) throws {
        let candidate = try Candidate(arguments)
        let (manifest, installed) = (candidate.manifest, candidate.installed)
        if !arguments.bool("no_check") {
            let failures = try PluginCheck.findings(candidate.subject, timeout: 10) { _ in }
                .filter(PluginCheck.isFailure)
            for failure in failures { Terminal.error(PluginCheck.line(failure)) }
            if !failures.isEmpty { throw ExitStatus.plugin }
        }
        let library = try candidate.checkedLibrary()
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
    static let operands = "ID or directory"
    static let operandCount = 1...1

    static func run(_ arguments: Arguments) throws {
        let name = arguments.positional[0]
        let registry = try Session.installed(arguments)
        let file = try InstallationFile.current()
        if let foreign = registry.foreign.first(where: { $0.entry.plugin == name }) {
            throw HostError(
                .notFound, name, "is a function that plugins.json names",
                fix: "take its entry out at \(foreign.entry.place), or set plugins.\(name).enabled to false")
        }
        guard let record = registry.plugins.first(where: { $0.manifest.id == name }) else {
            // Its directory may be gone, or its manifest damaged: what plugins.json says of it can be taken out all the same.
            if try file.forget(name) { return Terminal.line("removed \(name) from \(file.path)") }
            _ = try registry.record(name)
            return
        }
        try file.remove(record.manifest)
        Terminal.line("removed \(record.manifest.id) from \(file.path); its files are in \(record.manifest.directory)")
    }
}
