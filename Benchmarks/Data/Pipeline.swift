import Data
import Glibc
import Template

/// A file's way to packed batches, as streaming takes it; only the tokenizer is left out.
struct Pipeline {
    let formats: RowFormats

    func run(_ path: String) throws {
        var settings = DataSettings()
        settings.streams = true
        settings.plan = BatchPlan(.binpack, tokens: 8192, rows: 1)
        settings.truncation = Truncation(.delete, maximumLength: 8192)
        let data = try TrainingData(
            [DatasetResolver().resolve(path)], settings: settings, formats: formats, encoder: BytesAsTokens())
        let batches = try data.batches(epoch: 0)
        let start = seconds()
        var (tokens, count, trained, next) = (0, 0, 0, 1)
        var residents: [Int] = []
        while let batch = try batches.next() {
            count += 1
            tokens += batch.tokenCount
            trained += batch.rows.count
            // Tokens are the bytes of the answers and questions, nearly all of the file.
            guard tokens >= next * 1_000_000_000 else { continue }
            residents.append(residentMiB())
            print("\(next) GB of tokens: \(residents[next - 1]) MiB resident, \(Int(seconds() - start)) s")
            next += 1
        }
        let counts = data.ledger.counts
        print("\(count) batches, \(trained) rows trained, \(counts.rejectedRows) rejected, \(counts.read) read")
        print("resident from \(residents.min() ?? 0) to \(residents.max() ?? 0) MiB, peak \(peakMiB()) MiB")
        guard counts.read == trained + counts.rejectedRows else {
            print("rows in are not rows trained + rows rejected")
            exit(1)
        }
    }

    private func residentMiB() -> Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var (size, resident) = (0, 0)
        withUnsafeMutablePointer(to: &size) { size in
            withUnsafeMutablePointer(to: &resident) { resident in
                _ = withVaList([size, resident]) { vfscanf(file, "%ld %ld", $0) }
            }
        }
        return resident * sysconf(Int32(_SC_PAGESIZE)) >> 20
    }
}

/// Every byte of a conversation a token; answers are trained.
private struct BytesAsTokens: RowEncoder {
    let identity = "bytes"

    func encode(_ row: TrainingRow) throws -> EncodedExample {
        var out = EncodedSequence(ids: [], weights: [])
        for message in row.conversation.messages {
            let text = message.text.utf8
            out.ids += text.map { Int32($0) }
            out.weights += [Float](repeating: message.role == "assistant" ? 1 : 0, count: text.count)
        }
        return EncodedExample(sequences: [out])
    }

    func text(of ids: [Int32]) -> String { "" }
}
