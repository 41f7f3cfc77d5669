import Files
import Glibc
import JSON
import YAML

/// A file that holds flags: `--config train.yaml`, or `martlet train train.yaml`.
///
/// Keys are flags without dashes. A list gives several values, an object is passed on as JSON, null leaves the flag out. What
/// stands under `ENV` becomes environment variables, as in ms-swift's files.
enum ConfigFile {
    /// The words with those of the file before them, so that the command line's own win.
    static func expanded(_ words: [String], takesOperands: Bool) throws -> [String] {
        var words = words
        var files: [String] = []
        if !takesOperands, let first = words.first, isConfig(first) {
            files.append(first)
            words.removeFirst()
        }
        while let at = words.firstIndex(where: { $0 == "--config" || $0.hasPrefix("--config=") }) {
            if words[at] == "--config" {
                guard at + 1 < words.count else { throw UsageError("--config wants a file") }
                files.append(words[at + 1])
                words.removeSubrange(at...at + 1)
            } else {
                files.append(String(words[at].dropFirst("--config=".count)))
                words.remove(at: at)
            }
        }
        return try files.flatMap(flags) + words
    }

    private static func isConfig(_ word: String) -> Bool {
        !word.hasPrefix("-") && [".yaml", ".yml", ".json"].contains { word.hasSuffix($0) }
    }

    private static func flags(_ path: String) throws -> [String] {
        let bytes = try MappedFile(path).contents
        let document: JSON
        do {
            document = path.hasSuffix(".json") ? try JSON(parsing: bytes) : try YAML.parse(bytes)
        } catch {
            throw UsageError("\(path): \(error)")
        }
        guard let members = document.object else {
            throw UsageError(
                "\(path): found \(document.typeName), wanted an object of flags, such as \"lora_rank: 16\"")
        }
        var words: [String] = []
        for (key, value) in members {
            if key == "ENV" || key == "env" {
                for (name, text) in value.object ?? JSONObject() { setenv(name, plain(text), 1) }
            } else if let list = value.array {
                if !list.isEmpty { words += ["--\(key)"] + list.map(plain) }
            } else if value != .null {
                words.append("--\(key)=\(plain(value))")
            }
        }
        return words
    }

    private static func plain(_ value: JSON) -> String { value.string ?? value.text() }
}
