import Data
import Glibc
import JSON
import Testing

@Suite struct FeedTests {
    let scratch = Scratch()

    func feed(_ count: Int, name: String = "a", shard: Int = 0, shards: Int = 1) -> FileFeed {
        let half = count / 2
        func lines(_ range: Range<Int>) -> String {
            range.map { $0 % 11 == 5 ? "broken" : "{\"n\":\"\(name)\($0)\"}" }.joined(separator: "\n")
        }
        let files = [
            scratch.file(name + "1.jsonl", lines(0..<half)), scratch.file(name + "2.jsonl", lines(half..<count)),
        ]
        return FileFeed(files, formats: formats, shard: shard, shards: shards)
    }

    /// Leaves each kind of stream at several places and takes it up in a new one.
    @Test func aStreamTakenUpAgainGivesTheSameRows() throws {
        let makers: [() -> any RowFeed] = [
            { feed(60) },
            { ShuffledFeed(feed(60), window: 16, seed: 3) },
            {
                InterleavedFeed(
                    [feed(40, name: "x"), ShuffledFeed(feed(30, name: "y"), window: 7, seed: 1)], weights: [0.7, 0.3],
                    seed: 9, stopping: .allExhausted)
            },
            { ChainedFeed([feed(20, name: "p"), feed(20, name: "q")]) },
        ]
        for make in makers {
            let whole = try drain(make())
            for place in [0, 1, 7, 15, 16, 17, 29, 30, 31, whole.count - 1, whole.count] {
                let first = make()
                #expect(try drain(first, limit: place) == Array(whole.prefix(place)))
                let saved = try JSON(parsing: first.state.text())
                let second = make()
                try second.restore(saved)
                #expect(try drain(second) == Array(whole.dropFirst(place)))
            }
        }
    }

    @Test func shufflingKeepsEveryRowOnce() throws {
        let plain = try drain(feed(100)).map { "\($0)" }
        let shuffled = try drain(ShuffledFeed(feed(100), window: 33, seed: 5)).map { "\($0)" }
        #expect(plain != shuffled)
        #expect(plain.sorted() == shuffled.sorted())
    }

    @Test func shardsTogetherGiveEveryRowOnce() throws {
        let plain = try drain(feed(100)).map { "\($0)" }
        let shards = try (0..<3).flatMap { try drain(feed(100, shard: $0, shards: 3)) }.map { "\($0)" }
        #expect(plain.sorted() == shards.sorted())
    }

    @Test func aFileThatChangedIsNotTakenUp() throws {
        let first = feed(40)
        _ = try drain(first, limit: 3)
        let saved = first.state
        _ = scratch.file("a1.jsonl", "{}")
        #expect(throws: DataError.self) {
            try FileFeed(
                [scratch.path + "/a1.jsonl", scratch.path + "/a2.jsonl"], formats: formats
            ).restore(saved)
        }
    }

    @Test func aStoreGivesRowsByNumber() throws {
        let store = try RowStore(feed(100))
        #expect(store.rejects.count == 9)
        #expect(store.count == 91)
        let references = [5, 90, 0, 5].map { OrderedFeed.Reference(store: 0, row: $0) }
        let rows = try drain(OrderedFeed([store], order: references))
        #expect(rows.count == 4)
        #expect(rows[0] == rows[3])
        #expect(
            rows[2]
                == .row(
                    SourceRow(
                        source: scratch.path + "/a1.jsonl", place: .line(1), text: Array("{\"n\":\"a0\"}".utf8))))
    }

    @Test func samplingRepeatsOnlyWhenItMust() {
        let order = SeededOrder(seed: 42, stream: 0)
        #expect(Set(Selection.sample(10, of: 20, order: order)).count == 10)
        let repeated = Selection.sample(50, of: 20, order: order)
        #expect(repeated.count == 50)
        let counts = Dictionary(grouping: repeated, by: { $0 }).mapValues(\.count)
        #expect(counts.count == 20)
        #expect(Set(counts.values) == [2, 3])
        #expect(Selection.sample(5, of: 0, order: order).isEmpty)
    }

    @Test func splittingKeepsEveryRowOnce() {
        let (train, validation) = Selection.split(Array(0..<1000), ratio: 0.01, order: SeededOrder(seed: 1, stream: 0))
        #expect(validation.count == 10)
        #expect((train + validation).sorted() == Array(0..<1000))
    }

    @Test func mixingFollowsItsWeights() {
        let order = SeededOrder(seed: 7, stream: 0)
        let mixed = Selection.interleave(
            [100_000, 100_000], weights: [0.8, 0.2], stopping: .firstExhausted, order: order)
        let share = Double(mixed.prefix(20_000).count { $0.source == 0 }) / 20_000
        #expect(abs(share - 0.8) < 0.01)
        #expect(mixed.count { $0.source == 0 } == 100_000)
        let all = Selection.interleave([10, 3], weights: [0.5, 0.5], stopping: .allExhausted, order: order)
        #expect(all.count == 13)
    }

    @Test func aPermutationIsFairAndFollowsItsSeed() {
        let order = SeededOrder(seed: 11, stream: 0)
        #expect(order.permutation(100) == SeededOrder(seed: 11, stream: 0).permutation(100))
        #expect(order.permutation(100) != SeededOrder(seed: 11, stream: 1).permutation(100))
        var first = [Int](repeating: 0, count: 5)
        for stream in 0..<5000 { first[SeededOrder(seed: 1, stream: stream).permutation(5)[0]] += 1 }
        // 1000 expected each; 5 standard deviations are 141.
        #expect(first.allSatisfy { abs($0 - 1000) < 141 })
    }

    @Test func tooManyRejectsEndTheRun() throws {
        let path = scratch.path + "/rejects.jsonl"
        let ledger = RejectLedger(path: path, maximumRatio: 0.1)
        for _ in 0..<95 { try ledger.keep() }
        for index in 0..<10 {
            try ledger.reject(Reject(source: "f", place: .line(index), cause: "too long: \(index)", text: [0x61]))
        }
        #expect(ledger.counts.rejected == ["too long": 10])
        let failure = #expect(throws: DataError.self) {
            try ledger.reject(Reject(source: "f", place: .line(99), cause: "no answer: x"))
        }
        #expect(failure?.found == "11 of 106 rows rejected (10 x too long; 1 x no answer)")
        let lines = try drain(FileFeed([path], formats: formats))
        #expect(lines.count == 11)
    }

    @Test func placesAreFilesAndLines() throws {
        let text = "{\"query\":\"q\",\"response\":\"a\"}"
        let lines = "\(text)\n\n\n\(text)\nbroken\n\n\(text)\n"
        let array = "[\n\(text),\n\n\(text)]\n"
        let table = "query,response\n\"two\nlines\",a\n\nq,a\n"
        let plain = "\none\nmore\n\n\ntwo\n"
        let files = [
            ("p.jsonl", lines, [1, 4, 5, 7]), ("p.json", array, [2, 4]), ("p.csv", table, [2, 5]),
            ("p.txt", plain, [2, 6]),
        ]
        for (name, text, wanted) in files {
            let path = scratch.file(name, text)
            let store = try RowStore(FileFeed([path], formats: formats))
            let stored = try (0..<store.count).map { try store.row($0).location } + store.rejects.map(\.description)
            let places = stored.map { $0.split(separator: ":").prefix(2).joined(separator: ":") }
            #expect(Set(places) == Set(wanted.map { "\(path):\($0)" }), "\(name): \(places)")
        }
    }

    @Test func aStreamThatEndsEarlyIsNamedWithItsFile() throws {
        let path = scratch.file("cut.jsonl", String(repeating: "{\"response\":\"a\"}\n", count: 9))
        #expect(system("gzip '\(path)' && truncate -s -9 '\(path).gz'") == 0)
        let items = try drain(FileFeed([path + ".gz"], formats: formats)).map { "\($0)" }
        #expect(items.last?.contains("\(path).gz") == true && items.last?.contains("ends early") == true, "\(items)")
    }

    @Test func aLedgerTakenUpAgainListsEachRowOnce() throws {
        let path = scratch.path + "/again.jsonl"
        func reject(_ ledger: RejectLedger, _ lines: ClosedRange<Int>) throws {
            for line in lines { try ledger.reject(Reject(source: "f", place: .line(line), cause: "no answer: x")) }
        }
        var saved: JSON = .null
        do {
            let first = RejectLedger(path: path)
            try reject(first, 1...3)
            saved = first.state
            try reject(first, 4...5)
        }
        let second = RejectLedger(path: path, continues: true)
        // What cannot be read is met again when the run starts.
        try reject(second, 1...1)
        try second.restore(saved)
        try reject(second, 4...4)
        second.removeStale()
        #expect(second.counts.rejected == ["no answer": 4])
        #expect(try drain(FileFeed([path], formats: formats)).count == 4)
        RejectLedger(path: path).removeStale()
        #expect(access(path, F_OK) != 0)
    }

    @Test func countsAreSaidInOneLine() throws {
        let ledger = RejectLedger(countsOnePass: true)
        try ledger.keep()
        try ledger.keep(cut: "cut at the left")
        for cause in ["too long: 9", "no answer", "too long: 8"] {
            try ledger.reject(Reject(source: "f", place: .row(1), cause: cause))
        }
        #expect(
            ledger.counts.summary
                == "5 rows read, 2 kept (1 cut at the left), 3 rejected: 2 x too long, 1 x no answer")
        try ledger.check(isFinal: true)
        try ledger.keep()
        #expect(ledger.counts.read == 5)
    }
}
