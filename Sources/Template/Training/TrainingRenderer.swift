/// Turns conversations into tokens with the weight of each in the loss.
///
/// The ids are those of the whole rendered text, as the model meets it when it is asked; what the model is to write is
/// found in the text first and in the tokens second. A token that begins before a trained text and ends in it is
/// trained, as in transformers' assistant masks.
package struct TrainingRenderer: Sendable {
    package let template: Template
    package var options: TrainingOptions

    package init(_ template: Template, options: TrainingOptions = TrainingOptions()) {
        self.template = template
        self.options = options
    }

    /// - Parameter tokenize: ids of a text with special tokens known and none added.
    /// - Throws: `TrainingError`, or what `tokenize` throws.
    package func encode(_ conversation: Conversation, tokenize: (String) throws -> [Int32]) throws -> TrainingSequence {
        let worth = weights(of: conversation)
        let wanted = Set(worth.keys.filter { worth[$0] != 0 })
        let needed = options.turns == .all ? Set(worth.keys) : wanted
        let spans = try TrainedSpans(conversation, template, needing: needed, options: options)
        if options.rewritten == .refused, let message = spans.rewritten.first(where: wanted.contains) {
            throw TrainingError.rewritesHistory(message: message)
        }
        let pieces = spans.turns.map { turn in
            (range: trimmed(turn.range, spans.text), weight: worth[turn.message] ?? 0)
        }
        let cuts = pieces.flatMap { [$0.range.lowerBound, $0.range.upperBound] }
        let tokens = try TokenizedText(spans.text, cuts: cuts, tokenize)
        var weights = [Float](repeating: options.turns == .all ? 1 : 0, count: tokens.ids.count)
        for piece in pieces {
            let range = tokens.tokens(in: piece.range)
            for at in range { weights[at] = piece.weight }
        }
        if !weights.dropFirst().contains(where: { $0 != 0 }) { throw TrainingError.nothingTrained }
        let promptLength = pieces.last.map { tokens.tokens(in: $0.range).lowerBound }
        return TrainingSequence(
            ids: tokens.ids, weights: weights, promptLength: promptLength ?? 0,
            rewrittenTurns: spans.rewritten.count(where: wanted.contains),
            text: String(decoding: spans.text, as: UTF8.self))
    }

    /// One sequence for each assistant's turn that is trained, each with just what came before it: what the template
    /// drops from earlier turns is kept, at the price of reading the conversation's head again.
    package func encodeRounds(
        _ conversation: Conversation, tokenize: (String) throws -> [Int32]
    ) throws -> [TrainingSequence] {
        let worth = weights(of: conversation)
        var sequences: [TrainingSequence] = []
        for index in conversation.messages.indices {
            guard let weight = worth[index], weight != 0 else { continue }
            var round = conversation
            round.messages = Array(conversation.messages[...index])
            for at in round.messages.indices { round.messages[at].isTrained = at == index }
            round.messages[index].lossScale = weight
            sequences.append(try encode(round, tokenize: tokenize))
        }
        if sequences.isEmpty { throw TrainingError.nothingTrained }
        return sequences
    }

    /// What each assistant's message is worth. A message's own `loss` wins over the policy.
    private func weights(of conversation: Conversation) -> [Int: Float] {
        let messages = conversation.messages
        let lastUser = messages.lastIndex { $0.role == "user" } ?? -1
        var weights: [Int: Float] = [:]
        for (index, message) in messages.enumerated() where message.role == "assistant" {
            let byPolicy = options.turns != .lastRound || index > lastUser
            weights[index] = message.isTrained ?? byPolicy ? message.lossScale ?? 1 : 0
        }
        return weights
    }

    /// A turn without the thoughts at its head, where there are none between their tags.
    private func trimmed(_ range: Range<Int>, _ text: [UInt8]) -> Range<Int> {
        guard options.ignoresEmptyThinking else { return range }
        let turn = Text.string(text[range])
        guard Text.hasPrefix(turn, "<think>") else { return range }
        let rest = Text.strip(Text.string(text[(range.lowerBound + 7)..<range.upperBound]), right: false)
        guard Text.hasPrefix(rest, "</think>") else { return range }
        let answer = Text.strip(Text.string(Array(rest.utf8)[8...]), right: false)
        return (range.upperBound - answer.utf8.count)..<range.upperBound
    }
}

/// A text's ids, and which of them lie in parts of the text.
struct TokenizedText {
    let ids: [Int32]
    /// Tokens before each cut; whether the cut falls between two tokens.
    private var places: [Int: (count: Int, isClean: Bool)] = [:]

    init(_ text: [UInt8], cuts: [Int], _ tokenize: (String) throws -> [Int32]) throws {
        ids = try tokenize(String(decoding: text, as: UTF8.self))
        let ordered = Set(cuts).sorted()
        // Where special tokens stand at the cuts, the pieces' tokens are the whole's.
        var joined: [Int32] = []
        var start = 0
        for cut in ordered {
            if cut > start { joined += try tokenize(Text.string(text[start..<cut])) }
            places[cut] = (joined.count, true)
            start = cut
        }
        if start < text.count { joined += try tokenize(Text.string(text[start...])) }
        if joined == ids { return }
        // Otherwise a cut lies where the ids of the head and of the whole part.
        for cut in ordered {
            let head = cut == 0 ? [] : try tokenize(Text.string(text[..<cut]))
            let common = zip(head, ids).prefix { $0 == $1 }.count
            places[cut] = (common, common == head.count)
        }
    }

    /// Tokens that lie in `range` or reach into it.
    func tokens(in range: Range<Int>) -> Range<Int> {
        let start = places[range.lowerBound]?.count ?? 0
        let end = places[range.upperBound] ?? (ids.count, true)
        if range.isEmpty { return start..<start }
        return start..<Swift.max(start, Swift.min(ids.count, end.isClean ? end.count : end.count + 1))
    }
}
