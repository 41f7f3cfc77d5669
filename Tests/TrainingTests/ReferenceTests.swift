import Data
import Glibc
import Testing
import Training

/// The reference model is run once on each pair of a run.
@Suite(.serialized) struct ReferenceTests {
    @Test func theReferenceIsComputedOnceAPairHoweverManyEpochs() throws {
        var tiny = try TinyRun()
        tiny.objective = "dpo"
        tiny.validation = true
        tiny.settings.evaluates = .steps(3)
        let run = try tiny.make()
        _ = try run.run()
        #expect(run.state.step == 14)
        // 14 pairs to train on and 5 to evaluate on, a pair a batch: two epochs and six evaluations ask for 58.
        #expect(run.trainer.engine.referenceRuns == 19)
    }

    @Test func aKeptReferenceIsTheComputedOne() throws {
        var tiny = try TinyRun()
        tiny.objective = "dpo"
        tiny.dropout = 0
        let engine = try tiny.makeEngine()
        let batch = Batch([
            EncodedExample(
                .pair,
                sequences: [[5, 9, 20, 33], [5, 9, 41]].map {
                    EncodedSequence(ids: $0, weights: Array(repeating: 1, count: $0.count))
                })
        ])
        let first = try engine.evaluate(batch, normalizer: 1).loss
        let second = try engine.evaluate(batch, normalizer: 1).loss
        #expect(engine.referenceRuns == 1 && first == second)
        // Another label mask over the same ids is another sequence.
        let masked = Batch([
            EncodedExample(
                .pair,
                sequences: [[5, 9, 20, 33], [5, 9, 41]].map {
                    EncodedSequence(ids: $0, weights: [0, 0] + Array(repeating: 1, count: $0.count - 2))
                })
        ])
        _ = try engine.evaluate(masked, normalizer: 1)
        #expect(engine.referenceRuns == 2)
        #expect(try engine.sequenceLogps(masked, adapted: false) != engine.sequenceLogps(batch, adapted: false))
    }

    @Test func aResumedRunTakesTheKeptReferenceAndEndsInTheSameBits() throws {
        var tiny = try TinyRun()
        tiny.objective = "dpo"
        tiny.settings.saves = .steps(1)
        let run = try tiny.make()
        #expect(try run.run() == .finished)
        let wanted = try TinyRun.bits(run)
        for step in [2, 7, 9, 13] {
            let resumed = try tiny.make(from: tiny.checkpoint(step))
            system(
                "mkdir '\(tiny.scratch.path)/kept' && mv '\(tiny.settings.directory)'/checkpoint-* '\(tiny.scratch.path)/kept'"
            )
            #expect(try resumed.run() == .finished)
            #expect(try TinyRun.bits(resumed) == wanted, "resumed after step \(step)")
            // Seven steps of two pairs are an epoch: later ones meet nothing new.
            #expect(resumed.trainer.engine.referenceRuns == max(0, 14 - 2 * step))
            system(
                "rm -r '\(tiny.settings.directory)'/checkpoint-*; mv '\(tiny.scratch.path)'/kept/* '\(tiny.settings.directory)'; rmdir '\(tiny.scratch.path)/kept'"
            )
        }
    }
}
