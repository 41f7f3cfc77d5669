import Data
import Glibc
import JSON
import Testing

/// Rows in = rows trained + rows rejected, whatever the file is, and however it is read, cut and packed.
@Suite struct AccountingTests {
    let scratch = Scratch()

    /// What a run does with a row: it is trained on, in one batch or several pieces, or it is listed as rejected.
    private struct Account {
        var read = 0
        var kept = 0
        var rejected = 0
        var trained: Set<Int> = []
        var listed = 0
    }

    /// The whole of an epoch; nil where the file as a whole is refused.
    private func account(
        _ path: String, _ policy: Truncation.Policy, _ packing: PackingStrategy, streams: Bool, workers: Int
    ) throws -> Account? {
        var settings = DataSettings()
        settings.plan = BatchPlan(packing, tokens: 200, rows: 3, window: 16)
        settings.truncation = Truncation(policy, maximumLength: 40)
        settings.streams = streams
        settings.shuffleBuffer = 7
        settings.workers = workers
        settings.rejectsPath = scratch.path + "/rejects.jsonl"
        unlink(scratch.path + "/rejects.jsonl")
        guard
            let data = try? TrainingData(
                [DatasetResolver().resolve(path)], settings: settings, formats: formats, encoder: ByteEncoder())
        else { return nil }
        var account = Account()
        do {
            let batches = try data.batches(epoch: 0)
            while let batch = try batches.next() { account.trained.formUnion(batch.rows.map(\.row)) }
        } catch { return nil }
        let counts = data.ledger.counts
        (account.read, account.kept, account.rejected) = (counts.read, counts.kept, counts.rejectedRows)
        if let file = fopen(scratch.path + "/rejects.jsonl", "r") {
            while case let byte = getc(file), byte != EOF { if byte == 10 { account.listed += 1 } }
            fclose(file)
        }
        return account
    }

    /// Rows of a file and those that cannot be read, counted by reading alone; nil where it is refused.
    private func count(_ path: String) -> Int? {
        let feed = FileFeed([path], formats: formats)
        var rows = 0
        do {
            while try feed.next() != nil { rows += 1 }
        } catch { return nil }
        return rows
    }

    @Test func everyRowOfAnyFileIsTrainedOrRejected() throws {
        var random = Random(state: 99)
        var accounts = 0
        var sums = (trained: 0, rejected: 0)
        for number in 0..<200 {
            let base = MutationTests.bases[number % MutationTests.bases.count]
            let path = scratch.path + "/" + base.name
            let bytes = number < 5 ? Array(base.text.utf8) : MutationTests.mutated(Array(base.text.utf8), &random)
            let file = try #require(fopen(path, "w"))
            fwrite(bytes, 1, bytes.count, file)
            fclose(file)
            let policies: [Truncation.Policy] = [.delete, .left, .right, .split]
            let policy = policies[number % policies.count]
            let packing = PackingStrategy.allCases[number % PackingStrategy.allCases.count]
            let wanted = count(path)
            for streams in [false, true] {
                guard let found = try account(path, policy, packing, streams: streams, workers: number % 3) else {
                    // A file without a row is refused where rows are stored first.
                    continue
                }
                accounts += 1
                let what = "file \(number) (\(base.name)), \(policy), \(packing), streams \(streams)"
                #expect(found.read == wanted, "\(what)")
                #expect(found.kept + found.rejected == found.read, "\(what)")
                #expect(found.trained == Set(0..<found.kept), "\(what)")
                #expect(found.listed == found.rejected, "\(what)")
                sums.trained += found.kept
                sums.rejected += found.rejected
            }
        }
        #expect(accounts > 200 && sums.trained > 500 && sums.rejected > 100, "\(accounts) accounts, \(sums)")
    }
}
