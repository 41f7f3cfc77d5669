import Files
import Glibc
import JSON

/// Counts what becomes of rows: rows in = rows out + rejected, by cause.
package final class RejectLedger {
    /// Rows read, those that are trained on, and those that are not by cause.
    package struct Counts: Sendable, Equatable {
        package var read = 0
        package var kept = 0
        package var rejected: [String: Int] = [:]
        /// Rows that were kept but cut, by cause; they count as kept.
        package var cut: [String: Int] = [:]
        package init() {}
        package var rejectedRows: Int { rejected.values.reduce(0, +) }
    }
    package private(set) var counts = Counts()
    /// False once every row was seen: later epochs meet the same rows again.
    package var isCounting = true
    private let path: String?
    private let maximumRatio: Double
    private var file: UnsafeMutablePointer<FILE>?
    /// Rows written to the file; all are counted.
    private static let fileLimit = 100_000
    /// Rows to be seen before a share of them means something.
    private static let firstVerdict = 100

    /// - Parameters:
    ///   - path: Where rejected rows are listed as JSON lines; nil keeps counts only.
    ///   - maximumRatio: The share of rejected rows above which the run fails (`--max_reject_ratio`).
    package init(path: String? = nil, maximumRatio: Double = 1) {
        self.path = path
        self.maximumRatio = maximumRatio
    }

    deinit { if let file { fclose(file) } }

    package func keep(cut: String? = nil) throws {
        guard isCounting else { return }
        counts.read += 1
        counts.kept += 1
        if let cut { counts.cut[cut, default: 0] += 1 }
        if counts.read.isMultiple(of: 4096) { try check(isFinal: false) }
    }

    package func reject(_ reject: Reject) throws {
        guard isCounting else { return }
        counts.read += 1
        counts.rejected[reject.kind, default: 0] += 1
        try write(reject)
        try check(isFinal: false)
    }

    /// Fails when too many rows were rejected. Call it at the end of the rows; before, it waits for 100 of them.
    package func check(isFinal: Bool) throws {
        guard counts.read >= Self.firstVerdict || isFinal && counts.read > 0 else { return }
        let rejected = counts.rejectedRows
        guard Double(rejected) > maximumRatio * Double(counts.read) else { return }
        let causes = counts.rejected.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(5)
        throw DataError(
            "the data",
            found: "\(rejected) of \(counts.read) rows rejected ("
                + causes.map { "\($0.value) x \($0.key)" }.joined(separator: "; ") + ")",
            wanted: "at most a share of \(maximumRatio) (max_reject_ratio)",
            fix: path.map { "\($0) lists them." } ?? nil)
    }

    /// The counts as a document, for logs and cursors.
    package var state: JSON {
        func object(_ counts: [String: Int]) -> JSON {
            .object(JSONObject(counts.sorted { $0.key < $1.key }.map { ($0.key, .int(Int64($0.value))) }))
        }
        return [
            "read": .int(Int64(counts.read)), "kept": .int(Int64(counts.kept)), "rejected": object(counts.rejected),
            "cut": object(counts.cut), "counting": .bool(isCounting),
        ]
    }

    package func restore(_ state: JSON) {
        counts.read = state["read"]?.int ?? 0
        counts.kept = state["kept"]?.int ?? 0
        isCounting = state["counting"]?.bool ?? true
        func dictionary(_ json: JSON?) -> [String: Int] {
            var out: [String: Int] = [:]
            for (key, value) in json?.object ?? JSONObject() { out[key] = value.int ?? 0 }
            return out
        }
        counts.rejected = dictionary(state["rejected"])
        counts.cut = dictionary(state["cut"])
    }

    private func write(_ reject: Reject) throws {
        guard let path, counts.rejectedRows <= Self.fileLimit else { return }
        if file == nil {
            if let directory = System.parent(of: path) { try System.makeDirectories(directory) }
            file = fopen(path, counts.rejectedRows > 1 ? "ae" : "we")
            guard file != nil else { throw System.error(path, "opening", wanted: "a file that may be written") }
        }
        guard let file else { return }
        fputs(reject.json.text() + "\n", file)
        fflush(file)
    }
}
