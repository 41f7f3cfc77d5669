package import JSON
package import Model
internal import PluginKit

/// A model behind an engine, spoken to in text. One thread at a time.
package final class TextService {
    package let model: Model
    package let engine: EngineHandle
    private var answers: [UInt64: Answer] = [:]

    /// - Parameters:
    ///   - engine: The engine component's id.
    ///   - options: More of the document of `load` in kinds/engine.h.
    package init(
        _ model: Model, runners: ModelRunnerService, engine: String = "native", options: JSONObject = JSONObject(),
        components: any ComponentSource
    ) throws {
        guard model.shape.head != nil else {
            throw ModelError(
                .unsupported,
                "a model of the family \(model.family.id) without a language-model head writes no text; martlet score --task \(model.task.rawValue) gives what it has",
                at: model.path)
        }
        self.model = model
        var all = runners.lend(model).object ?? JSONObject()
        for (key, value) in options { all[key] = value }
        self.engine = try EngineHandle(id: engine, options: .object(all), components: components)
    }

    /// Requests that have not ended.
    package var count: Int { answers.count }

    /// Queues a prompt.
    /// - Parameter onText: Gets the answer's text piece by piece, in whole characters.
    package func submit(
        _ prompt: [Int32], _ settings: GenerationSettings, skipSpecial: Bool = true,
        onText: @escaping (String) -> Void = { _ in }
    ) throws -> Answer {
        let decoder = try model.tokenizer.makeDecoder(skipSpecial: skipSpecial)
        let request = try engine.submit(prompt, sampling: settings.sampling(defaults: model.files.generation))
        let answer = Answer(request, promptCount: prompt.count, settings: settings, decoder: decoder, onText: onText)
        answers[request] = answer
        return answer
    }

    /// Does one step for all requests and hands out what came of it; false when there is nothing to do.
    package func step() throws -> Bool {
        if answers.isEmpty { return false }
        let worked = try engine.step()
        while let event = engine.poll() {
            guard let answer = answers[event.request] else { continue }
            do {
                if try answer.take(event) { engine.cancel(event.request) }
            } catch {
                answer.fail(error)
                engine.cancel(event.request)
            }
            if answer.end != nil { answers[event.request] = nil }
        }
        return worked || !answers.isEmpty
    }

    /// Ends a request; what it said so far stays.
    package func cancel(_ answer: Answer) { engine.cancel(answer.request) }

    /// Runs until a request has ended, or `isInterrupted` says so.
    package func finish(_ answer: Answer, isInterrupted: () -> Bool = { false }) throws {
        var isCancelled = false
        while answer.end == nil {
            if !isCancelled, isInterrupted() {
                cancel(answer)
                isCancelled = true
            }
            guard try step() else { break }
        }
    }
}
