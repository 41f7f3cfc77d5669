import Template

/// Turns rows into tokens. Any number of threads use it at once.
package protocol RowEncoder: Sendable {
    /// Changes with anything that changes what `encode` gives: tokenizer, template, settings. Caches are kept by it.
    var identity: String { get }
    /// - Throws: What keeps the row from being encoded; the row is then rejected.
    func encode(_ row: TrainingRow) throws -> EncodedExample
    /// The text of tokens, for people to read.
    func text(of ids: [Int32]) -> String
}

/// Encodes by a chat template and a tokenizer, as serving does.
package struct TemplateEncoder: RowEncoder {
    package let identity: String
    private let renderer: TrainingRenderer?
    private let tokenize: @Sendable (String) throws -> [Int32]
    private let tokenizeText: @Sendable (String) throws -> [Int32]
    private let decode: @Sendable ([Int32]) -> String
    private let endID: Int32?

    /// - Parameters:
    ///   - renderer: nil for models without a chat form: conversations are then rejected.
    ///   - tokenize: Ids of a text with special tokens known and none added.
    ///   - tokenizeText: Ids of a text to be continued, with the tokenizer's own first token.
    ///   - endID: Put behind a text to be continued.
    package init(
        identity: String, renderer: TrainingRenderer?, endID: Int32?,
        tokenize: @escaping @Sendable (String) throws -> [Int32],
        tokenizeText: @escaping @Sendable (String) throws -> [Int32], decode: @escaping @Sendable ([Int32]) -> String
    ) {
        self.identity = identity
        self.renderer = renderer
        self.endID = endID
        self.tokenize = tokenize
        self.tokenizeText = tokenizeText
        self.decode = decode
    }

    package func encode(_ row: TrainingRow) throws -> EncodedExample {
        if row.isText {
            var ids = try tokenizeText(row.conversation.messages.last?.text ?? "")
            if let endID, ids.last != endID { ids.append(endID) }
            return EncodedExample(
                sequences: [EncodedSequence(ids: ids, weights: Array(repeating: 1, count: ids.count))], label: row.label
            )
        }
        var sequences = [try sequence(row.conversation)]
        if let rejected = row.rejected { sequences.append(try sequence(rejected)) }
        return EncodedExample(
            row.rejected == nil ? .single : .pair, sequences: sequences, label: row.label, margin: row.margin)
    }

    private func sequence(_ conversation: Conversation) throws -> EncodedSequence {
        guard let renderer else {
            throw DataError("template", found: "none", wanted: "a chat template for conversations")
        }
        let encoded = try renderer.encode(conversation, tokenize: tokenize)
        if let lost = LostTools(conversation, in: encoded.text, of: renderer.template.name) { throw lost }
        return EncodedSequence(ids: encoded.ids, weights: encoded.weights, promptLength: encoded.promptLength)
    }

    package func text(of ids: [Int32]) -> String { decode(ids) }
}

/// A template that passes over tools would train answers without their calls.
struct LostTools: Error {
    let cause: String

    /// nil where every tool and every call stands in the text by its name.
    init?(_ conversation: Conversation, in text: String, of template: String) {
        let tools = conversation.tools.compactMap { $0["function"]?["name"]?.string }
        let calls = conversation.messages.flatMap { $0.toolCalls.map(\.name) }
        func missing(_ names: [String]) -> String? { names.first { !$0.isEmpty && !text.contains($0) } }
        let what: String
        if let name = missing(calls) {
            what = "the call of \"\(name)\""
        } else if let name = missing(tools) {
            what = "the tool \"\(name)\""
        } else {
            return nil
        }
        cause =
            "tools are lost: the \(template) leaves out \(what); put a chat_template.jinja with tools into the model's "
            + "directory, or take tools out of the rows"
    }
}
