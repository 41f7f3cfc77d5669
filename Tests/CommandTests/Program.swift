import Glibc

/// The product martlet as a person runs it.
enum Program {
    static let root = #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
    static let path = root + "/.build/release/martlet"
    static var isThere: Bool { access(path, X_OK) == 0 }

    struct Outcome {
        let status: Int32
        /// Standard output and standard error.
        let text: String
    }

    /// Runs a shell line in the repository's root, in which `martlet` is the product.
    static func run(_ line: String) -> Outcome {
        let script = "cd '\(root)'; martlet() { '\(path)' \"$@\"; }; \(line)"
        let quoted = script.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''")
        guard let pipe = popen("MARTLET_OFFLINE=1 sh -c '\(quoted)' 2>&1 </dev/null", "r") else {
            return Outcome(status: -1, text: "")
        }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while case let n = fread(&chunk, 1, chunk.count, pipe), n > 0 { bytes += chunk[..<n] }
        let status = pclose(pipe)
        return Outcome(status: status >> 8, text: String(decoding: bytes, as: UTF8.self))
    }
}

/// A directory that goes away with this object.
final class Scratch {
    let path: String
    init() {
        var template = Array("/tmp/martlet-commands-XXXXXX".utf8CString)
        path = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp"
    }
    deinit { system("rm -rf '\(path)'") }

    @discardableResult func file(_ name: String, _ text: String) -> String {
        let target = path + "/" + name
        if let handle = fopen(target, "w") {
            fputs(text, handle)
            fclose(handle)
        }
        return target
    }

    func has(_ name: String) -> Bool { access(path + "/" + name, F_OK) == 0 }
}
