import Glibc
import JSON
import Testing
import Training

/// A run taken up again goes on as if it had never stopped.
@Suite(.serialized) struct ResumeTests {
    /// With LoRA and its dropout, and with all weights; over the end of an epoch.
    @Test(arguments: [true, false]) func resumingAfterAnyStepEndsInTheSameBits(tuner: Bool) throws {
        var whole = try TinyRun()
        whole.tuner = tuner
        whole.settings.saves = .steps(1)
        let run = try whole.make()
        #expect(try run.run() == .finished)
        #expect(run.state.step == 14)
        let wanted = try TinyRun.bits(run)
        for step in 1...13 {
            let resumed = try whole.make(from: whole.checkpoint(step))
            // Checkpoints after this one are there already, and a run writes none twice.
            system(
                "mkdir '\(whole.scratch.path)/kept' && mv '\(whole.settings.directory)'/checkpoint-* '\(whole.scratch.path)/kept'"
            )
            #expect(try resumed.run() == .finished)
            #expect(try TinyRun.bits(resumed) == wanted, "resumed after step \(step)")
            system(
                "rm -r '\(whole.settings.directory)'/checkpoint-*; mv '\(whole.scratch.path)'/kept/* '\(whole.settings.directory)'; rmdir '\(whole.scratch.path)/kept'"
            )
        }
    }

    @Test func everyOptimizersStatesAreKept() throws {
        for optimizer in ["sgd", "lion", "adafactor", "muon", "adagrad", "rmsprop"] {
            var tiny = try TinyRun()
            tiny.optimizer = optimizer
            tiny.settings.epochs = 1
            let run = try tiny.make()
            _ = try run.run()
            let wanted = try TinyRun.bits(run)
            let resumed = try tiny.make(from: tiny.checkpoint(3))
            system("rm -r '\(tiny.checkpoint(6))' '\(tiny.checkpoint(7))'")
            _ = try resumed.run()
            #expect(try TinyRun.bits(resumed) == wanted, "\(optimizer)")
        }
    }

    @Test func theNewestTheBestAndNoMoreThanTheLimitAreKept() throws {
        var tiny = try TinyRun()
        tiny.settings.saves = .steps(2)
        tiny.settings.evaluates = .steps(2)
        tiny.settings.saveLimit = 2
        tiny.validation = true
        // So fast that it may get worse: the best one is not always the last.
        tiny.rate = 2
        let run = try tiny.make()
        _ = try run.run()
        let best = try #require(run.state.bestStep)
        let store = CheckpointStore(tiny.settings.directory)
        let kept = try store.steps()
        #expect(kept.count == 2 && kept.contains(best) && kept.last == 14, "kept \(kept), best \(best)")
        #expect(try store.newestComplete().path == tiny.checkpoint(14))
    }

    @Test func aDamagedCheckpointIsPassedOverByName() throws {
        let tiny = try TinyRun()
        _ = try tiny.make().run()
        let victim = tiny.checkpoint(14) + "/adapter_model.safetensors"
        var bytes = contents(victim)
        bytes[bytes.count / 2] ^= 1
        let file = try #require(fopen(victim, "wb"))
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
        let newest = try CheckpointStore(tiny.settings.directory).newestComplete()
        #expect(newest.path == tiny.checkpoint(12))
        #expect(newest.problems.count == 1 && newest.problems[0].contains(victim))
    }

    @Test func anotherSeedIsRefusedWhenGoingOn() throws {
        let tiny = try TinyRun()
        _ = try tiny.make().run()
        let path = tiny.checkpoint(3) + "/rng_state.json"
        try #require(try JSON(file: path)["seed"]?.int == 42)
        system("sed -i 's/42/43/' '\(path)'")
        #expect { _ = try tiny.make(from: tiny.checkpoint(3)) } throws: { "\($0)".contains("rng_state.json") }
    }

    @Test func checkpointsOfAnEarlierRunAreMovedAsideAndNotMixed() throws {
        let tiny = try TinyRun()
        _ = try tiny.make().run()
        let store = CheckpointStore(tiny.settings.directory)
        #expect(try store.setAside(above: 6) == tiny.settings.directory + "/previous-1")
        #expect(try store.steps() == [3, 6])
        #expect(try store.setAside() == tiny.settings.directory + "/previous-2")
        #expect(try store.setAside() == nil)
    }

    /// Weights written by a full run open as a model with the same values.
    @Test func fullWeightsReloadToTheBit() throws {
        var tiny = try TinyRun()
        tiny.tuner = false
        let run = try tiny.make()
        _ = try run.run()
        let reloaded = try tiny.makeEngine()
        try TrainingCheckpoint(tiny.checkpoint(14)).loadWeights(reloaded, components: tiny.components)
        for entry in reloaded.parameters.entries {
            #expect(
                try reloaded.parameters.values(entry.name) == run.trainer.engine.parameters.values(entry.name),
                "\(entry.name)")
        }
        #expect(!contents(tiny.checkpoint(14) + "/config.json").isEmpty)
    }
}
