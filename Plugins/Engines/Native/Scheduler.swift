/// Decides which tokens run in a step. A prompt that is read and an answer that is written are one thing: a sequence has
/// tokens that the cache lacks, and catches up within the budget that all share.
struct Scheduler {
    struct Limits {
        var tokensPerStep: Int
        var sequences: Int
        /// The longest attention window of the model; 0 when some layer sees all positions.
        var window: Int
    }

    let limits: Limits
    private(set) var blocks: BlockManager
    /// In the order of arrival; those that were set back stand in front.
    private(set) var waiting: [GenerationSequence] = []
    /// In the order of admission.
    private(set) var running: [GenerationSequence] = []
    private(set) var preemptions = 0

    init(limits: Limits, blocks: BlockManager) {
        self.limits = limits
        self.blocks = blocks
    }

    mutating func add(_ sequence: GenerationSequence) { waiting.append(sequence) }

    /// What runs next: sequences with the number of their tokens that run.
    mutating func plan() -> [(sequence: GenerationSequence, tokens: Int)] {
        var budget = limits.tokensPerStep
        var planned: [(sequence: GenerationSequence, tokens: Int)] = []
        for sequence in running where sequence.outgrows() {
            blocks.release(sequence)
            sequence.restart()
        }

        // Answers first: one token each, so that nobody waits for another's prompt.
        for sequence in running where sequence.left == 1 && budget > 0 {
            guard running.contains(where: { $0 === sequence }), make(room: 1, for: sequence, &planned) else { continue }
            planned.append((sequence, 1))
            budget -= 1
        }
        // Then prompts, in order, as far as blocks are free.
        for sequence in running where sequence.left > 1 && budget > 0 {
            let tokens = min(sequence.left, budget, roomLeft(sequence))
            if tokens > 0, blocks.extend(sequence, to: sequence.computed + tokens) {
                planned.append((sequence, tokens))
                budget -= tokens
            }
        }
        if planned.isEmpty, let first = running.first {
            let tokens = min(first.left, budget)
            if make(room: tokens, for: first, &planned) {
                planned.append((first, tokens))
                budget -= tokens
            }
        }
        // Then newcomers, when the cache has room for their whole prompt.
        while budget > 0, running.count < limits.sequences, let sequence = waiting.first {
            _ = sequence.outgrows()
            blocks.adopt(sequence)
            guard sequence.left <= roomLeft(sequence) else {
                blocks.release(sequence)
                sequence.restart()
                break
            }
            let tokens = min(sequence.left, budget)
            guard blocks.extend(sequence, to: sequence.computed + tokens) else { break }
            if sequence.generatedCount == 0 { sequence.reused = sequence.computed }
            waiting.removeFirst()
            running.append(sequence)
            planned.append((sequence, tokens))
            budget -= tokens
        }
        return planned
    }

    /// Notes that the planned tokens have run.
    mutating func ran(_ planned: [(sequence: GenerationSequence, tokens: Int)]) {
        for (sequence, tokens) in planned {
            sequence.computed += tokens
            blocks.offer(sequence)
            if limits.window > 0 { blocks.slide(sequence, window: limits.window) }
        }
    }

    /// Takes a sequence out and its blocks back.
    mutating func end(_ sequence: GenerationSequence) {
        blocks.release(sequence)
        running.removeAll { $0 === sequence }
        waiting.removeAll { $0 === sequence }
    }

    /// Takes out the sequence of a request, wherever it is.
    mutating func end(request: UInt64) -> GenerationSequence? {
        guard let sequence = (running + waiting).first(where: { $0.id == request }) else { return nil }
        end(sequence)
        return sequence
    }

    /// Tokens that a sequence can take on in its last block and all free ones.
    private func roomLeft(_ sequence: GenerationSequence) -> Int {
        (sequence.blocks.count + blocks.freeCount) * blocks.blockSize - sequence.computed
    }

    /// Makes room for `room` more tokens of a running sequence, setting the youngest ones back if need be.
    private mutating func make(
        room: Int, for sequence: GenerationSequence, _ planned: inout [(sequence: GenerationSequence, tokens: Int)]
    ) -> Bool {
        while !blocks.extend(sequence, to: sequence.computed + room) {
            guard let youngest = running.popLast() else { return false }
            preemptions += 1
            blocks.release(youngest)
            youngest.restart()
            waiting.insert(youngest, at: 0)
            planned.removeAll { $0.sequence === youngest }
            if youngest === sequence { return false }
        }
        return true
    }
}
