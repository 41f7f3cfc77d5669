import Glibc
import JSON
import PluginKit
import Synchronization

/// The engine: requests come in from any thread, one thread steps, events go out.
final class NativeEngine: EngineBackend, @unchecked Sendable {
    /// What several threads touch.
    private struct Mail {
        var submitted: [GenerationSequence] = []
        var cancelled: Set<UInt64> = []
        var events: [EngineEvent] = []
        /// Position of the next event that is taken.
        var taken = 0
        var lastID: UInt64 = 0
        /// Requests that have not ended.
        var alive = 0
        var figures = Figures()
    }

    private struct Figures {
        var waiting = 0, running = 0, blocksUsed = 0, promptTokens = 0, cachedTokens = 0, newTokens = 0, steps = 0,
            preemptions = 0
    }

    private let settings: EngineSettings
    private let mail = Mutex(Mail())
    // Of the stepping thread alone.
    private let runner: Runner
    private var scheduler: Scheduler
    private var figures = Figures()

    init(options: JSON) throws {
        let model = try ModelRunner(options: options)
        let settings = try EngineSettings(options, model: model.description)
        try model.reserve(blocks: settings.blocks, blockSize: settings.blockSize)
        self.settings = settings
        var generator = SystemRandomNumberGenerator()
        runner = Runner(model, vocabulary: settings.vocabulary, ownSeed: generator.next())
        scheduler = Scheduler(
            limits: .init(
                tokensPerStep: settings.tokensPerStep, sequences: settings.sequences, window: settings.window),
            blocks: BlockManager(count: settings.blocks, blockSize: settings.blockSize, shares: settings.sharesPrefixes)
        )
    }

    // MARK: Any thread

    func submit(_ request: EngineRequest) throws -> UInt64 {
        let sampling = try SamplingSettings(request.sampling, vocabulary: settings.vocabulary)
        let count = request.prompt.count
        guard count > 0 else {
            throw PluginError(.invalid, "the prompt is empty; give at least one token", at: "request")
        }
        guard count < settings.longest else {
            throw PluginError(
                .invalid,
                "the prompt has \(count) tokens, and prompt and answer together have room for \(settings.longest); shorten it",
                at: "request")
        }
        if let wrong = request.prompt.first(where: { $0 < 0 || Int($0) >= settings.vocabulary }) {
            throw PluginError(
                .invalid, "token id \(wrong) is not below the vocabulary's \(settings.vocabulary)", at: "request")
        }
        let room = settings.longest - count
        return try mail.withLock { mail in
            guard mail.alive < settings.queue else {
                throw PluginError(.busy, "\(mail.alive) requests are in hand already; try again later", at: "request")
            }
            mail.lastID += 1
            mail.alive += 1
            mail.submitted.append(
                GenerationSequence(
                    id: mail.lastID, request: request, sampling: sampling,
                    limit: count + min(room, sampling.maximumTokens ?? room), growth: settings.growth))
            return mail.lastID
        }
    }

    func cancel(_ request: UInt64) { mail.withLock { _ = $0.cancelled.insert(request) } }

    func poll() -> EngineEvent? {
        mail.withLock { mail in
            guard mail.taken < mail.events.count else { return nil }
            defer {
                mail.taken += 1
                if mail.taken == mail.events.count {
                    mail.events.removeAll(keepingCapacity: true)
                    mail.taken = 0
                }
            }
            return mail.events[mail.taken]
        }
    }

    func stats() -> JSON {
        let figures = mail.withLock { mail in
            var figures = mail.figures
            figures.waiting += mail.submitted.count
            return figures
        }
        let counts: [(String, Int)] = [
            ("waiting", figures.waiting), ("running", figures.running), ("blocks", settings.blocks),
            ("blocks_used", figures.blocksUsed), ("block_size", settings.blockSize),
            ("max_model_len", settings.longest),
            ("prompt_tokens", figures.promptTokens), ("cached_tokens", figures.cachedTokens),
            ("new_tokens", figures.newTokens),
            ("steps", figures.steps), ("preemptions", figures.preemptions),
        ]
        return .object(JSONObject(counts.map { ($0.0, .int(Int64($0.1))) }))
    }

    // MARK: The stepping thread

    func step() throws -> Bool {
        let (submitted, cancelled) = mail.withLock { mail in
            defer {
                mail.submitted = []
                mail.cancelled = []
            }
            return (mail.submitted, mail.cancelled)
        }
        for sequence in submitted { scheduler.add(sequence) }
        var events: [EngineEvent] = []
        var ended = 0
        for request in cancelled {
            guard let sequence = scheduler.end(request: request) else { continue }
            events.append(EngineEvent(sequence.id, .finished(.cancelled)))
            ended += 1
        }
        let planned = scheduler.plan()
        if !planned.isEmpty {
            figures.steps += 1
            do {
                let outcomes = try runner.run(planned, blockSize: settings.blockSize)
                scheduler.ran(planned)
                for (index, outcome) in outcomes { ended += take(outcome, planned[index].sequence, &events) }
            } catch {
                // The requests of this step cannot go on; those that come later may.
                for (sequence, _) in planned {
                    scheduler.end(sequence)
                    events.append(EngineEvent(sequence.id, .failed("\(error)")))
                    ended += 1
                }
            }
        }
        publish(events, ended: ended)
        return !planned.isEmpty || !events.isEmpty
    }

    /// Takes a sequence's new token; 1 when the sequence ended with it.
    private func take(_ outcome: Runner.Outcome, _ sequence: GenerationSequence, _ events: inout [EngineEvent]) -> Int {
        if sequence.generatedCount == 0 {
            figures.promptTokens += sequence.promptCount
            figures.cachedTokens += sequence.reused
        }
        guard case .token(let token, let logprob, let top) = outcome else {
            scheduler.end(sequence)
            events.append(
                EngineEvent(sequence.id, .failed("the model's logits are no numbers at token \(sequence.tokens.count)"))
            )
            return 1
        }
        let sampling = sequence.sampling
        if sampling.stopIDs.contains(token) || (!sampling.ignoresEnd && settings.endIDs.contains(token)) {
            scheduler.end(sequence)
            events.append(EngineEvent(sequence.id, .finished(.stop)))
            return 1
        }
        sequence.append(token)
        figures.newTokens += 1
        events.append(EngineEvent(sequence.id, .token(token), logprob: logprob, top: top))
        guard sequence.tokens.count >= sequence.limit else { return 0 }
        scheduler.end(sequence)
        events.append(EngineEvent(sequence.id, .finished(.length)))
        return 1
    }

    private func publish(_ events: [EngineEvent], ended: Int) {
        figures.waiting = scheduler.waiting.count
        figures.running = scheduler.running.count
        figures.blocksUsed = settings.blocks - scheduler.blocks.freeCount
        figures.preemptions = scheduler.preemptions
        let figures = figures
        mail.withLock { mail in
            mail.events += events
            mail.alive -= ended
            mail.figures = figures
        }
    }
}
