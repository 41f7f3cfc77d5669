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

        /// For people: "20 rows read, 8 kept (2 cut at the left), 12 rejected: 7 x too long, 5 x no answer".
        package var summary: String {
            func list(_ causes: [String: Int], _ sign: String) -> String {
                causes.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.value)\(sign)\($0.key)" }
                    .joined(separator: ", ")
            }
            return "\(read) rows read, \(kept) kept" + (cut.isEmpty ? "" : " (\(list(cut, " ")))")
                + ", \(rejectedRows) rejected" + (rejected.isEmpty ? "" : ": \(list(rejected, " x "))")
        }

        /// For programs: read, kept, and rejected and cut by cause.
        package var json: JSONObject {
            func object(_ counts: [String: Int]) -> JSON {
                .object(JSONObject(counts.sorted { $0.key < $1.key }.map { ($0.key, .int(Int64($0.value))) }))
            }
            return JSONObject([
                ("read", .int(Int64(read))), ("kept", .int(Int64(kept))), ("rejected", object(rejected)),
                ("cut", object(cut)),
            ])
        }
    }
    package private(set) var counts = Counts()
    /// False once every row was seen: later epochs meet the same rows again.
    package var isCounting = true
    package let path: String?
    private let maximumRatio: Double
    /// A run that goes on lists no row before `restore` has said which ones its file holds already.
    private var isListing: Bool
    private let continues: Bool
    /// Rows are read again and again, and count the first time only.
    private let countsOnePass: Bool
    private var file: UnsafeMutablePointer<FILE>?
    /// Rows written to the file; all are counted.
    private static let fileLimit = 100_000
    /// Rows to be seen before a share of them means something.
    private static let firstVerdict = 100

    /// - Parameters:
    ///   - path: Where rejected rows are listed as JSON lines; nil keeps counts only.
    ///   - maximumRatio: The share of rejected rows above which the run fails (`--max_reject_ratio`).
    ///   - continues: The file goes on where `restore` says.
    ///   - countsOnePass: The first pass over the rows counts and the later ones do not.
    package init(
        path: String? = nil, maximumRatio: Double = 1, continues: Bool = false, countsOnePass: Bool = false
    ) {
        self.path = path
        self.maximumRatio = maximumRatio
        self.continues = continues
        self.countsOnePass = countsOnePass
        isListing = !continues
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
        if isFinal, countsOnePass { isCounting = false }
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

    /// The counts as a document, for cursors.
    package var state: JSON {
        var out = counts.json
        out["counting"] = .bool(isCounting)
        return .object(out)
    }

    /// Takes over counts, and cuts the file to the rows that they count.
    package func restore(_ state: JSON) throws {
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
        isListing = true
        guard continues, let path, System.kind(of: path) == .file else { return }
        let bytes = try MappedFile(path).contents
        var end = 0
        for _ in 0..<min(counts.rejectedRows, Self.fileLimit) {
            guard let newline = bytes[end...].firstIndex(of: 10) else { return }
            end = newline + 1
        }
        if truncate(path, off_t(end)) != 0 {
            throw System.error(path, "cutting it to the rows of the checkpoint", wanted: "a file that may be written")
        }
    }

    /// Removes what another run left under the file's name, unless rows were listed there since.
    package func removeStale() {
        if let path, file == nil { unlink(path) }
    }

    private func write(_ reject: Reject) throws {
        guard isListing, let path, counts.rejectedRows <= Self.fileLimit else { return }
        if file == nil {
            if let directory = System.parent(of: path) { try System.makeDirectories(directory) }
            file = fopen(path, continues ? "ae" : "we")
            guard file != nil else { throw System.error(path, "opening", wanted: "a file that may be written") }
        }
        guard let file else { return }
        fputs(reject.json.text() + "\n", file)
        fflush(file)
    }
}
