import Data
import Glibc
import JSON
import PluginKit
import Testing

/// Damaged files give rows, counted rejects or one error, and end; nothing traps or hangs.
///
/// The suite runs a few hundred mutants; MARTLET_MUTANTS gives another number.
@Suite struct MutationTests {
    let scratch = Scratch()

    static let bases: [(name: String, text: String)] = [
        (
            "a.jsonl",
            (0..<8).map {
                "{\"messages\":[{\"role\":\"user\",\"content\":\"q \\u00e9\($0)\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}],\"loss\":true}],\"tools\":\"[]\"}"
            }.joined(separator: "\n")
        ),
        (
            "b.json",
            "{\"about\":[1,2],\"data\":["
                + (0..<8).map {
                    "{\"conversations\":[{\"from\":\"human\",\"value\":\"q\($0)\"}],\"chosen\":{\"from\":\"gpt\",\"value\":\"x\"},\"rejected\":\"y\"}"
                }.joined(separator: ",\n") + "]}"
        ),
        (
            "c.csv",
            "system,query,response,history\n"
                + (0..<8).map { "s,\"q \"\"\($0)\"\"\nmore\",r,\"[[\"\"a\"\",\"\"b\"\"]]\"\r\n" }.joined()
        ),
        ("d.tsv", "instruction\tinput\toutput\n" + (0..<8).map { "i\($0)\t\t\"o\"\n" }.joined()),
        ("e.txt", (0..<8).map { "line \($0)\nmore\n\n" }.joined()),
    ]

    /// What parsers stumble over.
    private static let pieces: [[UInt8]] = [
        [0], [0xFF], [0xC3], [0xEF, 0xBB, 0xBF], [0x22], [0x5C], [0x0A], [0x0D], [0x0D, 0x0A], Array("{".utf8),
        Array("}".utf8), Array("[".utf8), Array("]".utf8), Array(",".utf8), Array(":".utf8), Array("\\u".utf8),
        Array("\\ud800".utf8), Array("1e999".utf8), Array("-".utf8), Array("NaN".utf8), Array("null".utf8),
        Array("{\"a\":1,\"a\":2}".utf8), Array(String(repeating: "[", count: 300).utf8), Array("\"\"\"".utf8),
        Array(repeating: 0x61, count: 5000), Array("99999999999999999999".utf8), Array("<img>".utf8),
        Array("\n\nHuman:".utf8),
    ]

    static func mutated(_ bytes: [UInt8], _ random: inout Random) -> [UInt8] {
        var out = bytes
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let at = Int.random(in: 0...out.count, using: &random)
            let length = min(out.count - at, Int.random(in: 0...40, using: &random))
            switch Int.random(in: 0..<6, using: &random) {
            case 0: out.removeSubrange(at..<at + length)
            case 1: out.insert(contentsOf: out[at..<at + length], at: at)
            case 2: if at < out.count { out[at] = UInt8.random(in: 0...255, using: &random) }
            case 3: out.removeSubrange(at...)
            default: out.insert(contentsOf: pieces.randomElement(using: &random) ?? [], at: at)
            }
        }
        return out
    }

    @Test func mutatedFilesAreCountedAndEnd() throws {
        let wanted = getenv("MARTLET_MUTANTS").flatMap { Int(String(cString: $0)) } ?? 400
        var random = Random(state: 2026)
        let schemas = [RowSchema(), RowSchema(.pair), RowSchema(.label)]
        var outcomes = (rows: 0, rejects: 0, errors: 0)
        var slowest = 0.0
        for number in 0..<wanted {
            let base = Self.bases[number % Self.bases.count]
            let path = scratch.path + "/" + base.name
            let bytes = Self.mutated(Array(base.text.utf8), &random)
            if let handle = fopen(path, "w") {
                fwrite(bytes, 1, bytes.count, handle)
                fclose(handle)
            }
            var file = path
            if number % 50 == 49 {
                // A compressed file, itself damaged.
                guard
                    system("gzip -c '\(path)' | head -c \(Int.random(in: 1...200, using: &random)) > '\(path).gz'") == 0
                else { continue }
                file = path + ".gz"
            }
            var start = timespec()
            clock_gettime(CLOCK_MONOTONIC, &start)
            let feed = FileFeed([file], formats: formats)
            var seen = 0
            do {
                while let item = try feed.next() {
                    seen += 1
                    #expect(seen < 200_000)
                    if seen >= 200_000 { return }
                    switch item {
                    case .reject: outcomes.rejects += 1
                    case .row(let row):
                        do throws(Reject) {
                            let converted = try schemas[number % schemas.count].convert(row)
                            _ = try? ByteEncoder().encode(converted)
                            outcomes.rows += 1
                        } catch { outcomes.rejects += 1 }
                    }
                }
            } catch { outcomes.errors += 1 }
            var end = timespec()
            clock_gettime(CLOCK_MONOTONIC, &end)
            slowest = max(slowest, Double(end.tv_sec - start.tv_sec) + Double(end.tv_nsec - start.tv_nsec) * 1e-9)
        }
        // Damage is found, and what stands around it is kept.
        #expect(outcomes.rows > wanted && outcomes.rejects > wanted / 4)
        #expect(slowest < 5)
        if wanted > 400 { print("mutants \(wanted): \(outcomes), slowest \(slowest) s") }
    }
}
