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
    /// A function of a plain library that plugins.json offers.
    package struct ForeignRecord: Sendable {
        package let entry: ForeignEntry
        package let isEnabled: Bool
        package let problem: HostError?
    }
    /// A component as its manifest claims it.
    package struct Claim: Sendable {
        package let plugin: String
        package let kind: String
        package let id: String
        package let summary: String
        fileprivate var priority = 0
    }

    package let installation: Installation
    package let services: Services
    /// In the order in which they were found.
    package let plugins: [Record]
    /// In the order of plugins.json.
    package let foreign: [ForeignRecord]
    /// Everything that keeps something from being used, known without opening any plugin.
    package var problems: [HostError] {
        installation.problems + plugins.compactMap(\.problem) + foreign.compactMap(\.problem) + conflicts + misspelt
    }
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
                    Claim(
                        plugin: record.manifest.id, kind: claim.kind, id: claim.id, summary: claim.summary,
                        priority: claim.priority))
            }
        }
        foreign = installation.foreign.map { entry in
            var problem: HostError?
            do throws(HostError) {
                try installation.policy.check(id: entry.plugin)
                try installation.policy.checkPlace(try installation.library(of: entry), of: entry.plugin)
            } catch {
                problem = error
            }
            let isEnabled = installation.entries[entry.plugin]?.isEnabled ?? true
            return ForeignRecord(entry: entry, isEnabled: isEnabled, problem: problem)
        }
        for record in foreign where record.isEnabled && record.problem == nil {
            let entry = record.entry
            claims[entry.kind, default: []].append(
                Claim(plugin: entry.plugin, kind: entry.kind, id: entry.id, summary: entry.summary))
        }
        // Higher priority first; of the same, in the order in which they were found.
        self.claims = claims.mapValues { claims in
            claims.enumerated().sorted {
                ($1.element.priority, $0.offset) < ($0.element.priority, $1.offset)
            }.map(\.element)
        }
        services.attach(self)
    }

    /// The usable components of a kind, as claimed, higher priority first.
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

    /// The ids of a kind's components, each once, higher priority first.
    package func componentIDs(kind: String) -> [String] {
        var seen: Set<String> = []
        return claims(kind: kind).map(\.id).filter { seen.insert($0).inserted }
    }

    private func claim(kind: String, id: String) throws(HostError) -> Claim {
        let named = claims(kind: kind).filter { $0.id == id }
        switch named.count {
        case 1: return named[0]
        case 0:
            func hidden(_ problem: HostError?, _ plugin: String) -> HostError {
                problem
                    ?? HostError(
                        .notFound, "\(kind) \(id)", "its plugin \(plugin) is disabled",
                        fix: "set plugins.\(plugin).enabled to true in \(installation.path ?? "plugins.json")")
            }
            if let record = plugins.first(where: {
                !$0.isUsable && $0.manifest.provides.contains { $0.kind == kind && $0.id == id }
            }) {
                throw hidden(record.problem, record.manifest.id)
            }
            if let record = foreign.first(where: { $0.entry.kind == kind && $0.entry.id == id }) {
                throw hidden(record.problem, record.entry.plugin)
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
            throw conflict(named)
        }
    }

    /// Several plugins claim one component, and no preference chooses.
    private func conflict(_ claims: [Claim]) -> HostError {
        let (kind, id) = (claims[0].kind, claims[0].id)
        let place = installation.path ?? "plugins.json"
        let choices = claims.map(\.plugin).joined(separator: " and ")
        guard let preferred = installation.preferences[kind]?[id] else {
            return HostError(
                .conflict, "\(kind) \(id)", "is claimed by \(choices)",
                fix: "set preferences.\(kind).\(id) to one of them in \(place)")
        }
        return HostError(
            .conflict, "\(kind) \(id)",
            "is claimed by \(choices), and preferences names \(preferred), which does not offer it",
            fix: "set preferences.\(kind).\(id) to one of them in \(place)")
    }

    private var conflicts: [HostError] {
        claims.keys.sorted().flatMap { kind in
            Dictionary(grouping: claims(kind: kind), by: \.id).sorted { $0.key < $1.key }.compactMap { id, claims in
                let preferred = installation.preferences[kind]?[id]
                return claims.count > 1 && !claims.contains { $0.plugin == preferred } ? conflict(claims) : nil
            }
        }
    }

    /// Ids in plugins.json that nothing has, where something has one that is nearly the same: a policy may speak of what is
    /// not installed here, and a slip of the pen must not make it speak of nothing.
    private var misspelt: [HostError] {
        let known = plugins.map(\.manifest.id) + foreign.map(\.entry.plugin)
        let policy = installation.policy
        var named =
            installation.entries.keys.map { ("plugins.\($0)", $0) } + (policy.allow ?? []).map { ("policy.allow", $0) }
        named += policy.deny.map { ("policy.deny", $0) } + policy.digests.keys.map { ("policy.sha256", $0) }
        named += installation.preferences.flatMap { kind, choices in
            choices.map { ("preferences.\(kind).\($0.key)", $0.value) }
        }
        return named.sorted { $0 < $1 }.compactMap { field, id in
            guard !known.contains(id), let near = nearest(id, in: known) else { return nil }
            return HostError(
                .installation, installation.path ?? "plugins.json", "\(field) names \(id), which is not installed",
                fix: "did you mean \(near)?")
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
        return try OpeningWatch.during(entry.plugin) { () throws(HostError) in try bind(entry, library) }
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
