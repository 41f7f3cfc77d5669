import Files
import Glibc

/// Turns a path, a directory or a pattern into the files that hold rows.
package enum DatasetFiles {
    /// Suffixes of files that are taken from a directory.
    private static let suffixes = [".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".txt"]
    private static let compressions = ["", ".gz", ".zst"]
    /// Files of a data set's directory that describe it.
    private static let ignored = ["dataset_info.json", "dataset_infos.json", "config.json", "state.json"]
    /// Directories inside directories that are looked into.
    private static let maximumDepth = 4

    /// The files, in the order of their names.
    /// - Throws: `DataError` when nothing is there.
    package static func find(_ path: String, subsets: [String] = []) throws -> [String] {
        switch System.kind(of: path) {
        case .file: return [path]
        case .directory:
            let wanted = subsets.filter { $0 != "all" && $0 != "default" }
            let roots = wanted.isEmpty ? [path] : wanted.map { System.join(path, $0) }
            let files = try roots.flatMap { try list($0, depth: 0) }
            if files.isEmpty {
                throw DataError(
                    path, found: "no file of rows",
                    wanted: "files that end in \(suffixes.joined(separator: ", ")), or with .gz or .zst behind")
            }
            return files
        case .other: throw DataError(path, found: "a device or pipe", wanted: "a file, directory or pattern")
        case nil: break
        }
        let files = matches(path)
        if files.isEmpty {
            throw DataError(path, found: "nothing", wanted: "a file, directory or pattern such as data/*.jsonl")
        }
        return files
    }

    private static func list(_ directory: String, depth: Int) throws -> [String] {
        guard depth < maximumDepth else { return [] }
        return try System.list(directory).flatMap { name -> [String] in
            let path = System.join(directory, name)
            if name.hasPrefix(".") || ignored.contains(name) { return [] }
            switch System.kind(of: path) {
            case .directory: return try list(path, depth: depth + 1)
            case .file: return isRows(name) ? [path] : []
            default: return []
            }
        }
    }

    private static func isRows(_ name: String) -> Bool {
        let name = name.lowercased()
        return suffixes.contains { suffix in compressions.contains { name.hasSuffix(suffix + $0) } }
    }

    private static func matches(_ pattern: String) -> [String] {
        var found = glob_t()
        defer { globfree(&found) }
        guard glob(pattern, 0, nil, &found) == 0 else { return [] }
        return (0..<Int(found.gl_pathc)).compactMap { index in
            found.gl_pathv[index].map { String(cString: $0) }
        }.filter { System.kind(of: $0) == .file }
    }
}
