package import Data
package import JSON
internal import Model
internal import Template

/// Answers the rows of data sets, many at once, and gives the results in the rows' order.
package final class DatasetInference {
    package struct Counts: Sendable {
        package var answered = 0
        package var promptTokens = 0
        package var newTokens = 0
        /// Rows that were not answered.
        package var failed = 0
    }

    package private(set) var counts = Counts()
    /// What metrics and rewards made of the answers.
    package private(set) var judges: AnswerJudges
    private let service: TextService
    private let settings: GenerationSettings
    /// nil continues the rows' texts as they stand.
    private let form: ChatForm?
    private let rows: any RowFeed
    private let schemas: [RowSchema]
    private let ledger: RejectLedger
    private let width: Int
    private var pending: [Pending] = []

    private struct Pending {
        let source: SourceRow
        let row: TrainingRow
        let label: String?
        let answer: Answer
    }

    /// - Parameters:
    ///   - width: Rows that are worked on at once.
    ///   - system: For rows that bring none.
    package init(
        _ service: TextService, settings: GenerationSettings, isRaw: Bool, datasets: [ResolvedDataset],
        formats: RowFormats,
        system: String?, width: Int, ledger: RejectLedger, judges: AnswerJudges = AnswerJudges()
    ) throws {
        self.service = service
        self.settings = settings
        self.width = max(1, width)
        self.ledger = ledger
        self.judges = judges
        form = isRaw ? nil : try ChatForm(service.model)
        schemas = datasets.map { RowSchema(.prompt, columns: $0.columns, system: system) }
        rows = ChainedFeed(
            datasets.enumerated().map { index, dataset in
                let feed = FileFeed(dataset.files, formats: formats, dataset: index)
                return dataset.sample.map { FirstRows(feed, count: $0) } ?? feed
            })
    }

    /// Answers all rows.
    /// - Parameters:
    ///   - isInterrupted: Ends the work after the answers in hand.
    ///   - onResult: Gets one object a row: response, labels, logprobs, messages, and what judges say.
    package func run(isInterrupted: () -> Bool = { false }, _ onResult: (JSON) throws -> Void) throws {
        var isOpen = true
        while true {
            while isOpen, pending.filter({ $0.answer.end == nil }).count < width {
                isOpen = try !isInterrupted() && submitNext()
            }
            while let first = pending.first, first.answer.end != nil {
                try finish(first, onResult)
                pending.removeFirst()
            }
            if pending.isEmpty { if isOpen { continue } else { break } }
            if isInterrupted() { for one in pending { service.cancel(one.answer) } }
            _ = try service.step()
        }
        try ledger.check(isFinal: true)
    }

    /// Queues the next row that can be answered; false at the end.
    private func submitNext() throws -> Bool {
        guard let item = try rows.next() else { return false }
        switch item {
        case .reject(let reject): try ledger.reject(reject)
        case .row(let source):
            do {
                var row = try schemas[source.dataset].convert(source)
                var label: String?
                if !row.isText, let last = row.conversation.messages.last, last.role == "assistant" {
                    label = last.text
                    row.conversation.messages.removeLast()
                }
                let ids =
                    try form.map { try service.encode(row.conversation, $0) }
                    ?? service.encode(row.conversation.messages.map(\.text).joined(separator: "\n"))
                pending.append(
                    Pending(source: source, row: row, label: label, answer: try service.submit(ids, settings)))
                try ledger.keep()
            } catch {
                counts.failed += 1
                try ledger.reject(error as? Reject ?? Reject(source, "not answered: \(error)"))
            }
        }
        return true
    }

    private func finish(_ done: Pending, _ onResult: (JSON) throws -> Void) throws {
        let answer = done.answer
        if answer.end == .cancelled { return }
        if answer.end == .error { counts.failed += 1 } else { counts.answered += 1 }
        counts.promptTokens += answer.promptCount
        counts.newTokens += answer.tokens.count
        var messages = done.row.conversation.messages.map { Self.json($0.role, $0.text) }
        messages.append(Self.json("assistant", answer.text))
        var out = JSONObject([
            ("response", .string(answer.text)), ("labels", done.label.map(JSON.string) ?? .null),
            ("logprobs", settings.logprobs == nil ? .null : try service.logprobs(answer)),
            ("finish_reason", answer.end.map { .string($0.rawValue) } ?? .null), ("messages", .array(messages)),
        ])
        if answer.end == .error {
            out["error"] = .string(answer.message)
        } else {
            try judges.judge(answer.text, to: done.source.text, label: done.label, result: &out)
        }
        try onResult(.object(out))
    }

    private static func json(_ role: String, _ text: String) -> JSON {
        ["role": .string(role), "content": .string(text)]
    }
}

extension TextService {
    /// An answer's log-probabilities as OpenAI's chat completions write them.
    package func logprobs(_ answer: Answer) throws -> JSON {
        let tokenizer = try model.tokenizer
        func entry(_ id: Int32, _ logprob: Float) throws -> JSON {
            let text = try tokenizer.decode([id], skipSpecial: false)
            return [
                "token": .string(text), "id": .int(Int64(id)), "logprob": .double(Double(logprob)),
                "bytes": .array(text.utf8.map { .int(Int64($0)) }),
            ]
        }
        return [
            "content": .array(
                try answer.scores.map { score in
                    var object = try entry(score.id, score.logprob).object ?? JSONObject()
                    object["top_logprobs"] = .array(try score.top.map { try entry($0.id, $0.logprob) })
                    return .object(object)
                })
        ]
    }
}

/// The first rows of a feed.
private final class FirstRows: RowFeed {
    private let feed: any RowFeed
    private let count: Int
    private var given = 0

    init(_ feed: any RowFeed, count: Int) {
        self.feed = feed
        self.count = count
    }

    func next() throws -> FeedItem? {
        guard given < count else { return nil }
        given += 1
        return try feed.next()
    }

    var state: JSON { ["feed": feed.state, "given": .int(Int64(given))] }

    func restore(_ state: JSON) throws {
        guard let inner = state["feed"], let given = state["given"]?.int else {
            throw DataError("cursor", found: state.text(), wanted: "a state of the first \(count) rows")
        }
        try feed.restore(inner)
        self.given = given
    }
}
