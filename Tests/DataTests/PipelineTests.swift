import Data
import JSON
import Template
import Testing

/// Every byte a token; the user's words are the prompt and the assistant's are trained.
struct ByteEncoder: RowEncoder {
    let identity = "bytes"

    func encode(_ row: TrainingRow) throws -> EncodedExample {
        func sequence(_ conversation: Conversation) -> EncodedSequence {
            var out = EncodedSequence(ids: [], weights: [])
            for message in conversation.messages {
                if message.role == "assistant" { out.promptLength = out.count }
                let ids = message.text.utf8.map { Int32($0) }
                out.ids += ids
                out.weights += Array(repeating: message.role == "assistant" ? 1 : 0, count: ids.count)
            }
            return out
        }
        return EncodedExample(
            row.rejected == nil ? .single : .pair,
            sequences: [sequence(row.conversation)] + (row.rejected.map { [sequence($0)] } ?? []), label: row.label)
    }

    func text(of ids: [Int32]) -> String { String(decoding: ids.map { UInt8(truncatingIfNeeded: $0) }, as: UTF8.self) }
}

@Suite struct PipelineTests {
    let scratch = Scratch()

    /// `count` rows of changing length; some are broken, some fit no schema, some are too long.
    func settings(_ strategy: PackingStrategy, workers: Int, streams: Bool) -> DataSettings {
        var out = DataSettings()
        out.plan = BatchPlan(strategy, tokens: 200, rows: 3, window: 40)
        out.truncation = Truncation(.delete, maximumLength: 150)
        out.workers = workers
        out.streams = streams
        out.shuffleBuffer = 50
        return out
    }

    func data(
        _ strategy: PackingStrategy, workers: Int = 0, streams: Bool = false, sample: Int? = nil,
        change: (inout DataSettings) -> Void = { _ in }
    ) throws -> TrainingData {
        let lines = (0..<400).map { index -> String in
            if index % 37 == 3 { return "{\"query\":" }
            if index % 41 == 5 { return "{\"foo\":\(index)}" }
            let length = index % 43 == 7 ? 300 : index * 7919 % 120 + 1
            return "{\"query\":\"q\(index) \",\"response\":\"\(String(repeating: "a", count: length))\"}"
        }
        let path = scratch.file("rows.jsonl", lines.joined(separator: "\n"))
        var settings = settings(strategy, workers: workers, streams: streams)
        change(&settings)
        var dataset = try DatasetResolver().resolve(path)
        dataset.sample = sample
        return try TrainingData([dataset], settings: settings, formats: formats, encoder: ByteEncoder())
    }

    func batches(_ stream: BatchStream, limit: Int = .max) throws -> [Batch] {
        var out: [Batch] = []
        while out.count < limit, let batch = try stream.next() { out.append(batch) }
        return out
    }

    @Test(arguments: PackingStrategy.allCases, [false, true])
    func everyRowIsTrainedOnceOrCounted(strategy: PackingStrategy, streams: Bool) throws {
        let data = try data(strategy, streams: streams)
        let batches = try batches(try data.batches(epoch: 0))
        let counts = data.ledger.counts
        #expect(counts.read == 400)
        #expect(counts.rejected == ["not valid JSON": 11, "no known columns": 10, "too long": 10])
        #expect(counts.kept == 369)
        let prompts = batches.flatMap { batch -> [[Int32]] in
            batch.rows.indices.map { index in
                Array(batch.ids[Int(batch.segments[index])..<Int(batch.segments[index + 1])].prefix { $0 != 32 })
            }
        }
        #expect(prompts.count == 369)
        #expect(Set(prompts).count == 369)
        #expect(batches.flatMap { $0.rows.map(\.row) }.sorted() == Array(0..<369))
        if strategy != .none { #expect(batches.allSatisfy { $0.tokenCount <= 200 }) }
        for batch in batches {
            #expect(batch.ids.count == batch.labels.count && batch.ids.count == batch.positions.count)
            #expect(zip(batch.labels, batch.weights).allSatisfy { ($0 == -100) == ($1 == 0) })
        }
    }

    @Test(arguments: PackingStrategy.allCases)
    func anyNumberOfWorkersGivesTheSameBatches(strategy: PackingStrategy) throws {
        let one = try data(strategy, workers: 0)
        let wanted = try batches(try one.batches(epoch: 1))
        for workers in [1, 2, 5] {
            let other = try data(strategy, workers: workers)
            #expect(try batches(try other.batches(epoch: 1)) == wanted)
            _ = try batches(try other.batches(epoch: 0))
            #expect(other.ledger.counts.kept == 369)
        }
    }

    @Test(arguments: PackingStrategy.allCases, [false, true])
    func batchesTakenUpAgainAreTheSame(strategy: PackingStrategy, streams: Bool) throws {
        let whole = try data(strategy, streams: streams)
        let wanted = try batches(try whole.batches(epoch: 0))
        for place in [0, 1, 5, 13, 14, wanted.count - 1, wanted.count] {
            let first = try data(strategy, workers: 2, streams: streams)
            let start = try first.batches(epoch: 0)
            _ = try batches(start, limit: place)
            let saved = try JSON(parsing: start.state.text())
            let second = try data(strategy, workers: 3, streams: streams)
            let rest = try second.batches(epoch: 0)
            try rest.restore(saved)
            #expect(try batches(rest) == Array(wanted.dropFirst(place)))
            #expect(second.ledger.counts == whole.ledger.counts)
        }
    }

    @Test func epochsHaveTheirOwnOrder() throws {
        let data = try data(.none)
        let first = try batches(try data.batches(epoch: 0)).flatMap(\.ids)
        let second = try batches(try data.batches(epoch: 1)).flatMap(\.ids)
        #expect(first != second)
        #expect(first.sorted() == second.sorted())
        #expect(data.ledger.counts.read == 400)
    }

    @Test func samplesAndSplitsAreOfTheSizeAskedFor() throws {
        #expect(try data(.none, sample: 30).rowCount == 30)
        #expect(try data(.none, sample: 1000).rowCount == 1000)
        let split = try data(.none) { $0.splitRatio = 0.1 }
        #expect(split.rowCount == 351)
        let validation = try #require(split.validationBatches())
        #expect(try batches(validation).reduce(0) { $0 + $1.sequenceCount } <= 38)
    }

    @Test func encodedRowsAreKeptFromRunToRun() throws {
        let wanted = try batches(try data(.binpack).batches(epoch: 0))
        for _ in 0..<2 {
            let cached = try data(.binpack, workers: 2) { $0.cacheDirectory = scratch.path + "/cache" }
            #expect(try batches(try cached.batches(epoch: 0)) == wanted)
        }
        let cache = try EncodedCache(directory: scratch.path + "/cache", identity: "bytes")
        #expect(cache.count == 379)
        #expect(try EncodedCache(directory: scratch.path + "/cache", identity: "other").count == 0)
    }

    @Test func longRowsAreCutAsThePolicySays() throws {
        let example = EncodedExample(sequences: [
            EncodedSequence(ids: Array(0..<10), weights: [0, 0, 0, 0, 1, 1, 1, 1, 1, 1], promptLength: 4)
        ])
        #expect(throws: TruncationFailure.self) { try Truncation(.delete, maximumLength: 9).apply(example) }
        let left = try Truncation(.left, maximumLength: 8).apply(example)
        #expect(left.examples.first?.sequences.first?.ids == Array(2..<10))
        #expect(left.examples.first?.sequences.first?.promptLength == 2)
        let right = try Truncation(.right, maximumLength: 8).apply(example)
        #expect(right.examples.first?.sequences.first?.ids == Array(0..<8))
        #expect(right.cut == "cut at the right, end token lost")
        #expect(throws: TruncationFailure.self) { try Truncation(.right, maximumLength: 4).apply(example) }
        let split = try Truncation(.split, maximumLength: 4).apply(example)
        #expect(split.examples.map { $0.sequences.first?.ids ?? [] } == [[4, 5, 6, 7], [8, 9]])
    }

    @Test func mismatchedPairsTakeTheAnswerOfTheRowBefore() {
        func example(_ ids: [Int32], _ prompt: Int) -> EncodedExample {
            EncodedExample(sequences: [
                EncodedSequence(ids: ids, weights: Array(repeating: 1, count: ids.count), promptLength: prompt)
            ])
        }
        let batch = Batch([example([1, 2, 3], 1), example([4, 5, 6, 7], 2), example([8, 9], 1)])
        #expect(batch.mismatched().ids == [1, 9, 4, 5, 2, 3, 8, 6, 7])
        #expect(batch.mismatched().segments == [0, 2, 6, 9])
        // The same pairs over batches that come one by one, the first row's at the end.
        for cut in [[0..<1, 1..<2, 2..<3], [0..<2, 2..<3], [0..<1, 1..<1, 1..<3], [0..<3]] {
            var mismatched = MismatchedBatches()
            let rows = [example([1, 2, 3], 1), example([4, 5, 6, 7], 2), example([8, 9], 1)]
            let pairs = cut.flatMap { mismatched.next(Batch(rows[$0])).ids } + mismatched.end().ids
            #expect(pairs == [4, 5, 2, 3, 8, 6, 7, 1, 9])
        }
    }

    @Test func previewsMarkWhatIsTrained() throws {
        let row = try RowSchema().convert(row(#"{"query":"ask ","response":"answer"}"#))
        let example = try ByteEncoder().encode(row)
        #expect(
            Preview(.brackets).text(example, at: "f.jsonl:3", encoder: ByteEncoder())
                == "--- f.jsonl:3: 10 tokens, 6 trained\nask [[answer]]\n")
        #expect(Preview(.color).text(example, at: "", encoder: ByteEncoder()).contains("\u{1B}[32manswer"))
        let json = Preview.json(example, at: "f.jsonl:3", encoder: ByteEncoder())
        #expect(json["place"] == "f.jsonl:3" && json["sequences"]?[0]?["trained"] == 6)
        #expect(
            json["sequences"]?[0]?["pieces"] == [["text": "ask ", "weight": 0.0], ["text": "answer", "weight": 1.0]])
    }

    @Test func namesAreReadInAllTheirParts() throws {
        let name = try DatasetName("ms::AI-ModelScope/alpaca:zh/en#500")
        #expect(name.hub == .modelScope && name.id == "AI-ModelScope/alpaca")
        #expect(name.subsets == ["zh", "en"] && name.sample == 500)
        let odd = scratch.file("odd#1:x.jsonl", "{}")
        #expect(try DatasetName(odd).id == odd)
        let plain = try DatasetName("MS::a/b:all")
        #expect(plain.hub == .modelScope && plain.subsets == ["all"] && plain.sample == nil)
        #expect(try DatasetName("hf:a/b").hub == .huggingFace)
        #expect(try DatasetName("wheel:some-rows==1.0").id == "wheel:some-rows==1.0")
        #expect(try DatasetName("https://host/x.jsonl").id == "https://host/x.jsonl")
        for bad in ["", "#5", "a#", "a#x", "name#many", "a#-1", "a#99999999999999999999", ":all", "xx::a/b"] {
            #expect(throws: DataError.self, "\(bad)") { try DatasetName(bad) }
        }
    }

    @Test func aRegistrationInYAMLIsResolved() throws {
        _ = scratch.file("train.jsonl", #"{"input":"i","output":"o"}"#)
        let path = scratch.file(
            "data.yaml",
            """
            my_instruct_data:
              train: train.jsonl
              val: train.jsonl
              format: "instruction: {input}, response: {output}"
              task: sft
            """)
        let resolver = DatasetResolver(registrations: try Registrations(path: path))
        let dataset = try resolver.resolve("my_instruct_data#4")
        #expect(dataset.files == [scratch.path + "/train.jsonl"])
        #expect(dataset.validationFiles == dataset.files && dataset.sample == 4 && dataset.task == "sft")
        let data = try TrainingData([dataset], settings: DataSettings(), formats: formats, encoder: ByteEncoder())
        let batch = try #require(try data.batches(epoch: 0).next())
        #expect(ByteEncoder().text(of: batch.ids) == "io")
        #expect(data.rowCount == 4)
    }

    @Test(.enabled(if: sharedData != nil, "shared test data is absent"))
    func theEcosystemsRegistrationFileIsRead() throws {
        let registrations = try Registrations(path: (sharedData ?? "") + "/datasets/llamafactory_dataset_info.json")
        #expect(registrations.entries["alpaca_en_demo"]?.train.count == 1)
        #expect(registrations.entries["dpo_en_demo"]?.task == "dpo")
        #expect(registrations.entries["glaive_toolcall_en_demo"]?.columns.renames == ["conversations": "messages"])
    }

    @Test func whatIsNotOnDiskSaysWhereItWouldComeFrom() {
        let resolver = DatasetResolver(
            catalogue: [["name": "a/b", "ms_id": "a/b", "hf_id": "c/b", "aliases": ["b-short"]]], downloads: "/nowhere")
        let failure = #expect(throws: DataError.self) { try resolver.resolve("b-short") }
        #expect(
            failure?.fix
                == "It can be downloaded from ModelScope (ms::a/b) or Hugging Face (hf::c/b) into /nowhere.")
        let unknown = #expect(throws: DataError.self) { try resolver.resolve("b-shor") }
        #expect(unknown?.fix == "Did you mean \"b-short\"?")
    }

    @Test func directoriesAndPatternsNameTheirFiles() throws {
        let a = scratch.file("a.jsonl", "{}")
        let b = scratch.file("b.csv.gz", "")
        _ = scratch.file("c.md5", "")
        #expect(try DatasetFiles.find(scratch.path) == [a, b])
        #expect(try DatasetFiles.find(scratch.path + "/*.jsonl") == [a])
        #expect(throws: DataError.self) { try DatasetFiles.find(scratch.path + "/*.parquet") }
    }
}
