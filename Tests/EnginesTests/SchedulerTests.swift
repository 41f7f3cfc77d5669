import JSON
import PluginKit
import Testing

@testable import EnginesNative

@Suite struct SchedulerTests {
    private func sequence(_ id: UInt64, _ prompt: [Int32], limit: Int = 1000, salt: String = "") -> GenerationSequence {
        GenerationSequence(
            id: id, request: EngineRequest(prompt: prompt, sampling: [:], salt: salt), sampling: SamplingSettings(),
            limit: limit)
    }

    private func scheduler(blocks: Int, budget: Int = 64, sequences: Int = 8, window: Int = 0) -> Scheduler {
        Scheduler(
            limits: .init(tokensPerStep: budget, sequences: sequences, window: window),
            blocks: BlockManager(count: blocks, blockSize: 4, shares: true))
    }

    /// Runs a plan: each sequence that catches up gets a token that its text alone decides.
    private func run(_ scheduler: inout Scheduler) -> [(sequence: GenerationSequence, tokens: Int)] {
        let plan = scheduler.plan()
        let ready = plan.filter { $0.tokens == $0.sequence.left }.map(\.sequence)
        scheduler.ran(plan)
        for sequence in ready {
            sequence.append(sequence.tokens.reduce(Int32(sequence.tokens.count)) { ($0 &* 31 &+ $1) & 0xFF })
            if sequence.tokens.count >= sequence.limit { scheduler.end(sequence) }
        }
        return plan
    }

    @Test func answersRunBesidePromptsWithinOneBudget() {
        var scheduler = scheduler(blocks: 100, budget: 16)
        let short = sequence(1, [1, 2, 3])
        scheduler.add(short)
        _ = run(&scheduler)
        let long = sequence(2, (0..<50).map { $0 })
        scheduler.add(long)
        for step in 0..<3 {
            let plan = run(&scheduler)
            #expect(plan.map(\.tokens) == [1, 15], "step \(step)")
            #expect(plan.first?.sequence === short)
        }
        #expect(short.generatedCount == 4)
        #expect(run(&scheduler).map(\.tokens) == [1, 5])
        #expect(run(&scheduler).map(\.tokens) == [1, 1])
    }

    @Test func sequencesThatBeginAlikeShareBlocksUnderOneSalt() {
        var scheduler = scheduler(blocks: 100)
        let prompt = (0..<18).map { Int32($0) }
        let first = sequence(1, prompt)
        scheduler.add(first)
        _ = run(&scheduler)
        let (same, other, parted) = (
            sequence(2, prompt), sequence(3, prompt, salt: "x"), sequence(4, Array(prompt[..<9]) + [99, 98, 97])
        )
        for one in [same, other, parted] { scheduler.add(one) }
        _ = run(&scheduler)
        #expect(same.reused == 16 && Array(same.blocks[..<4]) == Array(first.blocks[..<4]))
        #expect(other.reused == 0)
        #expect(parted.reused == 8)
        // A prompt of whole blocks leaves its last token to run.
        let exact = sequence(5, Array(prompt[..<16]))
        scheduler.add(exact)
        _ = run(&scheduler)
        #expect(exact.reused == 12 && exact.generatedCount == 1)
    }

    @Test func whatEndedIsFoundAgainUntilItsMemoryIsNeeded() {
        var scheduler = scheduler(blocks: 8)
        let prompt = (0..<16).map { Int32($0) }
        let first = sequence(1, prompt, limit: 17)
        scheduler.add(first)
        _ = run(&scheduler)
        #expect(scheduler.running.isEmpty && scheduler.blocks.freeCount == 8)
        let again = sequence(2, prompt, limit: 17)
        scheduler.add(again)
        _ = run(&scheduler)
        #expect(again.reused == 12)
        // 7 of 8 blocks are overwritten: the chain's later blocks go first, so its beginning may be left, but not all of it.
        let large = sequence(3, (100..<128).map { $0 }, limit: 29)
        scheduler.add(large)
        _ = run(&scheduler)
        let last = sequence(4, prompt, limit: 17)
        scheduler.add(last)
        _ = run(&scheduler)
        #expect(last.reused < 12)
    }

    @Test func aWindowGivesBlocksBackThatNobodySees() {
        var scheduler = scheduler(blocks: 20, window: 6)
        let one = sequence(1, [1, 2, 3], limit: 60)
        scheduler.add(one)
        for _ in 0..<40 { _ = run(&scheduler) }
        #expect(one.tokens.count == 43)
        // Six positions and the next lie in at most three blocks of four.
        #expect(one.blocks.compactMap { $0 }.count <= 3)
        #expect(one.blocks.count == 11)
    }

    /// Many sequences through a cache that is too small for them, against each one alone.
    @Test(arguments: 0..<20)
    func everySequenceSaysWhatItSaysAlone(seed: Int) throws {
        var state = UInt64(seed + 1)
        func random(_ below: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % below
        }
        let prompts: [[Int32]] = (0..<30).map { _ in
            let shared = (0..<random(4) * 4).map { Int32($0) }
            return shared + (0..<1 + random(20)).map { _ in Int32(random(5)) }
        }
        let limits = prompts.map { $0.count + 1 + random(24) }
        var together = scheduler(blocks: 18, budget: 1 + random(40), sequences: 1 + random(8))
        let sequences = prompts.indices.map { sequence(UInt64($0), prompts[$0], limit: limits[$0]) }
        var cancelled: Set<Int> = []
        var waiting = Array(prompts.indices)
        var steps = 0
        while !waiting.isEmpty || !together.running.isEmpty || !together.waiting.isEmpty {
            steps += 1
            try #require(steps < 5000, "no end in sight")
            while !waiting.isEmpty, random(3) > 0 { together.add(sequences[waiting.removeFirst()]) }
            if random(40) == 0, let victim = together.running.randomElement() {
                cancelled.insert(Int(victim.id))
                #expect(together.end(request: victim.id) === victim)
            }
            let plan = run(&together)
            #expect(plan.reduce(0) { $0 + $1.tokens } <= together.limits.tokensPerStep)
            #expect(plan.count <= together.limits.sequences)
            // Blocks of running sequences are theirs, shared or not, and no free block is among them.
            let used = Set(together.running.flatMap { $0.blocks.compactMap { $0 } })
            #expect(used.count + together.blocks.freeCount == 18)
            // No two sequences write to one block: what they share is full, and equal.
            for one in together.running {
                for other in together.running where other !== one {
                    for (index, block) in one.blocks.enumerated() where block != nil && other.blocks.contains(block) {
                        let end = (index + 1) * 4
                        #expect(other.blocks.firstIndex(of: block) == index)
                        #expect(one.tokens.count >= end && one.tokens.prefix(end) == other.tokens.prefix(end))
                    }
                }
            }
        }
        #expect(together.blocks.freeCount == 18)
        for (index, sequence) in sequences.enumerated() where !cancelled.contains(index) {
            var tokens = prompts[index]
            while tokens.count < limits[index] {
                tokens.append(tokens.reduce(Int32(tokens.count)) { ($0 &* 31 &+ $1) & 0xFF })
            }
            #expect(sequence.tokens == tokens)
        }
    }
}
