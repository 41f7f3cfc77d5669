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
                "task", .text,
                "causal_lm, embedding, seq_cls, reward, reranker or token_cls; what the model was made for when not given",
                aliases: ["task_type"]),
            Flag("query", .text, "What the texts are held against, by a reranker"),
            Flag("prompt_name", .text, "Which of the model's prompts goes before each text, for embeddings"),
            Flag("ids", .text, "JSONL file with a list of token ids a line; - reads standard input"),
            Flag(
                "texts", .text,
                "File with a text a line, or JSONL with \"text\", \"messages\", or \"query\" and \"documents\"; - reads standard input"
            ),
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
        let task = try task(arguments, model)
        let features = try arguments.text("features").map { try FeatureItems(path: $0, components: registry) }
        guard task == .causal else {
            return try ScoreTasks(model: model, arguments: arguments, features: features).run(task)
        }
        let sequences = try ScoreInput.sequences(arguments, model)
        guard !sequences.isEmpty else { throw UsageError("there is nothing to score; give a text, --texts or --ids") }
        guard arguments.has("logits") || sequences.contains(where: { $0.count > 1 }) else {
            throw UsageError("there is nothing to score: no text has a token that stands behind another")
        }
        try check(features, sequences, model)
        try scoreTokens(sequences, features, model, registry, arguments)
    }

    /// What is asked for; else what the model was made for, where pairs of texts are for a reranker.
    private static func task(_ arguments: Arguments, _ model: Model) throws -> Model.Task {
        guard let name = arguments.text("task") else {
            return model.task == .reward && arguments.has("query") ? .reranker : model.task
        }
        guard let task = Model.Task(rawValue: name) else {
            let known = Model.Task.allCases.map(\.rawValue).joined(separator: ", ")
            throw UsageError("--task is \"\(name)\", wanted one of \(known)")
        }
        return task
    }

    // MARK: Log-probabilities

    private static func check(
        _ features: FeatureItems?, _ sequences: [[Int32]], _ model: Model
    ) throws {
        guard let features else { return }
        guard model.shape.context != nil else {
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
            // A single token stands behind nothing that it could be told from.
            let mean = logprobs.isEmpty ? nil : -logprobs.reduce(0, +) / Double(logprobs.count)
            line(
                i, ids,
                [
                    ("logprobs", .array(logprobs.map(JSON.double))), ("nll", mean.map(JSON.double) ?? .null),
                    ("perplexity", mean.map { .double(exp($0)) } ?? .null),
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

    // MARK: Output

    static func line(_ index: Int, _ ids: [Int32], _ fields: [(String, JSON)], _ arguments: Arguments) {
        line(index, "ids", .array(ids.map { .int(Int64($0)) }), fields, arguments)
    }

    static func line(
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
