import Files
import Glibc
internal import PluginAPI
internal import PluginKit

/// A plugin's library on disk: what can be seen of it before it is opened, and its opening.
enum Library {
    /// Checks that the file is a shared library for this machine, so that the loader's refusals need not be guessed at.
    static func check(_ path: String) throws(HostError) {
        let file: MappedFile
        do {
            file = try MappedFile(path)
        } catch {
            throw HostError(.library, "cannot be read: \(error.description)", at: path)
        }
        let bytes = file.bytes
        guard bytes.count >= 64, bytes[0] == 0x7F, bytes[1] == 0x45, bytes[2] == 0x4C, bytes[3] == 0x46 else {
            throw HostError(.library, "is no ELF shared library; build the plugin as one (cc -shared -fPIC)", at: path)
        }
        let machine = bytes.loadUnaligned(fromByteOffset: 18, as: UInt16.self)
        #if arch(x86_64)
            let (own, name): (UInt16, String) = (62, "x86_64")
        #else
            let (own, name): (UInt16, String) = (183, "aarch64")
        #endif
        guard bytes[4] == 2, machine == own else {
            let found = machine == 62 ? "x86_64" : machine == 183 ? "aarch64" : "machine \(machine)"
            throw HostError(.library, "is built for \(found), this machine is \(name); build or download it for \(name)", at: path)
        }
        let sections = bytes.loadUnaligned(fromByteOffset: 40, as: UInt64.self)
        let entry = UInt64(bytes.loadUnaligned(fromByteOffset: 58, as: UInt16.self))
        let count = UInt64(bytes.loadUnaligned(fromByteOffset: 60, as: UInt16.self))
        guard sections <= UInt64(bytes.count), entry * count <= UInt64(bytes.count) - sections else {
            throw HostError(.library, "is cut short: its section table ends beyond its \(bytes.count) bytes; copy it again", at: path)
        }
    }

    /// Opens the library and asks its entry for the descriptor.
    static func open(_ path: String, host: UnsafePointer<mt_host>) throws(HostError) -> UnsafePointer<mt_plugin> {
        try check(path)
        guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) else {
            throw HostError(.library, "cannot be loaded: \(String(cString: dlerror())); install what it needs", at: path)
        }
        guard let symbol = dlsym(handle, MT_PLUGIN_ENTRY_SYMBOL) else {
            throw HostError(.library, "exports no \(MT_PLUGIN_ENTRY_SYMBOL); a plugin must export it", at: path)
        }
        typealias Entry = @convention(c) (UnsafePointer<mt_host>?, UnsafeMutablePointer<mt_error>?) -> UnsafePointer<mt_plugin>?
        let entry = unsafeBitCast(symbol, to: Entry.self)
        var error = mt_error()
        error.struct_size = UInt32(MemoryLayout<mt_error>.size)
        guard let plugin = entry(host, &error) else {
            throw HostError(.descriptor, "its entry returned NULL: \(error.failure(error.code).description)", at: path)
        }
        return plugin
    }
}
