import CSQLite
import Files
import Glibc

/// What the cache holds, in one SQLite file that all processes share.
final class CacheIndex {
    private var database: OpaquePointer?
    private let path: String

    init(_ path: String) throws(HubError) {
        self.path = path
        do throws(HubError) {
            try open()
        } catch {
            // A damaged index costs nothing but a look at the files: it is set aside and made anew.
            sqlite3_close(database)
            database = nil
            guard rename(path, path + ".damaged") == 0 else { throw error }
            try open()
        }
    }

    deinit { sqlite3_close(database) }

    private func open() throws(HubError) {
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX
        guard sqlite3_open_v2(path, &database, flags, nil) == SQLITE_OK else { throw failure("opening") }
        sqlite3_busy_timeout(database, 20_000)
        try run(
            """
            PRAGMA journal_mode = WAL;
            CREATE TABLE IF NOT EXISTS snapshots(hub TEXT, kind TEXT, id TEXT, revision TEXT, patterns TEXT, commit_id TEXT,
                directory TEXT, updated INTEGER, PRIMARY KEY(hub, kind, id, revision, patterns));
            CREATE TABLE IF NOT EXISTS files(directory TEXT, name TEXT, size INTEGER, digest TEXT,
                PRIMARY KEY(directory, name));
            """)
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

    private func run(_ sql: String) throws(HubError) {
        guard sqlite3_exec(database, sql, nil, nil, nil) == SQLITE_OK else { throw failure("preparing") }
    }

    private func rows(_ sql: String, _ values: [String]) throws(HubError) -> [[String]] {
        var statement: OpaquePointer?
        guard sqlite3_prepare_v2(database, sql, -1, &statement, nil) == SQLITE_OK else { throw failure("preparing") }
        defer { sqlite3_finalize(statement) }
        for (i, value) in values.enumerated() { csqlite_bind_text(statement, Int32(i + 1), value) }
        var out: [[String]] = []
        while true {
            switch sqlite3_step(statement) {
            case SQLITE_ROW:
                out.append(
                    (0..<sqlite3_column_count(statement)).map { i in
                        sqlite3_column_text(statement, i).map { String(cString: $0) } ?? ""
                    })
            case SQLITE_DONE: return out
            default: throw failure("reading or writing")
            }
        }
    }

    private func failure(_ what: String) -> HubError {
        let text = sqlite3_errmsg(database).map { String(cString: $0) } ?? "no message"
        return HubError(.storage, "\(what) the cache's index: \(text)", at: path)
    }
}
