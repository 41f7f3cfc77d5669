import Glibc
import JSON
import Model

/// What heads over sequences say: vectors, labels, rewards, how well texts go together, names of tokens.
struct ScoreTasks {
    let model: Model
    let arguments: Arguments
    /// Images or sound, where they are given.
    var features: FeatureItems?

    func run(_ task: Model.Task) throws {
        guard features == nil || task == .embedding else {
            throw UsageError("--features goes with --task embedding or causal_lm, not with \(task.rawValue)")
        }
        switch task {
        case .causal: return
        case .embedding: try embed()
        case .classification, .reward: try classify(isReward: task == .reward)
        case .reranker: try rerank()
        case .tokens: try nameTokens()
        }
    }

    private func embed() throws {
        let head = try EmbeddingHead(model)
        if let features { return try embed(features, head) }
        let name = arguments.text("prompt_name")
        let sequences = try ScoreInput.sequences(arguments, model) { try head.prompted($0, name: name) }
        let limit = head.maximumTokens
        let cut = sequences.map { ids in limit > 0 && ids.count > limit ? ScoreInput.cut(ids, to: limit) : ids }
        try inBatches(cut, \.count) { i, batch in
            for (j, vector) in try head.embeddings(batch).enumerated() {
                ScoreCommand.line(
                    i + j, batch[j], [("embedding", .array(vector.map { .double(Double($0)) }))], arguments)
            }
        }
    }

    /// Vectors of images, a few at once.
    private func embed(_ items: FeatureItems, _ head: EmbeddingHead) throws {
        for start in stride(from: 0, to: items.count, by: 8) {
            let batch = items[start..<min(items.count, start + 8)]
            for (j, vector) in try head.embeddings(batch).enumerated() {
                let value = JSON.array(vector.map { .double(Double($0)) })
                ScoreCommand.line(start + j, "item", .string(batch.names[j]), [("embedding", value)], arguments)
            }
        }
    }

    private func classify(isReward: Bool) throws {
        let head = try ClassifierHead(model)
        try inBatches(try ScoreInput.sequences(arguments, model), \.count) { i, batch in
            for (j, scores) in try head.scores(batch).enumerated() {
                ScoreCommand.line(
                    i + j, batch[j], isReward ? Self.reward(scores) : Self.labels(scores, head.labels), arguments)
            }
        }
    }

    private func rerank() throws {
        let head = try ClassifierHead(model)
        let pairs = try ScoreInput.pairs(arguments, model)
        guard !pairs.isEmpty else {
            throw UsageError(
                "there are no pairs; give --query TEXT and documents, or --texts with \"query\" and \"documents\"")
        }
        try inBatches(pairs, \.ids.count) { i, batch in
            for (j, scores) in try head.scores(batch).enumerated() {
                let values = head.relevance(scores).map(JSON.double)
                ScoreCommand.line(
                    i + j, batch[j].ids, [("score", values.count == 1 ? values[0] : .array(values))], arguments)
            }
        }
    }

    private func nameTokens() throws {
        let head = try TokenClassifierHead(model)
        let tokenizer = try? model.tokenizer
        try inBatches(try ScoreInput.sequences(arguments, model), \.count) { i, batch in
            for (j, scores) in try head.scores(batch).enumerated() {
                let best = scores.map { row in row.indices.max { row[$0] < row[$1] } ?? 0 }
                let named = best.map { head.labels.indices.contains($0) ? head.labels[$0] : "LABEL_\($0)" }
                if !arguments.bool("json") {
                    for (id, label) in zip(batch[j], named) {
                        Terminal.line(
                            "\(i + j)\t\(id)\t\(tokenizer?.piece(id).map { JSON.string($0).text() } ?? "")\t\(label)")
                    }
                    continue
                }
                ScoreCommand.line(
                    i + j, batch[j],
                    [
                        ("labels", .array(named.map(JSON.string))),
                        ("scores", .array(scores.map { .array($0.map { .double(Double($0)) }) })),
                    ], arguments)
            }
        }
    }

    // MARK: Parts

    private static func reward(_ scores: [Float]) -> [(String, JSON)] {
        [("reward", scores.count == 1 ? .double(Double(scores[0])) : .array(scores.map { .double(Double($0)) }))]
    }

    private static func labels(_ scores: [Float], _ names: [String]) -> [(String, JSON)] {
        let values = scores.map(Double.init)
        let top = values.max() ?? 0
        let total = values.reduce(0) { $0 + exp($1 - top) }
        let best = values.indices.max { values[$0] < values[$1] } ?? 0
        return [
            ("label", .string(names.indices.contains(best) ? names[best] : "LABEL_\(best)")),
            ("probabilities", .array(values.map { .double(exp($0 - top) / total) })),
            ("scores", .array(values.map(JSON.double))),
        ]
    }

    /// Runs as many at once as `--batch_tokens` holds, at least one.
    private func inBatches<Item>(_ items: [Item], _ size: (Item) -> Int, _ body: (Int, [Item]) throws -> Void) throws {
        guard !items.isEmpty else { throw UsageError("there is nothing to score; give a text, --texts or --ids") }
        let limit = max(1, arguments.int("batch_tokens") ?? 2048)
        var start = 0
        while start < items.count {
            var end = start + 1
            var tokens = size(items[start])
            while end < items.count, tokens + size(items[end]) <= limit {
                tokens += size(items[end])
                end += 1
            }
            try body(start, Array(items[start..<end]))
            start = end
        }
    }
}
