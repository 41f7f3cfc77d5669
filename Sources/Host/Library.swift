import CLinux
import Glibc
import PluginAPI
import PluginKit

/// An opened plugin library. It stays mapped for the life of the process: code and tables of it may be in use anywhere.
package struct Library {
    package let path: String
    private let handle: UnsafeMutableRawPointer

    /// Links the library at once, keeping its symbols to itself.
    package init(path: String, plugin: String) throws(HostError) {
        guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | martlet_rtld_nodelete) else {
            let cause = dlerror().map { String(cString: $0) } ?? "no reason given"
            let missing = cause.contains("cannot open shared object file")
            throw HostError(
                .library, plugin, "\(path) cannot be linked: \(cause)",
                fix: missing ? "install the library that is named there" : "rebuild the plugin")
        }
        self.path = path
        self.handle = handle
        CrashNames.add(path, plugin: plugin)
    }

    package func symbol(_ name: String) -> UnsafeMutableRawPointer? { dlsym(handle, name) }

    /// Asks the entry for the descriptor.
    package func descriptor(host: UnsafePointer<mt_host>, plugin: String) throws(HostError) -> UnsafePointer<mt_plugin>
    {
        guard let symbol = symbol(MT_PLUGIN_ENTRY_SYMBOL) else {
            throw HostError(
                .entry, plugin, "\(path) does not export \(MT_PLUGIN_ENTRY_SYMBOL)",
                fix: "define it with MT_EXPORT, and keep it in the version script")
        }
        let entry = unsafeBitCast(symbol, to: mt_plugin_entry.self)
        var error = mt_error()
        error.struct_size = UInt32(MemoryLayout<mt_error>.size)
        guard let descriptor = entry(host, &error) else {
            let failure = error.failure(MT_ERROR)
            let said = withUnsafeBytes(of: error.message) { $0.first != 0 }
            throw HostError(
                .entry, plugin, said ? "its entry refused: \(failure)" : "its entry returned NULL and gave no message",
                fix: said ? "" : "the entry must fill the error when it returns NULL")
        }
        return descriptor
    }
}
