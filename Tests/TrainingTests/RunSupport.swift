import Data
import Glibc
import Graph
import Host
import JSON
import Model
import PluginAPI
import PluginKit
import Template
import Training

/// A directory that goes away with this object.
final class Scratch: Sendable {
    let path: String
    init() {
        var template = Array("/tmp/martlet-training-XXXXXX".utf8CString)
        path = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp"
    }
    deinit { system("rm -r '\(path)'") }

    @discardableResult func file(_ name: String, _ text: String) -> String {
        let target = path + "/" + name
        if let handle = fopen(target, "w") {
            fwrite(Array(text.utf8), 1, text.utf8.count, handle)
            fclose(handle)
        }
        return target
    }
}

/// Letters as ids of the tiny models' vocabulary of 96.
struct LetterEncoder: RowEncoder {
    let identity = "letters"
    func encode(_ row: TrainingRow) throws -> EncodedExample {
        func ids(_ message: Message?) -> [Int32] { (message?.text ?? "").utf8.map { Int32($0 % 90) + 3 } }
        func sequence(_ conversation: Conversation) -> EncodedSequence {
            let ids = ids(conversation.messages.last)
            return EncodedSequence(ids: ids, weights: Array(repeating: 1, count: ids.count))
        }
        if let label = row.label {
            let prompt = ids(row.conversation.messages.first)
            var whole = sequence(row.conversation)
            whole.ids = prompt + whole.ids
            whole.weights = Array(repeating: 0, count: prompt.count) + whole.weights
            whole.promptLength = prompt.count
            return EncodedExample(sequences: [whole], label: label)
        }
        guard let rejected = row.rejected else { return EncodedExample(sequences: [sequence(row.conversation)]) }
        return EncodedExample(.pair, sequences: [sequence(row.conversation), sequence(rejected)])
    }
    func text(of ids: [Int32]) -> String { "\(ids)" }
}

/// Runs of the tiny llama over rows of letters.
struct TinyRun {
    let components: Registry
    let scratch = Scratch()
    var settings: RunSettings
    var accumulation = 2
    var rows = 14
    var optimizer = "adamw"
    var tuner = true
    var rate = 1e-3
    var validation = false
    /// Lines that are no rows, before those that are.
    var brokenLines = 0
    var maximumRejectRatio = 1.0
    var dropout = 0.1
    /// DPO over pairs of letters, or KTO over labelled answers.
    var objective = "sft"
    var plan = BatchPlan()

    init() throws {
        Services.shared.register("martlet.graph/1", at: GraphService.table)
        components = Registry(try .standard())
        settings = RunSettings(directory: scratch.path + "/run")
        settings.epochs = 2
        settings.saves = .steps(3)
    }

    static func text(_ row: Int) -> String {
        String((0..<10 + row * 7 % 13).map { Character(UnicodeScalar(UInt8(97 + (row * 5 + $0 * 3) % 26))) })
    }

    private func lines(_ range: Range<Int>) -> String {
        range.map { row in
            let text = Self.text(row)
            guard objective != "sft" else { return "{\"text\": \"\(text)\"}\n" }
            let asked = "{\"role\": \"user\", \"content\": \"\(Self.text(row + 3).prefix(row % 4 + 1))\"}"
            let answer = "{\"role\": \"assistant\", \"content\": \"\(text)\"}"
            let mark =
                objective == "dpo"
                ? "\"rejected_response\": \"\(String(text.reversed()))\"" : "\"label\": \(row % 3 != 0)"
            return "{\"messages\": [\(asked), \(answer)], \(mark)}\n"
        }.joined()
    }

    func makeEngine() throws -> TrainingEngine {
        let model = try Model(path: Golden.root + "families/llama", components: components)
        let handle =
            tuner
            ? try TunerHandle(
                id: "lora", settings: ["rank": 4, "alpha": 8, "dropout": .double(dropout)], components: components)
            : nil
        var options = TrainingEngine.Options(tuner: handle) { tuner ? $0.hasSuffix("_proj") : true }
        options.recompute = .blocks
        return try TrainingEngine(
            model: model,
            objective: try ObjectiveHandle(id: objective, settings: [:], components: components),
            optimizer: try OptimizerHandle(id: optimizer, settings: [:], components: components), options: options)
    }

    /// Makes a run in this run's directory, resumed from `checkpoint` if one is given.
    func make(from checkpoint: String? = nil, watch: @escaping (RunLog.Event) -> Void = { _ in }) throws -> TrainingRun
    {
        try makeDirectory()
        let broken = String(repeating: "broken\n", count: brokenLines)
        let train = scratch.file("rows.jsonl", broken + lines(0..<rows))
        let held = scratch.file("held.jsonl", lines(rows..<rows + 5))
        let formats = try RowFormats(
            components.componentIDs(kind: MT_KIND_DATASET).compactMap {
                RowFormat(try components.component(kind: MT_KIND_DATASET, id: $0))
            })
        var data = DataSettings()
        data.workers = 1
        data.purpose = ["dpo": .pair, "kto": .label][objective] ?? .answer
        data.plan = plan
        data.maximumRejectRatio = maximumRejectRatio
        data.rejectsPath = settings.directory + "/rejects.jsonl"
        data.continues = checkpoint != nil
        let resolver = DatasetResolver()
        let sets = try TrainingData(
            [resolver.resolve(train)], validation: validation ? [resolver.resolve(held)] : [], settings: data,
            formats: formats,
            encoder: LetterEncoder())
        var trainerSettings = Trainer.Settings(schedule: Schedule(.cosine, peak: rate, steps: 14, warmup: 2))
        trainerSettings.accumulation = accumulation
        let log = try RunLog(directory: settings.directory, continues: checkpoint != nil, watch: watch)
        let run = TrainingRun(
            Trainer(try makeEngine(), settings: trainerSettings), data: sets, settings: settings, log: log,
            components: components)
        if let checkpoint { try run.resume(try TrainingCheckpoint(checkpoint)) }
        return run
    }

    private func makeDirectory() throws { mkdir(settings.directory, 0o777) }

    func checkpoint(_ step: Int) -> String { settings.directory + "/checkpoint-\(step)" }

    /// The bits of all trained values.
    static func bits(_ run: TrainingRun) throws -> [UInt32] {
        let parameters = run.trainer.engine.parameters
        return try parameters.entries.flatMap { try parameters.values($0.name).map(\.bitPattern) }
    }
}

/// A file's bytes, or none.
func contents(_ path: String) -> [UInt8] {
    guard let file = fopen(path, "rb") else { return [] }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while case let n = fread(&chunk, 1, chunk.count, file), n > 0 { bytes += chunk[..<n] }
    return bytes
}
