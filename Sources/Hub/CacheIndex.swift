import Database
import Files
import Glibc

/// What the cache holds, in one SQLite file that all processes share.
final class CacheIndex {
    private let database: Database

    init(_ path: String) throws(HubError) {
        let schema = """
            CREATE TABLE IF NOT EXISTS snapshots(hub TEXT, kind TEXT, id TEXT, revision TEXT, patterns TEXT, commit_id TEXT,
                directory TEXT, updated INTEGER, PRIMARY KEY(hub, kind, id, revision, patterns));
            CREATE TABLE IF NOT EXISTS files(directory TEXT, name TEXT, size INTEGER, digest TEXT,
                PRIMARY KEY(directory, name));
            """
        database = try Self.checked { () throws(DatabaseError) in
            do throws(DatabaseError) {
                return try Database(path, schema: schema)
            } catch {
                // A damaged index costs nothing but a look at the files: it is set aside and made anew.
                guard rename(path, path + ".damaged") == 0 else { throw error }
                return try Database(path, schema: schema)
            }
        }
    }

    private static func checked<Result>(_ body: () throws(DatabaseError) -> Result) throws(HubError) -> Result {
        do throws(DatabaseError) {
            return try body()
        } catch {
            throw HubError(.storage, error.message, at: error.path)
        }
    }

    /// A finished snapshot.
    struct Snapshot {
        let commit: String
        let directory: String
    }

    func snapshot(_ key: [String]) throws(HubError) -> Snapshot? {
        let sql =
            "SELECT commit_id, directory FROM snapshots WHERE hub=? AND kind=? AND id=? AND revision=? AND patterns=?"
        return try rows(sql, key).first.map { Snapshot(commit: $0[0], directory: $0[1]) }
    }

    func record(_ key: [String], commit: String, directory: String) throws(HubError) {
        _ = try rows(
            "INSERT OR REPLACE INTO snapshots VALUES(?,?,?,?,?,?,?,strftime('%s','now'))", key + [commit, directory])
    }

    func record(file name: String, size: Int, digest: String, in directory: String) throws(HubError) {
        _ = try rows("INSERT OR REPLACE INTO files VALUES(?,?,?,?)", [directory, name, String(size), digest])
    }

    /// Size and digest of the files that were checked in `directory`, by name.
    func files(in directory: String) throws(HubError) -> [String: (size: Int, digest: String)] {
        var out: [String: (size: Int, digest: String)] = [:]
        for row in try rows("SELECT name, size, digest FROM files WHERE directory=?", [directory]) {
            out[row[0]] = (Int(row[1]) ?? -1, row[2])
        }
        return out
    }

    private func rows(_ sql: String, _ values: [String]) throws(HubError) -> [[String]] {
        try Self.checked { () throws(DatabaseError) in try database.rows(sql, values) }
    }
}
