import Glibc
import JSON
import PluginKit

/// A directory that goes away with this object.
final class Scratch {
    let path: String
    init() {
        var template = Array("/tmp/martlet-datasets-XXXXXX".utf8CString)
        path = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp"
    }
    deinit { system("rm -r '\(path)'") }

    /// Writes a file and gives its path.
    func file(_ name: String, _ bytes: some Sequence<UInt8>) -> String {
        let target = path + "/" + name
        let bytes = Array(bytes)
        if let handle = fopen(target, "w") {
            fwrite(bytes, 1, bytes.count, handle)
            fclose(handle)
        }
        return target
    }

    func file(_ name: String, _ text: String) -> String { file(name, text.utf8) }

    func shell(_ command: String) -> Int32 { system("cd '\(path)' && \(command)") }
}

/// What a reading gave: rows as JSON, and damaged rows.
struct Reading: Equatable {
    var rows: [JSON] = []
    var damaged: [String] = []
}

func read(_ format: any DatasetFormat) throws -> Reading {
    var out = Reading()
    var row: [UInt8] = []
    while true {
        do {
            guard try format.next(&row) else { return out }
            out.rows.append(try JSON(parsing: row))
        } catch let error as DamagedRow {
            out.damaged.append(error.description)
        }
    }
}

/// The bytes of a file, or nil where there is none.
func contents(_ path: String) -> [UInt8]? {
    guard let handle = fopen(path, "r") else { return nil }
    defer { fclose(handle) }
    var out: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = fread(&buffer, 1, buffer.count, handle)
        if count == 0 { return out }
        out.append(contentsOf: buffer[..<count])
    }
}
