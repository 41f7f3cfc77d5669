import CSQLite
import Glibc

/// What SQLite said, and where.
package struct DatabaseError: Error, Sendable, CustomStringConvertible {
    package let message: String
    package let path: String
    package var description: String { "\(path): \(message)" }
}

/// A SQLite file that several processes share.
package final class Database {
    private var handle: OpaquePointer?
    private let path: String

    /// Opens the file, makes it if it is missing, and runs `schema`.
    package init(_ path: String, schema: String) throws(DatabaseError) {
        self.path = path
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX
        guard sqlite3_open_v2(path, &handle, flags, nil) == SQLITE_OK else {
            let error = failure("opening")
            sqlite3_close(handle)
            handle = nil
            throw error
        }
        sqlite3_busy_timeout(handle, 20_000)
        try run("PRAGMA journal_mode = WAL;" + schema)
    }

    deinit { sqlite3_close(handle) }

    /// Runs statements that give nothing back.
    package func run(_ sql: String) throws(DatabaseError) {
        guard sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else { throw failure("preparing") }
    }

    /// Runs one statement with its values and gives its rows, every column as text.
    @discardableResult
    package func rows(_ sql: String, _ values: [String] = []) throws(DatabaseError) -> [[String]] {
        var statement: OpaquePointer?
        guard sqlite3_prepare_v2(handle, sql, -1, &statement, nil) == SQLITE_OK else { throw failure("preparing") }
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

    /// Runs `body` as a whole: what it wrote is undone when it fails.
    package func transaction(_ body: () throws(DatabaseError) -> Void) throws(DatabaseError) {
        try run("BEGIN IMMEDIATE")
        do {
            try body()
            try run("COMMIT")
        } catch {
            // Without effect where SQLite has undone it by itself, as it does on a full disk.
            sqlite3_exec(handle, "ROLLBACK", nil, nil, nil)
            throw error
        }
    }

    private func failure(_ what: String) -> DatabaseError {
        var text = sqlite3_errmsg(handle).map { String(cString: $0) } ?? "no message"
        // "disk I/O error" leaves open which; the system call's own error does not.
        if [SQLITE_IOERR, SQLITE_FULL, SQLITE_CANTOPEN].contains(sqlite3_errcode(handle)) {
            let code = sqlite3_system_errno(handle)
            if code != 0 { text += " (\(String(cString: strerror(code))))" }
        }
        return DatabaseError(message: "\(what) the database: \(text)", path: path)
    }
}
