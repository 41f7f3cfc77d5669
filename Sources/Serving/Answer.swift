internal import Model
internal import PluginKit

/// One request's text as it comes in.
package final class Answer {
    /// A generated token with its log-probability and its likeliest alternatives.
    package struct TokenScore: Sendable {
        package let id: Int32
        package let logprob: Float
        package let top: [(id: Int32, logprob: Float)]
    }

    package enum End: String, Sendable { case stop, length, cancelled, error }

    package let request: UInt64
    package let promptCount: Int
    package private(set) var text = ""
    package private(set) var tokens: [Int32] = []
    /// One a token, when asked for.
    package private(set) var scores: [TokenScore] = []
    /// nil while it goes on.
    package private(set) var end: End?
    /// Why it ended with `error`.
    package private(set) var message = ""
    package private(set) var secondsToFirst: Double?
    package private(set) var seconds = 0.0

    private let start = Clock.now
    private let decoder: StreamDecoder
    private var stops: StopWords
    private let wantsScores: Bool
    private let onText: (String) -> Void

    init(
        _ request: UInt64, promptCount: Int, settings: GenerationSettings, decoder: StreamDecoder,
        onText: @escaping (String) -> Void
    ) {
        self.request = request
        self.promptCount = promptCount
        self.decoder = decoder
        self.onText = onText
        stops = StopWords(settings.stopWords)
        wantsScores = settings.logprobs != nil
    }

    /// Tokens a second after the first.
    package var rate: Double {
        guard let first = secondsToFirst, tokens.count > 1 else { return 0 }
        return Double(tokens.count - 1) / max(1e-9, seconds - first)
    }

    /// Takes an event of the request.
    /// - Returns: Whether the engine may stop: a stop word came.
    func take(_ event: EngineEvent) throws -> Bool {
        guard end == nil else { return false }
        seconds = Clock.now - start
        switch event.kind {
        case .token(let id):
            if secondsToFirst == nil { secondsToFirst = seconds }
            tokens.append(id)
            if wantsScores { scores.append(TokenScore(id: id, logprob: event.logprob, top: event.top)) }
            emit(stops.push(try decoder.push(id)))
            if stops.isStopped { end = .stop }
            return stops.isStopped
        case .finished(let reason):
            emit(stops.push(try decoder.finish()) + stops.finish())
            end = stops.isStopped ? .stop : End(reason)
        case .failed(let message):
            self.message = message
            end = .error
        }
        return false
    }

    /// Ends it where the engine or the tokenizer failed.
    func fail(_ error: any Error) {
        message = "\(error)"
        end = .error
    }

    private func emit(_ piece: String) {
        if piece.isEmpty { return }
        text += piece
        onText(piece)
    }
}

extension Answer.End {
    init(_ reason: EngineReason) {
        switch reason {
        case .stop: self = .stop
        case .length: self = .length
        case .cancelled: self = .cancelled
        case .error: self = .error
        }
    }
}
