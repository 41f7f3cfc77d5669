import Data
import JSON
import Model
import Testing
import Training

/// What a run does besides steps: evaluation, early stop, and what it makes of numbers that are none.
@Suite(.serialized) struct RunTests {
    @Test func evaluationIsTheMeanOverTheHeldOutTokens() throws {
        var tiny = try TinyRun()
        tiny.validation = true
        tiny.settings.evaluates = .steps(7)
        var records: [JSON] = []
        let run = try tiny.make { if case .record(let record) = $0 { records.append(record) } }
        _ = try run.run()
        let evaluations = records.filter { $0["eval_loss"] != nil }
        #expect(evaluations.compactMap { $0["step"]?.int } == [0, 7, 14])
        // The same by hand: all rows in one batch.
        let rows = (14..<19).map { row -> EncodedExample in
            let ids = TinyRun.text(row).utf8.map { Int32($0 % 90) + 3 }
            return EncodedExample(
                sequences: [EncodedSequence(ids: ids, weights: Array(repeating: 1, count: ids.count))], row: row)
        }
        let batch = Batch(rows)
        let whole = try run.trainer.engine.evaluate(batch, normalizer: Double(batch.trainedTokens))
        let last = try #require(evaluations.last)
        #expect(abs(whole.loss - (last["eval_loss"]?.double ?? 0)) < 1e-5)
        let accuracy = try #require(whole.metrics["token_acc"])
        #expect(abs(accuracy.sum / accuracy.count - (last["eval_token_acc"]?.double ?? -1)) < 1e-6)
    }

    @Test func whatBecameOfTheRowsIsToldAndKept() throws {
        var tiny = try TinyRun()
        tiny.brokenLines = 3
        tiny.settings.epochs = 1
        tiny.settings.saves = .epoch
        _ = try tiny.make().run()
        func document(_ path: String) throws -> JSON { try JSON(parsing: contents(path)) }
        func list() -> Int { contents(tiny.settings.directory + "/rejects.jsonl").split(separator: 10).count }
        let last = try #require(contents(tiny.settings.directory + "/logging.jsonl").split(separator: 10).last)
        let rows: JSON = ["read": 17, "kept": 14, "rejected": ["not valid JSON": 3], "cut": [:]]
        #expect(try JSON(parsing: Array(last))["rows"] == rows)
        // At the end of an epoch there is no place in the data, and the counts are there all the same.
        let cursor = try document(tiny.checkpoint(7) + "/data_cursor.json")
        #expect(cursor["batches"]?.isNull == true && cursor["ledger"]?["read"] == 17)
        #expect(try document(tiny.checkpoint(7) + "/trainer_state.json")["rows"]?["kept"] == 14)
        #expect(list() == 3)
        tiny.settings.epochs = 2
        let second = try tiny.make(from: tiny.checkpoint(7))
        _ = try second.run()
        #expect(try document(tiny.checkpoint(14) + "/data_cursor.json")["ledger"]?["read"] == 17)
        #expect(list() == 3)
    }

    @Test func aRunThatEndsByItsStepsLooksAtItsRejects() throws {
        var tiny = try TinyRun()
        tiny.brokenLines = 3
        tiny.maximumRejectRatio = 0.2
        tiny.settings.maximumSteps = 2
        let run = try tiny.make()
        let failure = #expect(throws: DataError.self) { try run.run() }
        #expect(failure?.found == "3 of 7 rows rejected (3 x not valid JSON)")
    }

    /// KTO's divergence is that of all held-out rows, so that the batches they come in change nothing.
    @Test func anEvaluationByKTODoesNotHangOnItsBatches() throws {
        var largest = 0.0
        // What one adapter makes less likely the other makes likelier, and a divergence below 0 counts as 0.
        for sign: Float in [1, -1] {
            var wanted: (loss: Double, divergence: Double)?
            for rows in [5, 1, 2, 3] {
                var tiny = try TinyRun()
                tiny.objective = "kto"
                tiny.plan = BatchPlan(rows: rows)
                (tiny.validation, tiny.settings.maximumSteps) = (true, 1)
                var records: [JSON] = []
                let run = try tiny.make { if case .record(let record) = $0 { records.append(record) } }
                let parameters = run.trainer.engine.parameters
                for entry in parameters.entries where entry.name.contains("lora_B") {
                    let values = (0..<entry.shape.reduce(1, *)).map { 0.01 * sign * Float($0 * 7 % 11 - 5) }
                    try parameters.set(entry.name, values)
                }
                _ = try run.run()
                let found = try #require(records.first { $0["eval_loss"] != nil })
                let loss = try #require(found["eval_loss"]?.double)
                let divergence = try #require(found["eval_kl"]?.double)
                largest = max(largest, divergence)
                guard let wanted else {
                    wanted = (loss, divergence)
                    continue
                }
                #expect(abs(loss - wanted.loss) <= 1e-4 * wanted.loss, "\(rows) rows: \(loss), \(wanted)")
                #expect(abs(divergence - wanted.divergence) <= 1e-4, "\(rows) rows: \(divergence), \(wanted)")
            }
        }
        #expect(largest > 1e-2)
    }

    @Test func aRunThatGetsNoBetterStopsEarlyAndEndsWithItsBestWeights() throws {
        var tiny = try TinyRun()
        tiny.validation = true
        tiny.rate = 2
        tiny.settings.evaluates = .steps(1)
        tiny.settings.saves = .never
        tiny.settings.earlyStopInterval = 2
        tiny.settings.loadsBestAtEnd = true
        let run = try tiny.make()
        #expect(try run.run() == .stoppedEarly)
        let best = try #require(run.state.bestStep)
        #expect(run.state.step == best + 2)
        let again = try tiny.makeEngine()
        try TrainingCheckpoint(tiny.checkpoint(best)).loadWeights(again, components: tiny.components)
        for entry in again.parameters.entries {
            #expect(try again.parameters.values(entry.name) == run.trainer.engine.parameters.values(entry.name))
        }
    }

    /// A weight that is not finite: the message names the layer and the rows, and nothing was changed.
    @Test func aLossThatIsNoNumberNamesLayerAndRows() throws {
        let tiny = try TinyRun()
        let run = try tiny.make()
        let parameters = run.trainer.engine.parameters
        let name = "base_model.model.model.layers.1.mlp.up_proj.lora_B.weight"
        var values = try parameters.values(name)
        values[0] = .infinity
        try parameters.set(name, values)
        let before = try TinyRun.bits(run)
        #expect { _ = try run.run() } throws: { error in
            let text = "\(error)"
            return (error as? TrainingError)?.code == .nonFinite && text.contains("step 1")
                && text.contains("model.layers.1")
                && text.contains("rows") && !text.contains("model.layers.0")
        }
        #expect(try TinyRun.bits(run) == before)
    }

    @Test func stepsThatAreNotFiniteCanBeSkipped() throws {
        var tiny = try TinyRun()
        tiny.settings.nonFinite = .skip
        var notes: [String] = []
        let run = try tiny.make { if case .note(let text) = $0 { notes.append(text) } }
        let parameters = run.trainer.engine.parameters
        let name = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"
        try parameters.set(name, try parameters.values(name).map { _ in .nan })
        #expect(try run.run() == .finished)
        #expect(run.state.skippedSteps == 14 && run.state.step == 14)
        #expect(notes.count == 14)
    }

    /// Any split of a window into batches gives the window's gradient, to rounding.
    @Test func everySplitOfAWindowGivesTheSameGradient() throws {
        var tiny = try TinyRun()
        tiny.dropout = 0
        let engine = try tiny.makeEngine()
        let rows = (0..<12).map { row -> EncodedExample in
            let ids = TinyRun.text(row).utf8.map { Int32($0 % 90) + 3 }
            let weights = ids.indices.map { Float(($0 + row) % 3) * 0.5 }
            return EncodedExample(sequences: [EncodedSequence(ids: ids, weights: weights)], row: row)
        }
        func gradient(_ batches: [Batch]) throws -> [Float] {
            let total = Double(batches.reduce(0) { $0 + $1.trainedTokens })
            for (i, batch) in batches.enumerated() {
                _ = try engine.forwardBackward(batch, normalizer: total, accumulates: i > 0)
            }
            return try engine.parameters.entries.flatMap { try engine.parameters.gradient($0.name) }
        }
        let wanted = try gradient([Batch(rows)])
        let length = wanted.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
        #expect(length > 0)
        var order = SystemRandomNumberGenerator()
        for trial in 0..<20 {
            // Rows in any order, cut anywhere: packed, one by one, and all between.
            let mixed = rows.shuffled(using: &order)
            var batches: [Batch] = []
            var rest = mixed[...]
            while !rest.isEmpty {
                let size = min(rest.count, trial == 0 ? 1 : Int.random(in: 1...6))
                batches.append(Batch(rest.prefix(size)))
                rest = rest.dropFirst(size)
            }
            let found = try gradient(batches)
            let error = zip(found, wanted).reduce(0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }.squareRoot()
            #expect(error <= 2e-5 * length, "\(batches.map(\.sequenceCount)): \(error) of \(length)")
        }
    }
}
