import PluginAPI
import PluginKit

/// A plugin whose code runs in this process. Made in three steps; a failure in any leaves nothing registered.
package struct LoadedPlugin {
    package let manifest: Manifest
    package let components: [Component]

    /// The most components that one plugin may offer.
    private static let componentLimit = 4096

    /// - Parameters:
    ///   - library: Path of the library, already allowed by the policy.
    ///   - host: What the plugin is given.
    package init(_ manifest: Manifest, library path: String, host: UnsafePointer<mt_host>, machine: Machine)
        throws(HostError)
    {
        try manifest.checkFit(machine)
        try ELFHeader.check(path, plugin: manifest.id, architecture: machine.architecture)
        let library = try Library(path: path, plugin: manifest.id)
        let descriptor = try Self.checked(try library.descriptor(host: host, plugin: manifest.id), manifest, machine)
        try Self.initialize(descriptor, host, manifest.id)
        do throws(HostError) {
            components = try Self.enumerate(descriptor, manifest)
            // Rooms above call what a table holds without asking again.
            for component in components {
                guard let fault = component.tableFault else { continue }
                throw HostError(
                    .initialization, manifest.id, "its \(component.kind) \(component.id) cannot be called: \(fault)",
                    fix:
                        "fill the table as the kind's header says; martlet plugin check \(manifest.directory) tells more"
                )
            }
        } catch {
            descriptor.`deinit`?(descriptor.ctx)
            throw error
        }
        self.manifest = manifest
    }

    /// The part of mt_plugin that every version has.
    private static let descriptorSize = MemoryLayout<mt_plugin>.size

    /// Copies the descriptor and holds it against the manifest.
    package static func checked(
        _ pointer: UnsafePointer<mt_plugin>, _ manifest: Manifest, _ machine: Machine
    ) throws(HostError) -> mt_plugin {
        let size = UnsafeRawPointer(pointer).load(as: UInt32.self)
        guard Int(size) >= descriptorSize else {
            throw HostError(
                .abi, manifest.id, "its descriptor's struct_size is \(size), wanted at least \(descriptorSize)",
                fix: "set struct_size = sizeof(mt_plugin)")
        }
        let descriptor = pointer.pointee
        func differ(_ field: String, _ found: String, _ wanted: String) -> HostError {
            HostError(
                .disagreement, manifest.id, "its descriptor says \(field) \(found), its manifest \(wanted)",
                fix: "make plugin.json and the descriptor agree")
        }
        guard Int(descriptor.abi_major) == Machine.abiMajor else {
            throw HostError(
                .abi, manifest.id,
                "its descriptor needs contract \(descriptor.abi_major), this host has \(Machine.abiMajor)",
                fix: "build it against this host's headers")
        }
        guard Int(descriptor.abi_minor) <= machine.abiMinor else {
            throw HostError(
                .abi, manifest.id,
                "its descriptor needs minor \(descriptor.abi_minor), this host has \(machine.abiMinor)",
                fix: "update Martlet")
        }
        for (text, name, wanted) in [
            (descriptor.id, "id", manifest.id), (descriptor.version, "version", manifest.version),
        ] {
            guard text.data != nil, 0...4096 ~= text.size, let found = String(validating: text.bytes, as: UTF8.self)
            else {
                throw differ(name, "nothing readable", "\"\(wanted)\"")
            }
            guard found == wanted else { throw differ(name, "\"\(found)\"", "\"\(wanted)\"") }
        }
        guard Int(descriptor.abi_minor) == manifest.abiMinor else {
            throw differ("abi minor", "\(descriptor.abi_minor)", "\(manifest.abiMinor)")
        }
        guard descriptor.component_count != nil, descriptor.component != nil else {
            throw HostError(
                .abi, manifest.id, "its descriptor lacks component_count or component",
                fix: "both are required functions")
        }
        return descriptor
    }

    package static func initialize(_ descriptor: mt_plugin, _ host: UnsafePointer<mt_host>, _ id: String)
        throws(HostError)
    {
        guard let initialize = descriptor.`init` else { return }
        var error = mt_error()
        error.struct_size = UInt32(MemoryLayout<mt_error>.size)
        let status = initialize(descriptor.ctx, host, &error)
        if status != MT_OK { throw HostError(.initialization, id, "its init failed: \(error.failure(status))") }
    }

    /// All components, held against the manifest's claims: each claim kept, and nothing beside them.
    package static func enumerate(_ descriptor: mt_plugin, _ manifest: Manifest) throws(HostError) -> [Component] {
        guard let count = descriptor.component_count?(descriptor.ctx), let describe = descriptor.component else {
            return []
        }
        guard 0...componentLimit ~= count else {  // size_t comes as Int, so a huge one is negative
            throw HostError(
                .initialization, manifest.id,
                "it reports \(UInt(bitPattern: count)) components; at most \(componentLimit) are taken")
        }
        var components: [Component] = []
        for index in 0..<count {
            var raw = mt_component()
            raw.struct_size = UInt32(MemoryLayout<mt_component>.size)
            var error = mt_error()
            error.struct_size = UInt32(MemoryLayout<mt_error>.size)
            let status = describe(descriptor.ctx, index, &raw, &error)
            if status != MT_OK {
                throw HostError(
                    .initialization, manifest.id, "component \(index) of \(count) failed: \(error.failure(status))")
            }
            components.append(try Component(raw, plugin: manifest.id, index: index))
        }
        for (component, claim) in components.flatMap({ c in
            manifest.provides.filter { ($0.kind, $0.id) == (c.kind, c.id) }.map { (c, $0) }
        })
        where component.priority != claim.priority {
            throw HostError(
                .disagreement, manifest.id,
                "its \(claim.kind) \(claim.id) has priority \(component.priority), and its manifest says \(claim.priority)",
                fix: "make priority in plugin.json that of mt_component")
        }
        let offered = Set(components.map { "\($0.kind) \($0.id)" })
        let claimed = Set(manifest.provides.map { "\($0.kind) \($0.id)" })
        func disagreement(_ message: String) -> HostError {
            HostError(
                .disagreement, manifest.id, message, fix: "make provides in plugin.json list what the plugin offers")
        }
        if offered.count < components.count { throw disagreement("it offers one component twice") }
        if let lacking = claimed.subtracting(offered).min() {
            throw disagreement("its manifest claims \(lacking), and it does not offer it")
        }
        if let extra = offered.subtracting(claimed).min() {
            throw disagreement("it offers \(extra), and its manifest does not claim it")
        }
        return components
    }
}
