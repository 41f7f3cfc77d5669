import Glibc
import PluginAPI
import Threads

/// What is installed, from manifests alone; a plugin's library is opened when a component of it is first asked for.
package final class Registry: @unchecked Sendable {
    /// An installed plugin.
    package struct Record: Sendable {
        package let manifest: Manifest
        package let isEnabled: Bool
        /// Why it cannot be used, when that is known without opening it.
        package let problem: HostError?
        package var isUsable: Bool { isEnabled && problem == nil }
    }
    /// A component as its manifest claims it.
    package struct Claim: Sendable {
        package let plugin: String
        package let kind: String
        package let id: String
        package let summary: String
    }

    package let installation: Installation
    package let services: Services
    /// In the order in which they were found.
    package let plugins: [Record]
    /// Everything that keeps a plugin from being used, known without opening any.
    package var problems: [HostError] { installation.problems + plugins.compactMap(\.problem) }
    /// Makes a component of a function of a plain library.
    package typealias ForeignBinder =
        @Sendable (_ entry: ForeignEntry, _ library: String) throws(HostError) -> Component
    private let machine: Machine
    private let bind: ForeignBinder?
    private let claims: [String: [Claim]]
    private let state = OpenState()

    /// - Parameter bind: What makes components of the installation's foreign functions; without it they are refused.
    package init(
        _ installation: Installation, services: Services = .shared, machine: Machine = .current,
        bind: ForeignBinder? = nil
    ) {
        self.bind = bind
        self.installation = installation
        self.services = services
        self.machine = machine
        var firstByID: [String: String] = [:]
        plugins = installation.manifests.map { manifest in
            var problem: HostError?
            if let first = firstByID[manifest.id] {
                problem = HostError(
                    .conflict, manifest.path, "the id \(manifest.id) is already that of \(first)",
                    fix: "remove one of the two plugins")
            } else {
                firstByID[manifest.id] = manifest.path
                do throws(HostError) {
                    try manifest.checkFit(machine)
                    try installation.policy.check(manifest)
                } catch {
                    problem = error
                }
            }
            let isEnabled = installation.entries[manifest.id]?.isEnabled ?? true
            return Record(manifest: manifest, isEnabled: isEnabled, problem: problem)
        }
        var claims: [String: [Claim]] = [:]
        for record in plugins where record.isUsable {
            for claim in record.manifest.provides {
                claims[claim.kind, default: []].append(
                    Claim(plugin: record.manifest.id, kind: claim.kind, id: claim.id, summary: claim.summary))
            }
        }
        for entry in installation.foreign {
            claims[entry.kind, default: []].append(
                Claim(plugin: entry.plugin, kind: entry.kind, id: entry.id, summary: entry.summary))
        }
        self.claims = claims
        services.attach(self)
    }

    /// The usable components of a kind, as claimed, in the order of the manifests.
    package func claims(kind: String) -> [Claim] { claims[kind] ?? [] }

    /// The kinds of which there are components.
    package var kinds: [String] { claims.keys.sorted() }

    /// The component `id` of `kind`; its plugin is opened if it was not.
    /// - Throws: `HostError`: `.notFound` with the nearest name, `.conflict` when several plugins claim it and no
    ///   preference chooses, or why its plugin cannot be loaded.
    package func find(kind: String, id: String) throws(HostError) -> Component {
        let claim = try self.claim(kind: kind, id: id)
        if let entry = installation.foreign.first(where: { $0.kind == kind && $0.id == id && $0.plugin == claim.plugin }
        ) {
            return try once("\(kind) \(id)") { () throws(HostError) in [try bound(entry)] }[0]
        }
        guard let component = try open(claim.plugin).first(where: { $0.kind == kind && $0.id == id }) else {
            throw HostError(.notFound, "\(kind) \(id)", "is not offered by \(claim.plugin)")
        }
        return component
    }

    /// The same as the contract's struct, for calls into it.
    package func component(kind: String, id: String) throws(HostError) -> mt_component {
        try find(kind: kind, id: id).raw
    }

    /// The ids of a kind's components, each once, in the order of the manifests.
    package func componentIDs(kind: String) -> [String] {
        var seen: Set<String> = []
        return claims(kind: kind).map(\.id).filter { seen.insert($0).inserted }
    }

    /// All components of a kind, higher priority first. Plugins that fail are reported and left out.
    package func components(kind: String, _ problem: (HostError) -> Void) -> [Component] {
        var found: [Component] = []
        for claim in claims(kind: kind) {
            do throws(HostError) {
                if try self.claim(kind: kind, id: claim.id).plugin != claim.plugin { continue }
                found.append(try find(kind: kind, id: claim.id))
            } catch {
                problem(error)
            }
        }
        return found.enumerated().sorted { ($1.element.priority, $0.offset) < ($0.element.priority, $1.offset) }.map(
            \.element)
    }

    private func claim(kind: String, id: String) throws(HostError) -> Claim {
        let named = claims(kind: kind).filter { $0.id == id }
        switch named.count {
        case 1: return named[0]
        case 0:
            if let hidden = plugins.first(where: {
                !$0.isUsable && $0.manifest.provides.contains { $0.kind == kind && $0.id == id }
            }) {
                throw hidden.problem
                    ?? HostError(
                        .notFound, "\(kind) \(id)", "its plugin \(hidden.manifest.id) is disabled",
                        fix:
                            "set plugins.\(hidden.manifest.id).enabled to true in \(installation.path ?? "plugins.json")"
                    )
            }
            let known = claims(kind: kind).map(\.id).sorted()
            throw HostError(
                .notFound, "\(kind) \(id)",
                known.isEmpty
                    ? "no plugin of this kind is installed"
                    : "is not installed; installed are \(known.joined(separator: ", "))",
                fix: nearest(id, in: known).map { "did you mean \($0)?" } ?? "martlet plugin list shows what is there")
        default:
            if let preferred = installation.preferences[kind]?[id],
                let claim = named.first(where: { $0.plugin == preferred })
            {
                return claim
            }
            throw HostError(
                .conflict, "\(kind) \(id)", "is claimed by \(named.map(\.plugin).joined(separator: " and "))",
                fix: "set preferences.\(kind).\(id) to one of them in \(installation.path ?? "plugins.json")")
        }
    }

    /// Opens a plugin, or gives the outcome of the first attempt.
    @discardableResult
    func open(_ id: String) throws(HostError) -> [Component] {
        try once(id) { () throws(HostError) in try load(id).components }
    }

    /// Runs `make` the first time that `key` is asked for; no lock is held meanwhile.
    private func once(_ key: String, _ make: () throws(HostError) -> [Component]) throws(HostError) -> [Component] {
        if let outcome = try state.begin(key) { return try outcome.get() }
        let outcome = Result { () throws(HostError) in try make() }
        state.finish(key, outcome)
        return try outcome.get()
    }

    private func bound(_ entry: ForeignEntry) throws(HostError) -> Component {
        guard let bind else { throw HostError(.notFound, entry.plugin, "this program calls no foreign functions") }
        let library = try installation.library(of: entry)
        try installation.policy.check(entry, library: library)
        return try bind(entry, library)
    }

    /// The installed plugin `id`.
    package func record(_ id: String) throws(HostError) -> Record {
        if let record = plugins.first(where: { $0.manifest.id == id }) { return record }
        throw HostError(
            .notFound, id, "no such plugin is installed",
            fix: nearest(id, in: plugins.map(\.manifest.id)).map { "did you mean \($0)?" }
                ?? "martlet plugin list shows what is there")
    }

    /// Opens the plugin `id` and gives its components.
    package func load(plugin id: String) throws(HostError) -> [Component] { try open(id) }

    private func load(_ id: String) throws(HostError) -> LoadedPlugin {
        let record = try self.record(id)
        if let problem = record.problem { throw problem }
        guard record.isEnabled else {
            throw HostError(
                .policy, id, "the plugin is disabled", fix: "set plugins.\(id).enabled to true in plugins.json")
        }
        let library = try installation.library(of: record.manifest)
        try installation.policy.check(library: library, of: record.manifest)
        return try OpeningWatch.during(id) { () throws(HostError) in
            try LoadedPlugin(record.manifest, library: library, host: services.handle, machine: machine)
        }
    }
}

/// The outcomes of opening, once each; a second thread waits, and a plugin that asks for itself is told so.
private final class OpenState: @unchecked Sendable {
    private enum Entry {
        case opening(pthread_t)
        case done(Result<[Component], HostError>)
    }
    private var entries: [String: Entry] = [:]
    private let monitor = Monitor()

    /// The known outcome, or nil when the caller is to open the plugin and call `finish`.
    func begin(_ id: String) throws(HostError) -> Result<[Component], HostError>? {
        monitor.lock()
        defer { monitor.unlock() }
        while true {
            switch entries[id] {
            case nil:
                entries[id] = .opening(pthread_self())
                return nil
            case .done(let outcome):
                return outcome
            case .opening(let thread):
                if pthread_equal(thread, pthread_self()) != 0 {
                    throw HostError(.initialization, id, "asks for a component of its own while it is being opened")
                }
                monitor.wait()
            }
        }
    }

    func finish(_ id: String, _ outcome: Result<[Component], HostError>) {
        monitor.lock()
        entries[id] = .done(outcome)
        monitor.wake()
        monitor.unlock()
    }
}
