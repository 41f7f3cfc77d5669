import CLinux
import Files
import Glibc
import Host
import PluginAPI
import PluginKit

extension Case {
    /// From the manifest to the components, in the order of a load.
    static let loading: [Case] = [
        Case(name: "manifest", claim: "plugin.json is complete and fits this machine", needs: []) { subject in
            try subject.manifest().checkFit()
        },
        Case(name: "library", claim: "the library is a whole shared library for this machine", needs: ["manifest"]) {
            subject in
            try ELFHeader.check(
                try subject.libraryPath(), plugin: try subject.manifest().id, architecture: Machine.current.architecture
            )
        },
        Case(name: "exports", claim: "the library exports its entry and nothing else", needs: ["library"]) { subject in
            // The first five are put there by older linkers.
            let usual: Set = ["_init", "_fini", "_edata", "_end", "__bss_start", MT_PLUGIN_ENTRY_SYMBOL]
            let others = try ELFHeader.exports(try subject.libraryPath()).map(\.name).filter { !usual.contains($0) }
            if !others.isEmpty {
                throw Breach(
                    "it also exports \(others.prefix(5).joined(separator: ", ")); link with the contract's exports.map")
            }
        },
        Case(name: "link", claim: "the library and all that it needs can be linked", needs: ["library"]) { subject in
            _ = try Library(path: try subject.libraryPath(), plugin: try subject.manifest().id)
        },
        Case(name: "entry", claim: "the entry gives a descriptor, or a reason", needs: ["link"]) { subject in
            _ = try subject.descriptor()
        },
        Case(name: "threads", claim: "linking and the entry start no thread", needs: ["entry"]) { subject in
            let before = try System.list("/proc/self/task").count
            _ = try subject.descriptor()
            let after = try System.list("/proc/self/task").count
            if after > before { throw Breach("\(after - before) threads were started") }
        },
        Case(name: "descriptor", claim: "the descriptor agrees with the manifest", needs: ["entry"]) { subject in
            _ = try LoadedPlugin.checked(try subject.descriptor(), try subject.manifest(), .current)
        },
        Case(name: "entry-again", claim: "a second call of the entry gives as good a descriptor", needs: ["descriptor"])
        { subject in
            _ = try subject.descriptor()
            _ = try LoadedPlugin.checked(try subject.descriptor(), try subject.manifest(), .current)
        },
        Case(name: "init", claim: "init succeeds", needs: ["descriptor"]) { subject in _ = try subject.initialized() },
        Case(name: "components", claim: "the components are well formed and those of the manifest", needs: ["init"]) {
            subject in
            _ = try LoadedPlugin.enumerate(try subject.initialized(), try subject.manifest())
        },
    ]
}
