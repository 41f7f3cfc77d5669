import Database
import Files
import Glibc
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
        /// "running", how the run ended, or "killed" when its process is gone without having said so.
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
            arguments TEXT, process TEXT);
        CREATE TABLE IF NOT EXISTS metrics(run INTEGER, step INTEGER, name TEXT, value REAL,
            PRIMARY KEY(run, name, step)) WITHOUT ROWID;
        """

    /// Where this user's runs are kept: beside the index of downloads.
    package static var standardPath: String { System.join(FileService.cacheDirectory, "index.sqlite") }

    /// - Parameter path: Made when it is missing, with its directory.
    package init(_ path: String) throws {
        try System.makeDirectories(System.parent(of: path) ?? "")
        database = try Database(path, schema: Self.schema)
        if try !database.rows("PRAGMA table_info(runs)").contains(where: { $0[1] == "process" }) {
            try database.run("ALTER TABLE runs ADD COLUMN process TEXT")
        }
    }

    /// Begins a run, or goes on with the last one in the same directory.
    package func begin(name: String, directory: String, arguments: JSON, continues: Bool) throws {
        let known =
            continues
            ? try database.rows("SELECT id FROM runs WHERE directory=? ORDER BY id DESC LIMIT 1", [directory]).first?
                .first : nil
        if let known {
            run = known
            try database.rows(
                "UPDATE runs SET status='running', process=? WHERE id=?", [RunningProcess.own.text, run])
        } else {
            run =
                try database.rows(
                    "INSERT INTO runs(name, directory, started, status, arguments, process) VALUES(?,?,datetime('now'),'running',?,?) RETURNING id",
                    [name, directory, arguments.text(), RunningProcess.own.text]
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
        try database.rows(
            "SELECT id, name, directory, started, status, arguments, process FROM runs ORDER BY id DESC"
        ).map { row in
            let isGone = row[4] == "running" && RunningProcess(row[6])?.isGone ?? true
            let last = try database.rows(
                "SELECT name, value, max(step) FROM metrics WHERE run=? GROUP BY name", [row[0]])
            return Entry(
                id: Int(row[0]) ?? 0, name: row[1], directory: row[2], started: row[3],
                status: isGone ? "killed" : row[4],
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

/// A process by host, number and time of its start, so that another one of the same number is not taken for it.
private struct RunningProcess {
    private let host: String
    private let number: String
    private let start: String

    static let own = RunningProcess(host: hostName, number: "\(getpid())", start: start(of: "self") ?? "-")

    private init(host: String, number: String, start: String) {
        (self.host, self.number, self.start) = (host, number, start)
    }

    init?(_ text: String) {
        let words = text.split(separator: " ").map(String.init)
        guard words.count == 3 else { return nil }
        self.init(host: words[0], number: words[1], start: words[2])
    }

    var text: String { "\(host) \(number) \(start)" }

    /// What another host's processes do is not known here.
    var isGone: Bool { host == Self.hostName && Self.start(of: number) != start }

    private static let hostName: String = {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, 255)
        return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }()

    /// Clock ticks after the system's own start (proc(5), field 22 of stat); the name before may hold spaces.
    private static func start(of number: String) -> String? {
        guard let file = fopen("/proc/\(number)/stat", "re") else { return nil }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 4096)
        guard fgets(&line, Int32(line.count), file) != nil else { return nil }
        let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
        // What was killed and not waited for is gone.
        return fields.count > 19 && fields[0] != "Z" ? String(fields[19]) : nil
    }
}
