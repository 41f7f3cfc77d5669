import Files
import PluginAPI
import PluginKit
import Synchronization

/// Mapped files, and the places where plugins keep theirs.
package enum FileService {
    /// The files that plugins hold mapped, by address. Empty files have none and need no keeping.
    private static let mapped = Mutex<[UInt: MappedFile]>([:])

    private static func keep(_ file: MappedFile) {
        let start = UInt(bitPattern: file.bytes.baseAddress)
        if start != 0 { mapped.withLock { $0[start] = file } }
    }

    private static func release(_ start: UInt) { mapped.withLock { $0[start] = nil } }

    /// Martlet's cache: MARTLET_CACHE, else XDG_CACHE_HOME/martlet, else ~/.cache/martlet.
    package static var cacheDirectory: String {
        if let named = FileSystem.environment("MARTLET_CACHE") { return named }
        if let base = FileSystem.environment("XDG_CACHE_HOME") { return "\(base)/martlet" }
        return "\(FileSystem.environment("HOME") ?? "/tmp")/.cache/martlet"
    }

    static var table: mt_files {
        var table = mt_files()
        table.struct_size = UInt32(MemoryLayout<mt_files>.size)
        table.map = { _, path, out, error in
            guarded(error) {
                do throws(FileError) {
                    let file = try MappedFile(path.string)
                    FileService.keep(file)
                    out?.pointee = mt_bytes(data: file.bytes.baseAddress, size: file.bytes.count)
                } catch {
                    throw PluginError(.io, String(describing: error), at: error.path)
                }
            }
        }
        table.unmap = { _, bytes in
            FileService.release(UInt(bitPattern: bytes.data))
        }
        table.cache_directory = { _, plugin, out, error in
            guarded(error) {
                let id = plugin.string
                guard Schema.TextRule.identifier.holds(id) else {
                    throw PluginError(
                        .invalid, "\"\(id)\" is no plugin id; wanted \(Schema.TextRule.identifier.wanted)")
                }
                let path = "\(FileService.cacheDirectory)/plugins/\(id)"
                do throws(FileError) {
                    try System.makeDirectories(path)
                } catch {
                    throw PluginError(.io, String(describing: error), at: error.path)
                }
                try out.put(path)
            }
        }
        return table
    }
}
