package import PluginAPI
internal import PluginKit

/// The components of all installed plugins. Known from manifests alone; a plugin is opened when one of its components
/// is first used.
///
/// Opening happens on one thread, as the contract's [main] tag says.
package final class Registry: @unchecked Sendable {
    package let installation: Installation
    private var opened: [String: [mt_component]] = [:]
    private var failures: [String: HostError] = [:]

    package init(_ installation: Installation) { self.installation = installation }

    /// The ids of a kind's components: preferred ones first, then in the order of the manifests.
    package func componentIDs(kind: String) -> [String] {
        var ids: [String] = []
        for manifest in installation.manifests {
            for component in manifest.provides where component.kind == kind && !ids.contains(component.id) {
                ids.append(component.id)
            }
        }
        let preferred = (installation.preferences[kind] ?? []).filter(ids.contains)
        return preferred + ids.filter { !preferred.contains($0) }
    }

    /// The component `id` of `kind`, with its plugin opened.
    package func component(kind: String, id: String) throws(HostError) -> mt_component {
        guard
            let manifest = installation.manifests.first(where: { manifest in
                manifest.provides.contains { $0.kind == kind && $0.id == id }
            })
        else {
            let known = componentIDs(kind: kind).joined(separator: ", ")
            throw HostError(
                .notFound, "no installed plugin provides it; installed are: \(known.isEmpty ? "none" : known)",
                at: "\(kind) \"\(id)\"")
        }
        guard let component = try open(manifest).first(where: { $0.kind.string == kind && $0.id.string == id }) else {
            throw HostError(.descriptor, "lists \(kind) \"\(id)\", the plugin does not offer it", at: manifest.path)
        }
        return component
    }

    /// Opens a plugin: library, descriptor, init, components; all of them or none.
    package func open(_ manifest: Manifest) throws(HostError) -> [mt_component] {
        if let known = opened[manifest.id] { return known }
        if let failure = failures[manifest.id] { throw failure }
        do throws(HostError) {
            let components = try load(manifest)
            opened[manifest.id] = components
            return components
        } catch {
            failures[manifest.id] = error
            throw error
        }
    }

    private func load(_ manifest: Manifest) throws(HostError) -> [mt_component] {
        let path = try installation.libraryPath(manifest)
        guard manifest.abiMajor == Int(MT_ABI_MAJOR) else {
            throw HostError(.abi, "needs ABI \(manifest.abiMajor), this host has \(MT_ABI_MAJOR)", at: manifest.path)
        }
        guard manifest.abiMinor <= Int(MT_ABI_MINOR) else {
            throw HostError(
                .abi, "needs ABI minor \(manifest.abiMinor), this host has \(MT_ABI_MINOR); update martlet", at: manifest.path)
        }
        let plugin = try Library.open(path, host: Services.host)
        let descriptor = plugin.pointee
        func disagree(_ field: String, _ found: String, _ wanted: String) -> HostError {
            HostError(.descriptor, "the library says \(field) \(found), its manifest \(wanted)", at: manifest.path)
        }
        guard descriptor.abi_major == UInt16(manifest.abiMajor) else {
            throw disagree("abi major", "\(descriptor.abi_major)", "\(manifest.abiMajor)")
        }
        guard descriptor.id.string == manifest.id else {
            throw disagree("id", "\"\(descriptor.id.string)\"", "\"\(manifest.id)\"")
        }
        guard descriptor.version.string == manifest.version else {
            throw disagree("version", "\"\(descriptor.version.string)\"", "\"\(manifest.version)\"")
        }
        if let initialize = descriptor.`init` {
            try call("init", manifest) { initialize(descriptor.ctx, Services.host, $0) }
        }
        var components: [mt_component] = []
        for i in 0..<(descriptor.component_count?(descriptor.ctx) ?? 0) {
            var component = mt_component()
            component.struct_size = UInt32(MemoryLayout<mt_component>.size)
            guard let describe = descriptor.component else {
                throw HostError(.descriptor, "counts components and describes none", at: path)
            }
            try call("component \(i)", manifest) { describe(descriptor.ctx, i, &component, $0) }
            components.append(component)
        }
        for wanted in manifest.provides
        where !components.contains(where: { $0.kind.string == wanted.kind && $0.id.string == wanted.id }) {
            throw HostError(.descriptor, "its manifest lists \(wanted.kind) \"\(wanted.id)\", the library does not", at: manifest.path)
        }
        return components
    }

    private func call(
        _ what: String, _ manifest: Manifest, _ body: (UnsafeMutablePointer<mt_error>) -> mt_status
    ) throws(HostError) {
        do throws(PluginError) {
            try checked(body)
        } catch {
            throw HostError(.initialization, "\(what) failed: \(error.description)", at: manifest.path)
        }
    }
}
