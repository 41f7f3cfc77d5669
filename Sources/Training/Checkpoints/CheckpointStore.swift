import Files
internal import Host
internal import JSON

/// The checkpoints of a run: directories `checkpoint-N` in its output directory, N the number of steps done.
///
/// A checkpoint gets its name when everything in it is on disk (`ReplacementDirectory`), and `digests.json` in it lists
/// the SHA-256 of every other file, so that one that was damaged later is found before it is used.
package struct CheckpointStore: Sendable {
    package let directory: String
    static let digestFile = "digests.json"

    package init(_ directory: String) { self.directory = directory }

    package func path(_ step: Int) -> String { System.join(directory, "checkpoint-\(step)") }

    /// The steps of which there is a checkpoint, lowest first.
    package func steps() throws -> [Int] {
        guard System.kind(of: directory) == .directory else { return [] }
        return try System.list(directory).compactMap(Self.step).sorted()
    }

    /// The step that a checkpoint's name says.
    static func step(_ name: String) -> Int? {
        guard name.hasPrefix("checkpoint-"), let step = Int(name.dropFirst(11)), step >= 0, !name.hasSuffix("+") else {
            return nil
        }
        return step
    }

    /// The newest checkpoint whose files are as they were written, and what is wrong with those newer than it.
    package func newestComplete() throws -> (path: String?, problems: [String]) {
        var problems: [String] = []
        for step in try steps().reversed() {
            do {
                try Self.verify(path(step))
                return (path(step), problems)
            } catch {
                problems.append(String(describing: error))
            }
        }
        return (nil, problems)
    }

    /// Removes the oldest checkpoints until `limit` are left; the newest and `best` always stay.
    /// - Returns: What could not be removed, as messages: that must not end a run.
    func prune(limit: Int?, best: Int?) -> [String] {
        guard let limit, let steps = try? steps(), let newest = steps.last else { return [] }
        let kept: Set<Int> = [newest, best ?? newest]
        var surplus = steps.count - max(limit, kept.count)
        var problems: [String] = []
        for step in steps where surplus > 0 && !kept.contains(step) {
            do {
                try ReplacementDirectory.discard(path(step))
                surplus -= 1
            } catch {
                problems.append("\(path(step)) could not be removed: \(error)")
            }
        }
        return problems
    }

    /// Moves checkpoints that a new run must not mix with its own into `previous-K`; nil when there were none.
    package func setAside(above step: Int = -1) throws -> String? {
        let stale = try steps().filter { $0 > step }
        guard !stale.isEmpty else { return nil }
        var number = 1
        while System.kind(of: System.join(directory, "previous-\(number)")) != nil { number += 1 }
        let place = System.join(directory, "previous-\(number)")
        try System.makeDirectories(place)
        for step in stale { try System.move(path(step), to: System.join(place, "checkpoint-\(step)")) }
        return place
    }

    // MARK: Digests

    /// Writes the list of a finished checkpoint's files.
    static func seal(_ directory: String) throws {
        var files = JSONObject()
        for name in try System.list(directory) where name != digestFile {
            let path = System.join(directory, name)
            files[name] = [
                "size": .int(Int64(System.size(of: path) ?? 0)), "sha256": .string(try Digest.sha256(file: path)),
            ]
        }
        let list: JSON = ["schema": 1, "files": .object(files)]
        try ReplacementFile.write(Array((list.text(.pretty) + "\n").utf8), to: System.join(directory, digestFile))
    }

    /// Checks a checkpoint's files against its list.
    static func verify(_ directory: String) throws {
        let list = try JSON(file: System.join(directory, digestFile))
        guard let files = list["files"]?.object, !files.isEmpty else {
            throw TrainingError(
                .invalid, "lists no files; this checkpoint was not finished", at: System.join(directory, digestFile))
        }
        for (name, entry) in files {
            try FileName.check(name, in: System.join(directory, digestFile), "a file's name")
            let path = System.join(directory, name)
            guard let size = System.size(of: path) else {
                throw TrainingError(.notFound, "is missing; \(digestFile) lists it", at: path)
            }
            guard size == entry["size"]?.int, try Digest.sha256(file: path) == entry["sha256"]?.string else {
                throw TrainingError(
                    .invalid,
                    "has changed since it was written (\(size) bytes, \(digestFile) says \(entry["size"]?.int ?? 0)); "
                        + "take an older checkpoint", at: path)
            }
        }
    }
}

extension JSON {
    /// A file's document.
    package init(file path: String) throws {
        let file = try MappedFile(path)
        do throws(JSONError) {
            self = try JSON(parsing: file.contents)
        } catch {
            throw TrainingError(.invalid, error.description, at: path)
        }
    }

    /// Writes the document as a file of its own, flushed and renamed.
    package func write(to path: String) throws(FileError) {
        try ReplacementFile.write(Array((text(.pretty) + "\n").utf8), to: path)
    }
}
