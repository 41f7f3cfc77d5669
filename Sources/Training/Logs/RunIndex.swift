import Database
import Files
internal import Host
package import JSON

/// All runs of this user with their metrics, in one SQLite file.
package final class RunIndex {
    /// A run as the index knows it.
    package struct Entry: Sendable {
        package let id: Int
        package let name: String
        package let directory: String
        package let started: String
        /// "running" until the run ends; a killed run stays so.
        package let status: String
        package let arguments: JSON
        package let steps: Int
        /// The last value of each metric.
        package let metrics: [String: Double]
    }

    private let database: Database
    private var run = ""

    private static let schema = """
        CREATE TABLE IF NOT EXISTS runs(id INTEGER PRIMARY KEY, name TEXT, directory TEXT, started TEXT, status TEXT,
            arguments TEXT);
        CREATE TABLE IF NOT EXISTS metrics(run INTEGER, step INTEGER, name TEXT, value REAL,
            PRIMARY KEY(run, name, step)) WITHOUT ROWID;
        """

    /// Where this user's runs are kept: beside the index of downloads.
    package static var standardPath: String { System.join(FileService.cacheDirectory, "index.sqlite") }

    /// - Parameter path: Made when it is missing, with its directory.
    package init(_ path: String) throws {
        try System.makeDirectories(System.parent(of: path) ?? "")
        database = try Database(path, schema: Self.schema)
    }

    /// Begins a run, or goes on with the last one in the same directory.
    package func begin(name: String, directory: String, arguments: JSON, continues: Bool) throws {
        let known =
            continues
            ? try database.rows("SELECT id FROM runs WHERE directory=? ORDER BY id DESC LIMIT 1", [directory]).first?
                .first : nil
        if let known {
            run = known
            try database.rows("UPDATE runs SET status='running' WHERE id=?", [run])
        } else {
            run =
                try database.rows(
                    "INSERT INTO runs(name, directory, started, status, arguments) VALUES(?,?,datetime('now'),'running',?) RETURNING id",
                    [name, directory, arguments.text()]
                ).first?.first ?? ""
        }
    }

    func add(_ record: JSON) throws {
        guard !run.isEmpty, let step = record["step"]?.int, let members = record.object else { return }
        try database.transaction { () throws(DatabaseError) in
            for (name, value) in members where name != "step" {
                guard let number = value.double else { continue }
                try database.rows(
                    "INSERT OR REPLACE INTO metrics VALUES(?,?,?,?)", [run, String(step), name, String(number)])
            }
        }
    }

    func end(_ status: String) throws {
        try database.rows("UPDATE runs SET status=? WHERE id=?", [status, run])
    }

    // MARK: Reading

    /// All runs, the newest first.
    package func entries() throws -> [Entry] {
        try database.rows("SELECT id, name, directory, started, status, arguments FROM runs ORDER BY id DESC").map {
            row in
            let last = try database.rows(
                "SELECT name, value, max(step) FROM metrics WHERE run=? GROUP BY name", [row[0]])
            return Entry(
                id: Int(row[0]) ?? 0, name: row[1], directory: row[2], started: row[3], status: row[4],
                arguments: (try? JSON(parsing: row[5])) ?? [:], steps: last.compactMap { Int($0[2]) }.max() ?? 0,
                metrics: Dictionary(last.map { ($0[0], Double($0[1]) ?? 0) }, uniquingKeysWith: { first, _ in first }))
        }
    }

    /// A metric of a run over its steps.
    package func values(_ run: Int, _ metric: String) throws -> [(step: Int, value: Double)] {
        try database.rows(
            "SELECT step, value FROM metrics WHERE run=? AND name=? ORDER BY step", [String(run), metric]
        )
        .map { (Int($0[0]) ?? 0, Double($0[1]) ?? 0) }
    }
}
