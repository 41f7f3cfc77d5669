/// Which tokens of a conversation are trained, and what they are worth.
package struct TrainingOptions: Sendable {
    package enum Turns: String, Sendable {
        /// What the assistant says in every turn.
        case `default`
        /// What the assistant says after the last message of the user.
        case lastRound = "last_round"
        /// Everything, the user's words and the form's own tokens too.
        case all
    }

    /// What becomes of an assistant's turn whose text changes once others follow it. Templates of thinking models
    /// drop the thoughts of earlier rounds: as part of the whole conversation such a turn is not what the model is
    /// to write.
    package enum Rewritten: Sendable {
        /// It stays as context and is not trained. `TrainingSequence.rewrittenTurns` counts them.
        case untrained
        /// It is an error that names the message.
        case refused
    }

    package var turns = Turns.default
    package var rewritten = Rewritten.untrained
    /// Leave `<think>` and `</think>` with nothing between them untrained at the head of a turn, so that a hybrid
    /// model does not unlearn thinking.
    package var ignoresEmptyThinking = true
    package var render = RenderOptions()

    package init() {}
}

/// The tokens of one conversation.
package struct TrainingSequence: Sendable, Equatable {
    /// Those of the whole rendered text.
    package var ids: [Int32]
    /// `weights[t]` is what predicting `ids[t]` from the tokens before it is worth to the loss; 0 is not trained.
    package var weights: [Float]
    /// Tokens before the last assistant's turn.
    package var promptLength: Int
    /// Assistant's turns that the policy would train but the template rewrites.
    package var rewrittenTurns: Int
    package var text: String
}

/// Why a conversation cannot be trained on.
package enum TrainingError: Error, Equatable, Sendable, CustomStringConvertible {
    case template(TemplateError)
    /// The template writes what stands before a message differently once the message is there.
    case rewritesHistory(message: Int)
    /// The template's generation blocks do not pair with the assistant's messages.
    case generationBlocks(found: Int, wanted: Int)
    case nothingTrained

    package var description: String {
        switch self {
        case .template(let error): return error.description
        case .rewritesHistory(let message):
            return "message \(message): the template writes the text up to this turn differently once the turn, or one "
                + "after it, is there, so that the trained text cannot be told; train the last round alone, "
                + "or mark the trained text by {% generation %} blocks in the template"
        case .generationBlocks(let found, let wanted):
            return "the template has \(found) generation blocks for \(wanted) assistant messages; "
                + "\"loss\" of single messages and last_round need one for each"
        case .nothingTrained: return "no token of the conversation is trained: it has no assistant's message with loss"
        }
    }
}
