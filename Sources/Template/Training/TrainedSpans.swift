/// Where the assistant's turns stand in a rendered conversation.
struct TrainedSpans {
    struct Turn: Equatable {
        /// Index of the message.
        let message: Int
        /// UTF-8 offsets in the whole text of what the model is to write, the token that ends the turn included.
        let range: Range<Int>
    }

    let text: [UInt8]
    /// In order; turns whose text changes when others follow are left out.
    private(set) var turns: [Turn] = []
    /// Messages left out.
    private(set) var rewritten: [Int] = []

    init(
        _ conversation: Conversation, _ template: Template, needing needed: Set<Int>, options: TrainingOptions
    ) throws(TrainingError) {
        let whole = try Self.render(conversation, template, options)
        text = Array(whole.text.utf8)
        let assistants = conversation.messages.indices.filter { conversation.messages[$0].role == "assistant" }
        if template.marksGeneration, let generated = whole.generated {
            try take(generated, assistants, needed)
        } else {
            for index in assistants where needed.contains(index) || index == assistants.last {
                try find(index, conversation, template, options)
            }
        }
    }

    // MARK: Generation blocks

    /// The template says itself what the model writes.
    private mutating func take(
        _ generated: [Range<Int>], _ assistants: [Int], _ needed: Set<Int>
    ) throws(TrainingError) {
        if generated.count == assistants.count {
            turns = zip(assistants, generated).map { Turn(message: $0, range: $1) }
        } else if needed.count == assistants.count, let last = assistants.last {
            turns = generated.map { Turn(message: last, range: $0) }
        } else {
            throw .generationBlocks(found: generated.count, wanted: assistants.count)
        }
    }

    // MARK: Rendering with and without the turn

    /// The turn is what rendering up to and including it adds to rendering up to it with the generation prompt.
    private mutating func find(
        _ index: Int, _ conversation: Conversation, _ template: Template, _ options: TrainingOptions
    ) throws(TrainingError) {
        var before = conversation
        before.messages = Array(conversation.messages[..<index])
        var upTo = conversation
        upTo.messages = Array(conversation.messages[...index])
        let including =
            index == conversation.messages.count - 1
            ? text : Array(try Self.render(upTo, template, options).text.utf8)
        guard text.starts(with: including) else {
            rewritten.append(index)
            return
        }
        var prompting = options
        prompting.render.addsGenerationPrompt = true
        let prompt = Array(try Self.render(before, template, prompting).text.utf8)
        var start = prompt.count
        if !including.starts(with: prompt) {
            // The prompt may open something that this turn does not have, such as thoughts. It must still agree
            // with the text on everything before the prompt itself.
            let history = Array(try Self.render(before, template, options).text.utf8)
            start = Self.commonPrefix(prompt, including)
            guard start >= history.count, including.starts(with: history) else {
                throw .rewritesHistory(message: index)
            }
            start = Self.beforeOpenTag(start, including, from: history.count)
        }
        let end = Self.withoutTrailingSpace(including, from: start)
        turns.append(Turn(message: index, range: start..<Swift.max(start, end)))
    }

    private static func render(
        _ conversation: Conversation, _ template: Template, _ options: TrainingOptions
    ) throws(TrainingError) -> Template.Rendering {
        do { return try template.render(conversation, options: options.render) } catch { throw .template(error) }
    }

    private static func commonPrefix(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var count = 0
        let limit = Swift.min(a.count, b.count)
        while count < limit, a[count] == b[count] { count += 1 }
        // A cut inside a character moves to its start.
        while count > 0, count < b.count, b[count] & 0xC0 == 0x80 { count -= 1 }
        return count
    }

    /// Moves a cut out of a tag that it would split: `<th|ink>` to `|<think>`.
    private static func beforeOpenTag(_ cut: Int, _ text: [UInt8], from: Int) -> Int {
        var at = cut
        while at > from {
            at -= 1
            if text[at] == UInt8(ascii: ">") { return cut }
            if text[at] == UInt8(ascii: "<") { return at }
        }
        return cut
    }

    /// The end less the line breaks and spaces with which the form sets turns apart: they follow the end token and
    /// the model is never asked for them.
    private static func withoutTrailingSpace(_ text: [UInt8], from: Int) -> Int {
        var end = text.count
        while end > from, text[end - 1] == 0x20 || (0x09...0x0D).contains(text[end - 1]) { end -= 1 }
        return end
    }
}
