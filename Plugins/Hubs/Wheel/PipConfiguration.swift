import Glibc
import HubSupport

/// The package index that pip is configured with.
enum PipConfiguration {
    /// "index-url" of the section "global", from the file that pip reads last: PIP_CONFIG_FILE, the user's, the
    /// system's (pip's documentation, "Configuration").
    static var indexURL: String? {
        let home = HubText.environment("HOME") ?? ""
        let config = HubText.environment("XDG_CONFIG_HOME") ?? home + "/.config"
        let files = [
            HubText.environment("PIP_CONFIG_FILE"), config + "/pip/pip.conf", home + "/.pip/pip.conf", "/etc/pip.conf",
        ]
        for file in files {
            if let file, let text = read(file), let url = indexURL(in: text) { return url }
        }
        return nil
    }

    static func indexURL(in text: String) -> String? {
        var section = ""
        for line in text.split(whereSeparator: \.isNewline) {
            let line = line.drop(while: \.isWhitespace)
            if line.hasPrefix("[") { section = String(line.dropFirst().prefix { $0 != "]" }) }
            guard section == "global", let equals = line.firstIndex(where: { $0 == "=" || $0 == ":" }) else { continue }
            let key = line[..<equals].filter { !$0.isWhitespace }
            if key == "index-url" || key == "index_url" {
                let value = line[line.index(after: equals)...].filter { !$0.isWhitespace }
                return value.isEmpty ? nil : value
            }
        }
        return nil
    }

    private static func read(_ path: String) -> String? {
        guard let handle = fopen(path, "re") else { return nil }
        defer { fclose(handle) }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = fread(&buffer, 1, buffer.count, handle)
        return String(decoding: buffer[..<count], as: UTF8.self)
    }
}
