import Data
import Files
import Host
import Hub
import JSON
import Model
import Training

/// What a training run would do: `--dry_run`.
struct TrainPlan {
    private let arguments: Arguments
    private let registry: Registry

    init(_ arguments: Arguments, _ registry: Registry) {
        self.arguments = arguments
        self.registry = registry
    }

    /// Resolves all that can be without fetching or writing, and says it.
    func show() throws {
        var lines: [(String, String)] = []
        var missing = false
        let model = try localModel { problem in
            lines.append(("model", problem))
            missing = true
        }
        let names = try DatasetNames(arguments, registry, isOffline: true)
        for name in arguments.list("dataset") + arguments.list("val_dataset") {
            do {
                let found = try names.resolve(name)
                lines.append(
                    ("data", "\(name): \(found.files.count == 1 ? found.files[0] : "\(found.files.count) files")"))
            } catch {
                lines.append(("data", "\(error)"))
                missing = true
            }
        }
        if let model, !missing { lines += try plan(model) }
        lines.append(("output", try arguments.required("output_dir")))
        if arguments.bool("json") {
            Terminal.line(
                JSON.object(
                    JSONObject([
                        ("plan", .array(lines.map { [.string($0.0), .string($0.1)] })), ("complete", .bool(!missing)),
                    ])
                ).text())
        } else {
            Terminal.line(Terminal.table(lines.map { [$0.0, $0.1] }))
            Terminal.line(
                missing ? "dry run: nothing was fetched or trained" : "dry run: everything is here; nothing was trained"
            )
        }
    }

    private func localModel(_ problem: (String) -> Void) throws -> Model? {
        let name = try arguments.required("model")
        if System.kind(of: name) != nil { return try Session.model(arguments, registry, path: name) }
        var options = Session.downloadOptions(arguments)
        options.offline = true
        do {
            let path = try NameResolver(registry).path(
                name, usesHuggingFace: Session.usesHuggingFace(arguments), options)
            return try Session.model(arguments, registry, path: path)
        } catch let error as HubError where error.code == .offline {
            problem("\(error)")
            return nil
        }
    }

    private func plan(_ model: Model) throws -> [(String, String)] {
        let audit = try CheckpointAudit(model)
        try audit.check(model.path)
        let layouts = audit.weightBytes.sorted { $0.key < $1.key }.map { "\($0.key) \(ProgressLine.size($0.value))" }
        var lines = [
            ("model", model.path),
            ("family", "\(model.family.id), \(audit.parameterCount) parameters: \(layouts.joined(separator: ", "))"),
        ]
        let parts = TrainParts(arguments, model, registry)
        let tuner = try parts.tuner()
        let data = try parts.data(pairs: parts.needsPairs(), directory: nil)
        var longest = MemoryEstimate.Batch(tokens: 16, rows: 1)
        var (batches, tokens) = (0, 0)
        let stream = try data.batches(epoch: 0)
        while batches < 4096, let batch = try stream.next() {
            batches += 1
            tokens += batch.tokenCount
            if batch.tokenCount > longest.tokens {
                longest = .init(tokens: batch.tokenCount, rows: batch.sequenceCount)
            }
        }
        let rows = data.rowCount.map { "\($0) rows" } ?? "rows are streamed"
        let rejects = data.ledger.counts.rejectedRows
        let rejected = rejects > 0 ? ", \(rejects) rejected" : ""
        lines.append(
            ("rows", "\(rows)\(rejected); \(batches) batches of \(tokens) tokens in all, the longest \(longest.tokens)")
        )
        let settings = try parts.trainerSettings(data, tuner, nil, epochs: parts.runSettings("").epochs)
        lines.append(
            (
                "steps",
                "\(settings.schedule.steps) of \(settings.accumulation) batches, peak learning rate \(settings.schedule.peak)"
            ))
        let base = Int(ProcessMemory.resident)
        var memory = try MemoryEstimate(training: model, parts.method(tuner), batch: longest)
        memory.add("the program", base)
        let trained = memory.parts.first { $0.name == "trained tensors" }?.bytes ?? 0
        lines.append(("trained", "\(trained / 4) numbers, \(tuner == nil ? "the weights themselves" : "LoRA")"))
        lines.append(("memory", ProgressLine.size(memory.total)))
        lines += memory.parts.map { ("", "\($0.name) \(ProgressLine.size($0.bytes))") }
        return lines
    }
}
