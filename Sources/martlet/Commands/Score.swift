import Glibc
import JSON
import Model
import PluginKit

/// What a model thinks of texts: log-probabilities, vectors, scores of labels or rewards.
enum ScoreCommand: Command {
    static let name = "score"
    static let summary = "Log-probabilities and perplexity, embeddings, label scores or rewards of texts or token ids"
    static let operands = "[TEXT …]"
    static let flags =
        Session.modelFlags + [
            Flag("adapters", .text, "PEFT adapter directory to put over the model"),
            Flag(
                "task", .text, "causal_lm, embedding, seq_cls or reward", default: "causal_lm", aliases: ["task_type"]),
            Flag("ids", .text, "JSONL file with a list of token ids a line; - reads standard input"),
            Flag(
                "texts", .text,
                "File with a text a line, or JSONL with \"text\" or \"messages\"; - reads standard input"),
            Flag(
                "features", .text,
                "safetensors file of what the model sees or hears, an item a tensor: pixels [3, h, w], log-mel [bands, frames]"
            ),
            Flag("no_special", .boolean, "Add no beginning or end tokens", default: "false"),
            Flag("logits", .text, "Write all logits to this safetensors file, in f32: logits.0, logits.1 …"),
            Flag("batch_tokens", .integer, "Tokens that are run at once for embeddings and labels", default: "2048"),
            Flag(
                "check", .boolean, "Only compare the checkpoint with the model, and tell its memory", default: "false"),
        ]

    static func run(_ arguments: Arguments) throws {
        let registry = try Session.registry(arguments)
        let model = try Session.model(arguments, registry)
        let audit = try CheckpointAudit(model)
        if arguments.bool("check") { return try report(audit, model, isJSON: arguments.bool("json")) }
        try audit.check(model.path)
        if !audit.unused.isEmpty {
            Terminal.error("\(model.path): nothing reads \(audit.unused.count) tensors, such as \(audit.unused[0])")
        }
        if let adapter = arguments.text("adapters") { try Session.adapt(model, adapter, registry) }
        let features = try arguments.text("features").map { try FeatureItems(path: $0, components: registry) }
        if let features, arguments.text("task") == "embedding" { return try embed(features, model, arguments) }
        let sequences = try ScoreInput.sequences(arguments, model)
        guard !sequences.isEmpty else { throw UsageError("there is nothing to score; give a text, --texts or --ids") }
        try check(features, sequences, model, arguments)
        switch arguments.text("task") {
        case "causal_lm": try scoreTokens(sequences, features, model, registry, arguments)
        case "embedding":
            let head = try EmbeddingHead(model)
            let limit = head.maximumTokens
            let cut = sequences.map { ids in limit > 0 && ids.count > limit ? ScoreInput.cut(ids, to: limit) : ids }
            try inBatches(cut, arguments) { i, batch in
                for (j, vector) in try head.embeddings(batch).enumerated() {
                    line(i + j, batch[j], [("embedding", .array(vector.map { .double(Double($0)) }))], arguments)
                }
            }
        case "seq_cls", "reward":
            let head = try ClassifierHead(model)
            let isReward = arguments.text("task") == "reward"
            try inBatches(sequences, arguments) { i, batch in
                for (j, scores) in try head.scores(batch).enumerated() {
                    line(i + j, batch[j], isReward ? reward(scores) : labels(scores, head), arguments)
                }
            }
        case let other: throw UsageError("--task is \"\(other ?? "")\", wanted causal_lm, embedding, seq_cls or reward")
        }
    }

    // MARK: Tasks

    /// Vectors of images, a few at once.
    private static func embed(_ items: FeatureItems, _ model: Model, _ arguments: Arguments) throws {
        let head = try EmbeddingHead(model)
        for start in stride(from: 0, to: items.count, by: 8) {
            let batch = items[start..<min(items.count, start + 8)]
            for (j, vector) in try head.embeddings(batch).enumerated() {
                let value = JSON.array(vector.map { .double(Double($0)) })
                line(start + j, "item", .string(batch.names[j]), [("embedding", value)], arguments)
            }
        }
    }

    private static func check(
        _ features: FeatureItems?, _ sequences: [[Int32]], _ model: Model, _ arguments: Arguments
    ) throws {
        guard let features else { return }
        guard model.shape.context != nil, arguments.text("task") == "causal_lm" else {
            throw UsageError(
                "--features goes with --task embedding of a model that makes vectors of images, or with causal_lm of one whose decoder attends to them; \(model.family.id) does not"
            )
        }
        guard features.count == sequences.count else {
            throw UsageError("--features holds \(features.count) items for \(sequences.count) texts; give one a text")
        }
    }

    private static func scoreTokens(
        _ sequences: [[Int32]], _ features: FeatureItems?, _ model: Model, _ registry: any ComponentSource,
        _ arguments: Arguments
    ) throws {
        let scorer = Scorer(model)
        if let path = arguments.text("logits") {
            return try writeLogits(sequences, features, scorer, model, registry, to: path)
        }
        var total = 0.0
        var count = 0
        for (i, ids) in sequences.enumerated() {
            let logprobs = try scorer.logprobs(ids, features: features?[i..<i + 1]).map(Double.init)
            total -= logprobs.reduce(0, +)
            count += logprobs.count
            let mean = logprobs.isEmpty ? 0 : -logprobs.reduce(0, +) / Double(logprobs.count)
            line(
                i, ids,
                [
                    ("logprobs", .array(logprobs.map(JSON.double))), ("nll", .double(mean)),
                    ("perplexity", .double(exp(mean))),
                ],
                arguments)
        }
        guard count > 0 else { return }
        let mean = total / Double(count)
        if arguments.bool("json") {
            let all: JSON = [
                "scored_tokens": .int(Int64(count)), "nll": .double(mean), "perplexity": .double(exp(mean)),
            ]
            Terminal.line(all.text())
        } else {
            Terminal.line("all\t\(count) scored tokens\tnll \(mean)\tperplexity \(exp(mean))")
        }
    }

    private static func writeLogits(
        _ sequences: [[Int32]], _ features: FeatureItems?, _ scorer: Scorer, _ model: Model,
        _ registry: any ComponentSource, to path: String
    ) throws {
        guard path.hasSuffix(".safetensors") else {
            throw UsageError("--logits is \"\(path)\", wanted a .safetensors file")
        }
        let width = model.shape.vocabulary
        let writer = try CheckpointWriterHandle(
            format: "safetensors", path: path,
            tensors: sequences.enumerated().map { i, ids in
                TensorEntry(
                    name: "logits.\(i)", layout: "f32", shape: [ids.count, width], size: UInt64(4 * ids.count * width))
            }, components: registry)
        for (i, ids) in sequences.enumerated() {
            try writer.write(scorer.logits(ids, features: features?[i..<i + 1]))
        }
        try writer.finish()
    }

    private static func reward(_ scores: [Float]) -> [(String, JSON)] {
        [("reward", scores.count == 1 ? .double(Double(scores[0])) : .array(scores.map { .double(Double($0)) }))]
    }

    private static func labels(_ scores: [Float], _ head: ClassifierHead) -> [(String, JSON)] {
        let values = scores.map(Double.init)
        let top = values.max() ?? 0
        let total = values.reduce(0) { $0 + exp($1 - top) }
        let best = values.indices.max { values[$0] < values[$1] } ?? 0
        let names = head.labels
        return [
            ("label", .string(names.indices.contains(best) ? names[best] : "LABEL_\(best)")),
            ("probabilities", .array(values.map { .double(exp($0 - top) / total) })),
            ("scores", .array(values.map(JSON.double))),
        ]
    }

    /// Runs as many sequences at once as `--batch_tokens` holds, at least one.
    private static func inBatches(
        _ sequences: [[Int32]], _ arguments: Arguments, _ body: (Int, [[Int32]]) throws -> Void
    ) throws {
        let limit = max(1, arguments.int("batch_tokens") ?? 2048)
        var start = 0
        while start < sequences.count {
            var end = start + 1
            var tokens = sequences[start].count
            while end < sequences.count, tokens + sequences[end].count <= limit {
                tokens += sequences[end].count
                end += 1
            }
            try body(start, Array(sequences[start..<end]))
            start = end
        }
    }

    // MARK: Output

    private static func line(_ index: Int, _ ids: [Int32], _ fields: [(String, JSON)], _ arguments: Arguments) {
        line(index, "ids", .array(ids.map { .int(Int64($0)) }), fields, arguments)
    }

    private static func line(
        _ index: Int, _ key: String, _ subject: JSON, _ fields: [(String, JSON)], _ arguments: Arguments
    ) {
        if arguments.bool("json") {
            let head: [(String, JSON)] = [("index", .int(Int64(index))), (key, subject)]
            return Terminal.line(JSON.object(JSONObject(head + fields)).text())
        }
        // A list of a number for each token or element is for programs.
        let shown = fields.map { name, value in
            let list = value.array ?? []
            return list.count > 8
                ? "\(name) of \(list.count): \(list.prefix(4).map { $0.text() }.joined(separator: " ")) …"
                : "\(name) \(value.string ?? value.text())"
        }
        Terminal.line(
            "\(index)\t\(subject.array.map { "\($0.count) tokens" } ?? "\(key) \(subject.string ?? "")")\t"
                + shown.filter { !$0.hasPrefix("logprobs") }.joined(separator: "\t"))
    }

    private static func report(_ audit: CheckpointAudit, _ model: Model, isJSON: Bool) throws {
        let cache = model.shape.attention.reduce(0) { $0 + $1.keyValueHeads * ($1.keyWidth + $1.valueWidth) }
        if isJSON {
            let document: JSON = [
                "family": .string(model.family.id), "parameters": .int(Int64(audit.parameterCount)),
                "weight_bytes": .int(Int64(audit.totalWeightBytes)), "cache_values_per_token": .int(Int64(cache)),
                "problems": .array(audit.problems.map(JSON.string)), "unused": .array(audit.unused.map(JSON.string)),
            ]
            Terminal.line(document.text())
        } else {
            let layouts = audit.weightBytes.sorted { $0.value > $1.value }.map {
                "\($0.key) \(ProgressLine.size($0.value))"
            }
            Terminal.line("\(model.family.id): \(audit.parameterCount) parameters")
            Terminal.line("weights \(ProgressLine.size(audit.totalWeightBytes)) (\(layouts.joined(separator: ", ")))")
            Terminal.line("cache \(cache) values a token")
            for name in audit.unused { Terminal.line("nothing reads \(name)") }
            for problem in audit.problems { Terminal.line(problem) }
        }
        if !audit.problems.isEmpty { throw ExitStatus.failure }
    }
}
