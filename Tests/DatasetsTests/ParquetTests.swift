import DatasetsJSONL
import DatasetsParquet
import JSON
import PluginKit
import Testing

private let goldens: String = {
    let file = #filePath
    return file[..<(file.lastIndex(of: "/") ?? file.endIndex)] + "/Goldens"
}()

/// Files and rows by pyarrow (Tests/Oracles/parquet_rows.py).
@Suite struct ParquetTests {
    let scratch = Scratch()
    static let cases = [
        "plain_v1", "dictionary_v1_snappy", "dictionary_v2_zstd", "plain_v2_gzip", "small_pages_snappy",
    ]

    @Test(arguments: cases) func rowsAreThoseOfPyArrow(name: String) throws {
        let wanted = try read(try JSONLines(path: goldens + "/parquet_rows.jsonl", options: [:])).rows
        let file = try Parquet(path: "\(goldens)/\(name).parquet", options: [:])
        #expect(file.count == 60)
        let reading = try read(file)
        #expect(reading.damaged == [])
        #expect(reading.rows.count == wanted.count)
        for (found, wanted) in zip(reading.rows, wanted) { #expect(found.normalized == wanted.normalized) }
    }

    @Test(arguments: cases) func aCursorLeadsToTheSameRows(name: String) throws {
        let path = "\(goldens)/\(name).parquet"
        let whole = try read(try Parquet(path: path, options: [:])).rows
        for place in [0, 1, 16, 17, 18, 25, 59, 60] {
            let first = try Parquet(path: path, options: [:])
            var row: [UInt8] = []
            for _ in 0..<place { _ = try first.next(&row) }
            let second = try Parquet(path: path, options: [:])
            try second.seek(first.cursor)
            #expect(try read(second).rows == Array(whole.dropFirst(place)))
        }
    }

    /// Any byte may be wrong: each file gives rows, damaged rows or one error, and never more rows than there were.
    @Test(arguments: cases) func mutatedFilesGiveErrorsAndNoTraps(name: String) throws {
        let bytes = try #require(contents("\(goldens)/\(name).parquet"))
        var random = SystemRandomNumberGenerator()
        for _ in 0..<60 {
            var mutant = bytes
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                // The footer holds the structure: half of the mutations go there.
                let range = Bool.random() ? 0..<mutant.count : mutant.count * 2 / 3..<mutant.count
                mutant[Int.random(in: range, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if Int.random(in: 0..<8) == 0 { mutant.removeLast(Int.random(in: 1..<mutant.count)) }
            guard let file = try? Parquet(path: scratch.file("m.parquet", mutant), options: [:]) else { continue }
            var row: [UInt8] = []
            var count = 0
            while count < 2_000_000 {
                do {
                    guard try file.next(&row) else { break }
                } catch is DamagedRow {
                } catch { break }
                count += 1
            }
            #expect(count < 2_000_000)
        }
    }

    @Test func aFileCutShortSaysSo() throws {
        let bytes = try #require(contents(goldens + "/plain_v1.parquet"))
        let path = scratch.file("cut.parquet", bytes.dropLast(10))
        let failure = #expect(throws: PluginError.self) { try Parquet(path: path, options: [:]) }
        #expect(failure?.message == "not Parquet: it does not end in PAR1; it may be cut short")
    }
}

extension JSON {
    /// Whole doubles as integers: JSON texts do not tell 1.0 from 1.
    var normalized: JSON {
        switch self {
        case .double(let value): return Int64(exactly: value).map { .int($0) } ?? self
        case .array(let list): return .array(list.map(\.normalized))
        case .object(let object): return .object(JSONObject(object.map { ($0.key, $0.value.normalized) }))
        default: return self
        }
    }
}
